"""
Sealed shards to their compressed form.

The new file is written under a temporary name, synced, read back and compared
before it gets its name; only then does the plain file go. A crash in between
leaves both, and the plain one counts.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, write_fully
from halo_daemon.store.paths import TEMPORARY_PREFIX, DataPaths, DayPaths, day_of
from halo_daemon.store.rewrite import lock_plain
from halo_daemon.store.seekable import DamagedShardError, SeekableReader, compress_blocks

log = get_logger()

_PIECE_BYTES = 4 * 1024**2
_NANOS = 10**9


class Compressed(NamedTuple):
    """What `compress_sealed` did."""

    shards: int
    plain_bytes: int
    compressed_bytes: int


def compress_sealed(
    paths: DataPaths, *, older_than_s: float, now_unix_ns: int, disk: Disk | None = None
) -> Compressed:
    """
    Compress every shard that can no longer grow and was last written to long ago.

    Runs beside writers and readers: a shard that a writer holds open is left alone.

    *older_than_s* is the time since the shard's last write (`storage.compress_after`).

    Returns:
        What was done; shards that could not be compressed are logged and left as they are.
    """
    disk = disk or Disk()
    total = Compressed(0, 0, 0)
    for slug in paths.slugs():
        for day in paths.project(slug).days():
            if day.day >= day_of(now_unix_ns):
                continue
            for stem in day.stems():
                done = _compress_if_due(disk, day, stem, now_unix_ns - int(older_than_s * _NANOS))
                total = Compressed(*map(sum, zip(total, done, strict=True)))
    return total


def _compress_if_due(disk: Disk, day: DayPaths, stem: str, due_unix_ns: int) -> Compressed:
    path = day.plain(stem)
    try:
        fd = lock_plain(day, stem)
        if fd is None or fd < 0:
            return Compressed(0, 0, 0)
        try:
            if os.fstat(fd).st_mtime_ns <= due_unix_ns:
                return _compress(disk, day, stem, fd)
        finally:
            os.close(fd)
    except OSError as exc:
        log.warning("shard_not_compressed", path=str(path), error=str(exc))
    return Compressed(0, 0, 0)


def _compress(disk: Disk, day: DayPaths, stem: str, fd: int) -> Compressed:
    target = day.compressed(stem)
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{target.name}")
    disk.unlink(temporary)
    plain = hashlib.sha256()
    try:
        out = disk.create(temporary)
        try:
            for piece in compress_blocks(_pieces(fd, plain)):
                write_fully(disk, out, piece)
            disk.sync(out)
        finally:
            os.close(out)
        _require_equal(temporary, plain.digest())
        disk.rename(temporary, target)
    except OSError:
        disk.unlink(temporary)
        raise
    disk.sync_directory(day.directory)
    plain_bytes = os.fstat(fd).st_size
    disk.unlink(day.plain(stem))
    disk.sync_directory(day.directory)
    return Compressed(1, plain_bytes, target.stat().st_size)


def _pieces(fd: int, digest: "hashlib._Hash") -> Iterator[bytes]:
    offset = 0
    while piece := os.pread(fd, _PIECE_BYTES, offset):
        digest.update(piece)
        offset += len(piece)
        yield piece


def _require_equal(path: Path, digest: bytes) -> None:
    if _digest(path) != digest:
        raise DamagedShardError(f"{path} does not unpack to what was packed")


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    offset = 0
    with closing(SeekableReader(path)) as reader:
        if reader.table_damage:
            raise DamagedShardError(reader.table_damage)
        while piece := reader.read(offset, _PIECE_BYTES):
            digest.update(piece)
            offset += len(piece)
    return digest.digest()
