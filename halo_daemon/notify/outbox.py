"""
Messages on disk until their target has them.

Theory of operation
===================

One message is one file, ``pending/<id>.json``, replaced as a whole. It is on
stable storage before `put` returns, so a run that ended has told what it had to
tell, even if the power fails right after. An attempt that failed rewrites the
file with its next due time; one that succeeded removes it; one that will never
succeed moves it to ``dead/``. A crash between a delivery and its removal sends
the message again under the same id.

Any process may put; only the one that holds the lock delivers.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import orjson

from halo_daemon.errors import OutboxFullError, StoreError
from halo_daemon.log import get_logger
from halo_daemon.notify.message import Message
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.store.disk import Disk, write_atomically

log = get_logger()

MAX_PENDING = 10_000
MAX_DEAD = 1_000


class Outbox:
    """
    The outbox of one data directory.

    Args:
        root: Its directory; created when first needed.

        disk: The system calls, for tests.
    """

    def __init__(self, root: Path, *, disk: Disk | None = None) -> None:
        self._pending = root / "pending"
        self._dead = root / "dead"
        self._disabled = root / "disabled"
        self._lock = root / "lock"
        self._disk = disk or Disk()

    def put(self, message: Message) -> None:
        """
        Keep *message* until it is delivered; it is on stable storage on return.

        A message of the same id that is there already is left as it is.

        Raises:
            OutboxFullError: `MAX_PENDING` messages wait already.
            StoreError: The disk refused.
        """
        path = self._path(self._pending, message)
        if path.exists():
            return
        waiting = sum(1 for _ in self._files(self._pending))
        if waiting >= MAX_PENDING:
            raise OutboxFullError(
                f"cannot queue a message for `{message.target}`: {waiting} wait already",
                hint="see the log for why the targets do not take them",
            )
        self._write(path, message)

    def pending(self) -> list[Message]:
        """Every message that waits, by due time, ties by id; unreadable files are set aside."""
        found = (self._read(path) for path in self._files(self._pending))
        return sorted(
            (message for message in found if message),
            key=lambda message: (message.due_unix_ns, message.message_id),
        )

    def delivered(self, message: Message) -> None:
        """
        Forget a message that its target has.

        Raises:
            StoreError: The disk refused; the message is still there.
        """
        path = self._path(self._pending, message)
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise _refused("forget a message", path, exc) from exc

    def retry_at(self, message: Message, due_unix_ns: int) -> None:
        """
        Keep a message whose attempt failed, for another one.

        Raises:
            StoreError: The disk refused; the message is due as before.
        """
        later = replace(message, attempts=message.attempts + 1, due_unix_ns=due_unix_ns)
        self._write(self._path(self._pending, message), later)

    def bury(self, message: Message) -> None:
        """
        Move a message that will not be delivered to the dead letters.

        Beyond `MAX_DEAD` the oldest dead letter is dropped.

        Raises:
            StoreError: The disk refused.
        """
        source = self._path(self._pending, message)
        try:
            self._disk.make_directory(self._dead)
            self._disk.rename(source, self._dead / source.name)
            self._disk.sync_directory(self._dead)
            dead = sorted(self._files(self._dead), key=lambda path: path.stat().st_mtime_ns)
            for path in dead[:-MAX_DEAD]:
                path.unlink(missing_ok=True)
        except OSError as exc:
            raise _refused("bury a message", source, exc) from exc

    def put_again(self, message: Message, *, now_unix_ns: int) -> None:
        """
        Have a message that waits or was given up tried at once, with all its attempts before it.

        A crash on the way leaves it in both places; it is delivered under its one id.

        Raises:
            StoreError: The disk refused; the message is where it was.
        """
        fresh = replace(message, attempts=0, due_unix_ns=now_unix_ns)
        self._write(self._path(self._pending, message), fresh)
        dead = self._path(self._dead, message)
        try:
            dead.unlink(missing_ok=True)
        except OSError as exc:
            raise _refused("take a message out of the dead letters", dead, exc) from exc

    def dead_letters(self) -> list[Message]:
        """Every message that was given up, by time of creation."""
        found = (self._read(path) for path in self._files(self._dead))
        return sorted(
            (message for message in found if message),
            key=lambda message: (message.created_unix_ns, message.message_id),
        )

    def disable(self, target: str, address: str) -> None:
        """
        Remember that *target* takes nothing at *address* any more.

        Raises:
            StoreError: The disk refused.
        """
        path = self._disabled / _digest(target)
        self._write_bytes(path, _digest(address).encode())

    def is_disabled(self, target: str, address: str) -> bool:
        """Whether the target was disabled at this very address; a new address starts afresh."""
        try:
            return (self._disabled / _digest(target)).read_text() == _digest(address)
        except (OSError, ValueError):
            return False

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """
        Try to be the one process that delivers, for the length of the block.

        Yields:
            Whether this process is the one; False while another one is.

        Raises:
            StoreError: The lock file cannot be opened.
        """
        try:
            self._disk.make_directory(self._lock.parent)
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as exc:
            raise _refused("lock the outbox", self._lock, exc) from exc
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)

    @staticmethod
    def _path(directory: Path, message: Message) -> Path:
        return directory / f"{message.message_id}.json"

    @staticmethod
    def _files(directory: Path) -> Iterator[Path]:
        # Names that begin with a full stop are half-written.
        return (path for path in directory.glob("*.json") if path.name[0] != ".")

    def _write(self, path: Path, message: Message) -> None:
        fields: JsonObject = {
            "id": message.message_id,
            "target": message.target,
            "created_unix_ns": message.created_unix_ns,
            "due_unix_ns": message.due_unix_ns,
            "attempts": message.attempts,
            "subject": message.subject,
            "body": message.body.decode(),
        }
        self._write_bytes(path, orjson.dumps(fields))

    def _write_bytes(self, path: Path, data: bytes) -> None:
        try:
            self._disk.make_directory(path.parent)
            write_atomically(self._disk, path, data)
        except OSError as exc:
            raise _refused("keep a message", path, exc) from exc

    def _read(self, path: Path) -> Message | None:
        try:
            fields = orjson.loads(path.read_bytes())
            message = Message(
                message_id=str(fields["id"]),
                target=str(fields["target"]),
                body=fields["body"].encode(),
                created_unix_ns=int(fields["created_unix_ns"]),
                due_unix_ns=int(fields["due_unix_ns"]),
                attempts=int(fields["attempts"]),
                subject=str(fields.get("subject", "")),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            log.warning("message_unreadable", path=str(path), error=str(exc)[:200])
            self._set_aside(path)
            return None
        return message if path.stem == message.message_id else None

    def _set_aside(self, path: Path) -> None:
        try:
            path.rename(path.with_suffix(".damaged"))
        except OSError as exc:
            log.warning("message_not_set_aside", path=str(path), error=str(exc))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _refused(what: str, path: Path, exc: OSError) -> StoreError:
    return StoreError(
        f"cannot {what} at {path}: {exc.strerror or exc}",
        hint="check free space and permissions of the data directory",
    )
