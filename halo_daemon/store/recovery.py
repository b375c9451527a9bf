"""
What the daemon mends when it starts.

A crash can leave a plain shard with a torn tail: some lines of a group, half a line,
zeros where the file system had grown the file but not written it, or a last line that
does not parse. No sender was told that such bytes are stored. They are moved to the
day's quarantine and cut off, so that a request is there whole or not at all.

Starting never fails for what is found: a shard that cannot be mended is left
as it is and logged, and readers skip its damage by content.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, write_atomically
from halo_daemon.store.paths import TEMPORARY_PREFIX, DataPaths, DayPaths
from halo_daemon.store.receipts import read_receipts
from halo_daemon.store.seekable import SeekableReader

log = get_logger()

_BLOCK_BYTES = 64 * 1024


class TornTail(NamedTuple):
    """One tail that was cut."""

    shard: Path
    offset: int
    """Where the cut bytes began; the shard's length now."""
    cut_bytes: int
    quarantined: Path


def recover(paths: DataPaths, *, disk: Disk | None = None) -> list[TornTail]:
    """
    Mend every plain shard; the caller holds the directory's lock and no writer runs.

    Returns:
        What was cut, in order of project, day and shard; empty after a clean stop.
    """
    disk = disk or Disk()
    found = []
    for day in _days(paths):
        _remove_leftovers(disk, day)
        for stem in day.stems():
            try:
                tail = _mend(disk, day, stem)
            except OSError as exc:
                log.warning("shard_not_mended", path=str(day.plain(stem)), error=str(exc))
                continue
            if tail is not None:
                log.warning(
                    "torn_tail_quarantined",
                    path=str(tail.shard),
                    offset=tail.offset,
                    bytes=tail.cut_bytes,
                )
                found.append(tail)
    return found


def mend_tables(paths: DataPaths, *, disk: Disk | None = None) -> list[Path]:
    """
    Give compressed shards that lost their table a new one; the caller holds the directory's lock.

    Readers do without, so starting does not wait for this. Every frame stays as it
    is at its offset, damaged ones too, and the old file until the new one is durable.

    Returns:
        The shards mended, in order of project, day and shard; one that cannot be is logged.
    """
    disk = disk or Disk()
    found = []
    for day in _days(paths):
        for stem in day.stems():
            path = day.compressed(stem)
            try:
                if path.exists() and _mend_table(disk, path):
                    found.append(path)
            except OSError as exc:
                log.warning("shard_not_mended", path=str(path), error=str(exc))
    return found


def _mend_table(disk: Disk, path: Path) -> bool:
    with SeekableReader(path) as reader:
        if not reader.table_damage:
            return False
        write_atomically(disk, path, reader.mended())
    return True


def _days(paths: DataPaths) -> Iterator[DayPaths]:
    for slug in paths.slugs():
        yield from paths.project(slug).days()


def _remove_leftovers(disk: Disk, day: DayPaths) -> None:
    for path in day.directory.glob(f"{TEMPORARY_PREFIX}*"):
        disk.unlink(path)


def _mend(disk: Disk, day: DayPaths, stem: str) -> TornTail | None:
    path = day.plain(stem)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _is_in_use(fd):
            return None
        size = os.fstat(fd).st_size
        good = whole_length(fd, size, day.receipts(stem))
        if good == size:
            return None
        quarantined = day.torn_tail(stem, good)
        disk.make_directory(day.quarantine)
        write_atomically(disk, quarantined, os.pread(fd, size - good, good))
        disk.truncate(fd, good)
        disk.sync(fd)
        return TornTail(path, good, size - good, quarantined)
    finally:
        os.close(fd)


def _is_in_use(fd: int) -> bool:
    """Whether a writer, such as an import beside the daemon, has the shard open."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def whole_length(fd: int, size: int, receipts: Path) -> int:
    """
    Where the last group that is whole ends, in a shard of *size* bytes.

    A group that was stored and is damaged counts up to its last line that parses, and so
    does one whose receipts are lost.
    """
    good = _good_length(fd, size)
    return read_receipts(receipts, opened_unix_ns=0).whole_to(good)


def _good_length(fd: int, size: int) -> int:
    """
    Where the last line that parses ends, counted from the end of the file.

    Only the tail is looked at: damage before a good last line is left to readers,
    because offsets behind it must not move. 0 when no line is good.
    """
    end = _last_newline(fd, size) + 1
    while end > 0:
        start = _last_newline(fd, end - 1) + 1
        if _parses(os.pread(fd, end - start, start)):
            return end
        end = start
    return 0


def _last_newline(fd: int, end: int) -> int:
    """Offset of the last newline before *end*; -1 when there is none."""
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        place = os.pread(fd, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place
        end = start
    return -1


def _parses(line: bytes) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except ValueError:
        return False
