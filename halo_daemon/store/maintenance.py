"""Looking after a data directory: figures, checks, repair."""

import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from halo_daemon.errors import StoreError
from halo_daemon.store.database import remove_database
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.paths import (
    DayPaths,
    ProjectPaths,
    ShardName,
)
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.recovery import whole_length
from halo_daemon.store.rollups import NOT_SHARED
from halo_daemon.store.shard_files import Extent, ShardFiles, open_shard

_READ_LINES = 1_000


class ProjectStats(NamedTuple):
    """The figures of one project."""

    slug: str
    days: int
    shards: int
    compressed_shards: int
    shard_bytes: int
    """On disk, compressed ones as they are."""
    derived_bytes: int
    quarantined_bytes: int
    traces: int
    spans: int
    duplicate_spans: int
    bad_lines: int
    oldest_day: str
    """``""`` when there is no day."""
    newest_day: str


class DamageKind(StrEnum):
    """What is wrong with a place in a shard."""

    BAD_LINE = "bad_line"
    """A complete line that is not a canonical span; it is left out of every answer."""
    ALTERED_LINE = "altered_line"
    """A line whose checksum is not the one it was indexed with."""
    UNREADABLE = "unreadable"
    """A line, or a whole shard, that the disk or the compressed form does not give back."""
    LOST_TABLE = "lost_table"
    """A compressed shard without a right table, read frame by frame up to *offset*."""
    TORN_TAIL = "torn_tail"
    """Bytes behind the last good line of a plain shard; normal while a daemon writes."""
    QUARANTINED = "quarantined"
    """A torn tail that was set aside."""


class Damage(NamedTuple):
    """One place that `verify` found."""

    kind: DamageKind
    path: Path
    offset: int
    """In bytes of the uncompressed shard."""
    length: int


def project_stats(paths: ProjectPaths, *, now_unix_ns: int) -> ProjectStats:
    """
    Count what a project holds, after the index has caught up.

    Raises:
        StoreError: The index cannot be read.
    """
    index = ProjectIndex(paths, now_unix_ns=lambda: now_unix_ns)
    try:
        traces, spans, duplicates, bad_lines = index.answer(lambda: _counts(index))
    finally:
        index.close()
    days = paths.days()
    shards = [(day, stem) for day in days for stem in day.stems()]
    plain = [day.plain(stem) for day, stem in shards]
    compressed = [day.compressed(stem) for day, stem in shards if not day.plain(stem).exists()]
    shared = (paths.catalog, paths.merged)
    derived = [file for one in shared for file in paths.directory.glob(f"{one.name}*")]
    derived += [file for day in days for file in day.directory.glob(f"{day.index.name}*")]
    torn = [file for day in days for file in _files_below(day.quarantine)]
    return ProjectStats(
        slug=paths.slug,
        days=len(days),
        shards=len(shards),
        compressed_shards=len(compressed),
        shard_bytes=_bytes_of(plain) + _bytes_of(compressed),
        derived_bytes=_bytes_of(derived),
        quarantined_bytes=_bytes_of(torn),
        traces=traces,
        spans=spans,
        duplicate_spans=duplicates,
        bad_lines=bad_lines,
        oldest_day=days[0].day if days else "",
        newest_day=days[-1].day if days else "",
    )


def verify(paths: ProjectPaths, *, now_unix_ns: int) -> Iterator[Damage]:
    """
    Read every line of a project and compare it with its checksum in the index.

    Yields:
        What is damaged, by day, shard and offset; nothing when all is well.

    Raises:
        StoreError: The index cannot be read.
    """
    index = ProjectIndex(paths, now_unix_ns=lambda: now_unix_ns)
    files = ShardFiles(paths.spans)
    try:
        index.catch_up()
        for day in index.days:
            yield from _bad_lines(day)
            yield from _altered_lines(day, files)
            yield from _unreadable_shards(day.paths)
            yield from (
                Damage(DamageKind.QUARANTINED, path, 0, path.stat().st_size)
                for path in _files_below(day.paths.quarantine)
            )
    finally:
        files.close()
        index.close()


