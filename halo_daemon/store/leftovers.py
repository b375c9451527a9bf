"""
What a day holds beside its traces, and when it goes.

Torn tails in quarantine are bytes that nobody was told are stored, kept for
people to look at. They go with the last shard of their day, when they are older
than the project keeps traces, and the oldest first beyond a bound of bytes.
A shard of which all was torn is empty, and no longer one after a week.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import (
    RECEIPTS_SUFFIX,
    TEMPORARY_PREFIX,
    TORN_SUFFIX,
    DayPaths,
    ProjectPaths,
    day_of,
)
from halo_daemon.store.rewrite import lock_plain

MAX_QUARANTINED_BYTES = 256 * 1024**2
"""Most bytes in quarantine of one project."""

_NANOS = 10**9
_EMPTY_KEPT_NS = 7 * 86_400 * _NANOS
"""How long an empty shard keeps its day, for people to look at what was torn off it."""


class _Piece(NamedTuple):
    set_aside_unix_ns: int
    path: Path
    size_bytes: int
    goes_with_day: bool


class PrunedQuarantine(NamedTuple):
    """What `prune_quarantine` did, or would do."""

    pieces: int
    piece_bytes: int


def prune_quarantine(
    paths: ProjectPaths,
    *,
    max_age_s: float | None,
    now_unix_ns: int,
    max_bytes: int = MAX_QUARANTINED_BYTES,
    dry_run: bool = False,
    disk: Disk | None = None,
) -> PrunedQuarantine:
    """
    Delete the torn tails of one project that are not kept, then the days that hold nothing more.

    The caller holds the data directory's lock, or runs in the process that does.
    With *dry_run* nothing is changed. *max_age_s* counts from when a tail was set
    aside; None keeps them as long as their day.

    Raises:
        OSError: The disk refused; what was done so far stays.
    """
    pieces = [
        piece
        for day in paths.days()
        for piece in _pieces(day, is_over=_has_no_lines(day, now_unix_ns))
    ]
    oldest_ns = now_unix_ns - int(max_age_s * _NANOS) if max_age_s is not None else 0
    kept_bytes = 0
    gone: list[_Piece] = []
    for piece in sorted(pieces, reverse=True):
        is_kept = not piece.goes_with_day and piece.set_aside_unix_ns >= oldest_ns
        if is_kept and kept_bytes + piece.size_bytes <= max_bytes:
            kept_bytes += piece.size_bytes
        else:
            gone.append(piece)
    if not dry_run:
        disk = disk or Disk()
        for piece in reversed(gone):
            disk.unlink(piece.path)
        _remove_empty_shards(disk, paths, now_unix_ns)
        remove_empty_days(disk, paths)
    return PrunedQuarantine(len(gone), sum(piece.size_bytes for piece in gone))


def remove_empty_days(disk: Disk, paths: ProjectPaths) -> None:
    """Remove the days without shards and torn tails; what is not ours stays, and its day."""
    for day in paths.days():
        if day.stems() or _pieces(day, is_over=True):
            continue
        for path in day.directory.iterdir():
            if _is_left_over(day, path):
                disk.unlink(path)
        # What else is there stays: files of others, and a shard that was begun meanwhile.
        with suppress(OSError):
            day.quarantine.rmdir()
        with suppress(OSError):
            day.directory.rmdir()


def _pieces(day: DayPaths, *, is_over: bool) -> list[_Piece]:
    found = []
    for path in day.quarantine.glob(f"*{TORN_SUFFIX}"):
        if path.is_file():
            status = path.stat()
            found.append(_Piece(status.st_mtime_ns, path, status.st_size, is_over))
    return found


def _has_no_lines(day: DayPaths, now_unix_ns: int) -> bool:
    return all(_is_empty_shard(day, stem, now_unix_ns) for stem in day.stems())


def _is_empty_shard(day: DayPaths, stem: str, now_unix_ns: int) -> bool:
    """Whether a plain shard of an earlier day has no byte, and will never have one."""
    if day.day >= day_of(now_unix_ns):
        return False
    try:
        status = day.plain(stem).stat()
    except FileNotFoundError:
        return False
    return status.st_size == 0 and status.st_mtime_ns < now_unix_ns - _EMPTY_KEPT_NS


def _remove_empty_shards(disk: Disk, paths: ProjectPaths, now_unix_ns: int) -> None:
    """Unlink the empty shards of days that hold nothing else."""
    for day in paths.days():
        if not _has_no_lines(day, now_unix_ns):
            continue
        for stem in day.stems():
            fd = lock_plain(day, stem)
            if fd is None or fd < 0:
                continue
            try:
                if os.fstat(fd).st_size == 0:
                    disk.unlink(day.plain(stem))
            finally:
                os.close(fd)


def _is_left_over(day: DayPaths, path: Path) -> bool:
    """Whether a file is of no use in a day without shards."""
    if path.suffix == RECEIPTS_SUFFIX:
        # A writer creates the shard first.
        return not day.plain(path.stem).exists()
    return path.name.startswith((day.index.name, TEMPORARY_PREFIX)) and path.is_file()
