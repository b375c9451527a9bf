"""
A shard written anew under another name, because bytes that were acknowledged never change.

The new one is durable before the old one is unlinked. A crash in between leaves
both: every span is then there twice and counts once, until the next run finds the
new one there already and unlinks the old one.
"""

import fcntl
import filecmp
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from halo_daemon.store.disk import Disk, write_fully
from halo_daemon.store.paths import TEMPORARY_PREFIX, DayPaths
from halo_daemon.store.receipts import encode_receipt


class ReceivedLine(NamedTuple):
    """A line with its newline, and when it came."""

    received_ns: int
    data: bytes


Part = list[ReceivedLine]
"""Lines that are held in memory at a time."""


def replace_shard(disk: Disk, day: DayPaths, stem: str, parts: Iterable[Part] | None) -> bool:
    """
    Write *parts* as a new shard and delete the old one; None only deletes.

    Returns:
        False, with nothing changed, when a writer holds the shard open.

    Raises:
        OSError: The disk refused; the old shard is still there.
    """
    fd = lock_plain(day, stem)
    if fd is None:
        return False
    try:
        if parts is not None:
            _write(disk, day, stem, parts)
        for path in (day.plain(stem), day.compressed(stem), day.receipts(stem)):
            disk.unlink(path)
        disk.sync_directory(day.directory)
    finally:
        if fd >= 0:
            os.close(fd)
    return True


def lock_plain(day: DayPaths, stem: str) -> int | None:
    """
    Descriptor of a plain shard that nobody writes to; -1 where there is none; else None.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        fd = os.open(day.plain(stem), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    if os.fstat(fd).st_nlink == 0:
        # Compressed or replaced between the two calls: what is open has no name any more.
        os.close(fd)
        return -1
    return fd


def _write(disk: Disk, day: DayPaths, stem: str, parts: Iterable[Part]) -> None:
    receipts = b""
    temporary = day.directory / f"{TEMPORARY_PREFIX}{os.getpid()}-{stem}"
    disk.unlink(temporary)
    fd = disk.create(temporary)
    try:
        end = 0
        for part in parts:
            for line in part:
                end += len(line.data)
                receipts += encode_receipt(end, line.received_ns)
            write_fully(disk, fd, b"".join(line.data for line in part))
        disk.sync(fd)
    except OSError:
        disk.unlink(temporary)
        raise
    finally:
        os.close(fd)
    if _is_there(day, stem, temporary):
        disk.unlink(temporary)
        return
    new_stem = _take_free_stem(disk, day, stem)
    # Left behind by a run that did not come to the rename.
    disk.unlink(day.receipts(new_stem))
    receipts_fd = disk.create(day.receipts(new_stem))
    try:
        write_fully(disk, receipts_fd, receipts)
    finally:
        os.close(receipts_fd)
    disk.rename(temporary, day.plain(new_stem))
    disk.sync_directory(day.directory)


def _is_there(day: DayPaths, stem: str, written: Path) -> bool:
    """Whether a run that was killed got as far as this very shard."""
    begin, _, _ = stem.rpartition("-")
    others = (day.plain(other) for other in day.stems() if other.startswith(f"{begin}-"))
    return any(
        path != day.plain(stem) and path.exists() and filecmp.cmp(path, written, shallow=False)
        for path in others
    )


def _take_free_stem(disk: Disk, day: DayPaths, stem: str) -> str:
    """
    A name of the same opening time and worker that was never used, with an empty file.

    A writer that opens shards within the same second counts on in the same names, and
    creates its files exclusively: without one of ours the rename would replace its own.
    """
    begin, _, sequence = stem.rpartition("-")
    number = int(sequence)
    taken = set(day.stems())
    while True:
        name = f"{begin}-{number:06d}"
        if name not in taken:
            try:
                os.close(disk.create(day.plain(name)))
            except FileExistsError:
                pass
            else:
                return name
        number += 1