def reindex(paths: ProjectPaths, *, now_unix_ns: int) -> int:
    """
    Throw all derived files of a project away and build them again.

    Returns:
        How many days were indexed.

    Raises:
        StoreError: The index cannot be written.
    """
    index = ProjectIndex(paths, now_unix_ns=lambda: now_unix_ns)
    try:
        days = paths.days()
        for day in days:
            index.rebuild(day.day)
        remove_database(paths.catalog)
        remove_database(paths.merged)
        index.catch_up()
    except OSError as exc:
        raise StoreError(
            f"cannot throw the index of project `{paths.slug}` away: {exc}",
            hint="check permissions of the data directory; what cannot be written is read anyway",
        ) from exc
    finally:
        index.close()
    return len(days)


def _counts(index: ProjectIndex) -> tuple[int, int, int, int]:
    """Traces, spans, versions beside those that count, and bad lines."""
    counts = [0, 0, 0, 0]
    for part in index.parts:
        row = part.connection.execute(
            "SELECT count(*), coalesce(sum(spans), 0), coalesce(sum(duplicates), 0),"  # noqa: S608 -- constants
            " (SELECT count(*) FROM bad_lines)"
            f" FROM traces t WHERE {NOT_SHARED if part.has_shared else 1}"
        ).fetchone()
        counts = [total + more for total, more in zip(counts, row, strict=True)]
    traces, spans, duplicates, bad_lines = counts
    return traces, spans, duplicates, bad_lines


def _files_below(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _bytes_of(files: list[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())


def _path_of(day: DayPaths, stem: str) -> Path:
    plain = day.plain(stem)
    return plain if plain.exists() else day.compressed(stem)


def _bad_lines(day: DayIndex) -> Iterator[Damage]:
    rows = day.connection.execute(
        "SELECT d.stem, b.offset, b.length FROM bad_lines b JOIN shards d ON d.id = b.shard"
        " ORDER BY d.stem, b.offset"
    )
    for stem, offset, length in rows:
        yield Damage(DamageKind.BAD_LINE, _path_of(day.paths, stem), offset, length)


def _altered_lines(day: DayIndex, files: ShardFiles) -> Iterator[Damage]:
    rows = day.connection.execute(
        "SELECT d.stem, s.offset, s.length, s.crc FROM spans s JOIN shards d ON d.id = s.shard"
        " ORDER BY d.stem, s.offset"
    )
    while chunk := rows.fetchmany(_READ_LINES):
        extents = [Extent(ShardName(day.day, row[0]), row[1], row[2]) for row in chunk]
        for row, line in zip(chunk, files.read(extents), strict=True):
            if line is None:
                kind = DamageKind.UNREADABLE
            elif zlib.crc32(line) != row[3]:
                kind = DamageKind.ALTERED_LINE
            else:
                continue
            yield Damage(kind, _path_of(day.paths, row[0]), row[1], row[2])


def _unreadable_shards(day: DayPaths) -> Iterator[Damage]:
    for stem in day.stems():
        path = _path_of(day, stem)
        try:
            with closing(open_shard(day, stem)) as reader:
                if reader.table_damage:
                    yield Damage(DamageKind.LOST_TABLE, path, reader.size_bytes, 0)
            if path == day.plain(stem):
                yield from _torn_tail(path, day.receipts(stem))
        except FileNotFoundError:
            # Compressed or pruned meanwhile by a daemon.
            continue
        except OSError:
            yield Damage(DamageKind.UNREADABLE, path, 0, path.stat().st_size)


def _torn_tail(path: Path, receipts: Path) -> Iterator[Damage]:
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        good = whole_length(file.fileno(), size, receipts)
    if good < size:
        yield Damage(DamageKind.TORN_TAIL, path, good, size - good)
