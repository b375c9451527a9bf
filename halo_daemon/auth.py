"""
Ingest keys: who may send spans, and to which project.

Theory of operation
===================

A key is ``hd_ingest_<id>_<secret>``. Only its SHA-256 is kept, in one file of the data
directory; the secret has 256 random bits, so a slow hash would protect nothing more.
The file is read again when it changes, so keys are made, rotated and revoked without a
restart.

A comparison takes the same time whether or not the id is known, so that an answer's
delay tells nothing about which keys exist.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast

import orjson

from halo_daemon.errors import StoreError

ANY_PROJECT: Final = "*"
"""The project of a key that may write to all of them."""

_KEY: Final = re.compile(r"hd_ingest_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_NO_DIGEST: Final = "0" * 64
_MAX_FILE_BYTES: Final = 4 * 1024**2


class IngestKey(NamedTuple):
    """A key as it is kept; what a sender presents cannot be read from it."""

    id: str
    project: str
    """The slug of the one project it may write to, or `ANY_PROJECT`."""

    sha256: str


class NewKey(NamedTuple):
    """A key just made; `text` is shown once and kept nowhere."""

    text: str
    key: IngestKey


def make_key(project: str) -> NewKey:
    """Make a key for *project*, a slug or `ANY_PROJECT`."""
    key_id = secrets.token_hex(4)
    text = f"hd_ingest_{key_id}_{secrets.token_urlsafe(32)}"
    return NewKey(text, IngestKey(key_id, project, _digest(text)))


class KeyFile:
    """
    The keys of a data directory.

    Args:
        path: The file; one that does not exist holds no keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: tuple[int, int, int] | None = None
        self._keys: dict[str, IngestKey] = {}

    def keys(self) -> list[IngestKey]:
        """
        Every key, in order of creation.

        Raises:
            StoreError: The file cannot be read.
        """
        self._refresh()
        return list(self._keys.values())

    def find(self, text: str) -> IngestKey | None:
        """
        The key that *text* is; None when it is none.

        When the file cannot be read, the keys that were read last stay valid.
        """
        try:
            self._refresh()
        except StoreError:
            if self._signature is None:
                return None
        match = _KEY.fullmatch(text)
        key = self._keys.get(match[1]) if match else None
        is_right = hmac.compare_digest(_digest(text), key.sha256 if key else _NO_DIGEST)
        return key if is_right else None

    def add(self, key: IngestKey) -> None:
        """
        Keep *key*, durably.

        Raises:
            StoreError: The file cannot be read or written.
        """
        self._write([*self.keys(), key])

    def revoke(self, key_id: str) -> bool:
        """
        Forget a key; whether there was one of that id.

        Raises:
            StoreError: The file cannot be read or written.
        """
        keys = self.keys()
        kept = [key for key in keys if key.id != key_id]
        if len(kept) == len(keys):
            return False
        self._write(kept)
        return True

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._signature, self._keys = (0, 0, 0), {}
            return
        except OSError as exc:
            raise _unreadable(self._path, exc) from exc
        signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if signature != self._signature:
            self._keys = {key.id: key for key in _read(self._path)}
            self._signature = signature

    def _write(self, keys: Sequence[IngestKey]) -> None:
        content = orjson.dumps({"keys": [key._asdict() for key in keys]}) + b"\n"
        temporary = self._path.with_name(f".tmp-{self._path.name}-{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(fd, content)
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.replace(self._path)
        except OSError as exc:
            raise StoreError(f"cannot write the keys to {self._path}: {exc}") from exc


def _read(path: Path) -> list[IngestKey]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES)
        entries = cast("dict[str, list[dict[str, str]]]", orjson.loads(content))["keys"]
        return [IngestKey(entry["id"], entry["project"], entry["sha256"]) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _unreadable(path, exc) from exc


def _unreadable(path: Path, cause: Exception) -> StoreError:
    return StoreError(
        f"cannot read the keys in {path}: {cause}",
        hint="remove the file and make new keys; senders without a key are refused until then",
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
