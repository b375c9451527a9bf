r"""
One append-only file of canonical lines.

Theory of operation
===================

The unit of writing is the group: the lines of every request that waited. They
are written one after the other, then synced once; only then is anybody told. A crash can leave
a group in part, which no sender was told about: no reader shows it (`receipts`), and
the next start of the daemon sets it aside (`recovery`).

Rule 1: only `Shard` writes to a shard, and only the process that created it.
A shard of an earlier process is never opened for appending again.

Rule 2: a new file and its name are synced before anything in it is
acknowledged.

Rule 3: after any failed write or sync the shard is closed for good. The kernel
reports a failed sync once and may drop the pages, so a second sync on the same
file could succeed without the data. The file is cut back to its acknowledged
length where the disk lets us; the group is written elsewhere. A file that was
deleted under the writer counts as failed.

Rule 4, which follows: bytes before the acknowledged length never change, and an
offset that a reader has seen never gets other bytes.

Rule 5: names never depend on the wall clock going forward. A name that is
taken, in either form, means the next sequence number.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, write_fully
from halo_daemon.store.paths import DayPaths, ProjectPaths, day_of, shard_stem
from halo_daemon.store.receipts import encode_receipt

log = get_logger()


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """When a shard is sealed and the next one begun."""

    max_size_bytes: int = 64 * 1024**2
    """`storage.shard.max_size`; a group that is larger still goes into one shard."""

    max_age_s: float = 3600.0
    """`storage.shard.max_age`, by a monotonic clock."""


class Shard:
    """
    One shard, open for appending.

    Not safe to use from two threads at a time; the committer owns it.

    Attributes:
        path: The file.
        day: UTC day of receipt of everything in it.
        opened_monotonic_s: When it was opened, for its age.
        acknowledged_bytes: Length that is on stable storage.
    """

    def __init__(self, disk: Disk, path: Path, *, day: str, opened_monotonic_s: float) -> None:
        self._disk = disk
        self._fd = disk.create(path)
        self._receipts_fd = -1
        self.path = path
        self.day = day
        self.opened_monotonic_s = opened_monotonic_s
        self.acknowledged_bytes = 0
        try:
            # Tells compression, whichever process runs it, that the shard is still growing.
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            disk.sync(self._fd)
            disk.sync_directory(path.parent)
        except OSError:
            self.close()
            raise

    def open_receipts(self, path: Path) -> None:
        """
        Begin the sidecar.

        Without one, times of receipt are only as good as the name, and a group that a
        crash cuts short counts as far as its last complete line.
        """
        try:
            self._receipts_fd = self._disk.create(path)
            self._disk.sync_directory(path.parent)
        except OSError as exc:
            log.warning("receipts_lost", path=str(path), error=str(exc))

    def append(self, *group: bytes | bytearray, received_unix_ns: int) -> None:
        """
        Add complete lines, those of each request, and wait until they are on stable storage.

        Raises:
            OSError: They may or may not be there; the shard is now closed.
        """
        end = self.acknowledged_bytes + sum(map(len, group))
        receipt = encode_receipt(end, received_unix_ns)
        # A lone line is torn or whole by itself.
        is_divisible = len(group) > 1 or group[0].find(b"\n", 0, len(group[0]) - 1) >= 0
        self._note(receipt, comes_first=is_divisible)
        try:
            for lines in group:
                write_fully(self._disk, self._fd, lines)
            self._disk.sync(self._fd)
            self._require_name()
        except OSError:
            self._abandon()
            raise
        self.acknowledged_bytes = end
        self._note(receipt)

    def close(self) -> None:
        """Seal the shard; a second call does nothing."""
        for fd in (self._fd, self._receipts_fd):
            if fd >= 0:
                _close(fd)
        self._fd = self._receipts_fd = -1

    def _note(self, receipt: bytes, *, comes_first: bool = False) -> None:
        if self._receipts_fd < 0:
            return
        try:
            write_fully(self._disk, self._receipts_fd, receipt)
            if comes_first:
                self._disk.order(self._receipts_fd)
        except OSError as exc:
            log.warning("receipts_lost", path=str(self.path), error=str(exc))
            _close(self._receipts_fd)
            self._receipts_fd = -1

    def _require_name(self) -> None:
        # A file that somebody deleted, moved or replaced takes writes and syncs like any other,
        # and nobody finds them.
        there, own = self.path.stat(), os.fstat(self._fd)
        if (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino):
            raise OSError(errno.ESTALE, "replaced while it was written", str(self.path))

    def _abandon(self) -> None:
        # A torn group must not look like the start of a line to the next reader.
        with contextlib.suppress(OSError):
            self._disk.truncate(self._fd, self.acknowledged_bytes)
        self.close()


def _close(fd: int) -> None:
    # Nothing is lost by a failing close: what counts was synced before. The descriptor is
    # free even then, and may be another file's at once.
    with contextlib.suppress(OSError):
        os.close(fd)


class ProjectShards:
    """
    The growing shard of one project and one worker, and when to begin the next.

    Not safe to use from two threads at a time; the committer owns it.
    """

    def __init__(
        self, disk: Disk, paths: ProjectPaths, *, worker: int, limits: ShardLimits
    ) -> None:
        self._disk = disk
        self._paths = paths
        self._worker = worker
        self._limits = limits
        self._sequence = 0
        self._shard: Shard | None = None

    def append(
        self, group: Sequence[bytes | bytearray], *, now_unix_ns: int, now_monotonic_s: float
    ) -> None:
        """
        Store complete lines of the project durably, in one shard.

        A shard that fails is replaced and the lines are tried once more.

        Raises:
            OSError: The second try failed as well.
        """
        try:
            self._append_once(group, now_unix_ns, now_monotonic_s)
        except OSError as exc:
            log.warning("shard_abandoned", project=self._paths.slug, error=str(exc))
            self.seal()
            self._append_once(group, now_unix_ns, now_monotonic_s)

    def seal(self) -> None:
        """Close the growing shard; the next append begins another."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def seal_if_due(self, *, now_unix_ns: int, now_monotonic_s: float) -> None:
        """Seal a shard that is too old, or of an earlier day."""
        if self._shard is not None and not self._still_fits(
            self._shard, now_unix_ns, now_monotonic_s
        ):
            self.seal()

    def _append_once(
        self, group: Sequence[bytes | bytearray], now_unix_ns: int, now_monotonic_s: float
    ) -> None:
        self.seal_if_due(now_unix_ns=now_unix_ns, now_monotonic_s=now_monotonic_s)
        if self._shard is None:
            self._shard = self._open(now_unix_ns, now_monotonic_s)
        self._shard.append(*group, received_unix_ns=now_unix_ns)

    def _still_fits(self, shard: Shard, now_unix_ns: int, now_monotonic_s: float) -> bool:
        return (
            shard.acknowledged_bytes < self._limits.max_size_bytes
            and now_monotonic_s - shard.opened_monotonic_s < self._limits.max_age_s
            and shard.day == day_of(now_unix_ns)
        )

    def _open(self, now_unix_ns: int, now_monotonic_s: float) -> Shard:
        day = self._paths.day(day_of(now_unix_ns))
        self._disk.make_directory(day.directory)
        while True:
            self._sequence += 1
            stem = shard_stem(now_unix_ns, worker=self._worker, sequence=self._sequence)
            if _is_taken(day, stem):
                continue
            try:
                shard = Shard(
                    self._disk,
                    day.plain(stem),
                    day=day.day,
                    opened_monotonic_s=now_monotonic_s,
                )
            except FileExistsError:
                continue
            shard.open_receipts(day.receipts(stem))
            return shard


def _is_taken(day: DayPaths, stem: str) -> bool:
    return any(path(stem).exists() for path in (day.plain, day.compressed, day.receipts))
