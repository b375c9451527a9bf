"""Looking after a data directory: figures, checks, repair, copies."""

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import closing, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from halo_daemon.errors import StoreError
from halo_daemon.store.database import remove_database
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.disk import Disk, held
from halo_daemon.store.paths import (
    PLAIN_SUFFIX,
    RECEIPTS_SUFFIX,
    TEMPORARY_PREFIX,
    DataPaths,
    DayPaths,
    ProjectPaths,
    ShardName,
    is_left_out_of_copies,
)
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.receipts import read_receipts
from halo_daemon.store.recovery import whole_length
from halo_daemon.store.rollups import NOT_SHARED
from halo_daemon.store.shard_files import Extent, ShardFiles, open_shard

_COPY_BYTES = 4 * 1024**2
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


def backup(paths: DataPaths, target: Path, *, disk: Disk | None = None) -> int:
    """
    Copy a data directory, with or without a daemon that writes to it.

    Shards are copied as far as their last whole group: everything that was
    acknowledged before the call, and perhaps more. Retention waits meanwhile, so no
    trace is copied in part. Derived files are left out: they are built again where the
    copy is used.

    Returns:
        Bytes copied.

    Raises:
        StoreError: *target* is not empty, or the disk refused.
    """
    return _copy_into(paths.root, target, disk or Disk())


def restore(source: Path, paths: DataPaths, *, disk: Disk | None = None) -> int:
    """
    Fill an empty data directory from a copy; the caller holds its lock.

    Returns:
        Bytes copied.

    Raises:
        StoreError: The directory holds projects already, or the disk refused.
    """
    if not (source / "projects").is_dir():
        raise StoreError(
            f"cannot restore from {source}: it is not a copy of a data directory",
            hint="name the directory that `halo-daemon store backup` wrote",
        )
    return _copy_into(source, paths.root, disk or Disk())


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
        except OSError:
            yield Damage(DamageKind.UNREADABLE, path, 0, path.stat().st_size)


def _torn_tail(path: Path, receipts: Path) -> Iterator[Damage]:
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        good = whole_length(file.fileno(), size, receipts)
    if good < size:
        yield Damage(DamageKind.TORN_TAIL, path, good, size - good)


def _copy_into(source: Path, target: Path, disk: Disk) -> int:
    if not (source / "projects").is_dir():
        raise StoreError(f"cannot copy {source}: it holds no projects", hint="check the path")
    there = sorted({path.name for path in source.iterdir()} & _names_in(target))
    if there:
        raise StoreError(
            f"cannot copy {source} to {target}: there are {there[-1]} already",
            hint="name a new or empty directory",
        )
    if target.resolve().is_relative_to(source.resolve()):
        raise StoreError(
            f"cannot copy {source} into itself, to {target}",
            hint="name a directory outside the data directory",
        )
    try:
        # Under a temporary name until it is whole: a killed copy is never taken for one.
        staging = target / f"{TEMPORARY_PREFIX}copy"
        if staging.exists():
            shutil.rmtree(staging)
        disk.make_directory(staging)
        copied = _copy_directory(disk, source, staging)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == "projects"):
            disk.sync_directory(target)
            disk.rename(path, target / path.name)
        staging.rmdir()
        disk.sync_directory(target)
    except OSError as exc:
        raise StoreError(
            f"cannot copy {source} to {target}: {exc}", hint="check free space and permissions"
        ) from exc
    return copied


def _names_in(directory: Path) -> set[str]:
    """What a directory holds that a copy would have to replace."""
    if not directory.exists():
        return set()
    return {path.name for path in directory.iterdir() if not is_left_out_of_copies(path)}


def _copy_directory(disk: Disk, source: Path, target: Path) -> int:
    copied = 0
    seen: set[str] = set()
    is_complete = False
    while not is_complete:
        is_complete = True
        for path in _to_copy(source, seen):
            seen.add(path.name)
            try:
                copied += _copy_entry(disk, path, target / path.name)
            except FileNotFoundError:
                if os.path.lexists(path):
                    raise
                # Compressed, rewritten or renamed under us: what it became is there to be
                # listed now, and what was copied of a directory by its old name is not wanted.
                shutil.rmtree(target / path.name, ignore_errors=True)
                is_complete = False
    disk.sync_directory(target)
    return copied


def _to_copy(source: Path, seen: set[str]) -> list[Path]:
    found = [path for path in source.iterdir() if path.name not in seen]
    # Sidecars come after their shards, so that they speak of every byte that was copied.
    return sorted(
        (path for path in found if not is_left_out_of_copies(path)),
        key=lambda path: (path.suffix == RECEIPTS_SUFFIX, path.name),
    )


def _copy_entry(disk: Disk, source: Path, target: Path) -> int:
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return 0
    if source.is_dir():
        disk.make_directory(target)
        # Retention holds them while it deletes, so no trace is copied in part.
        is_spans = source == ProjectPaths(source.parent).spans
        with held(source, is_shared=True) if is_spans else nullcontext():
            return _copy_directory(disk, source, target)
    return _copy_file(disk, source, target)


def _copy_file(disk: Disk, source: Path, target: Path) -> int:
    with source.open("rb") as file:
        fd = disk.create(target)
        try:
            while data := file.read(_COPY_BYTES):
                view = memoryview(data)
                while view:
                    view = view[disk.write(fd, view) :]
            if source.suffix == PLAIN_SUFFIX:
                disk.truncate(fd, _whole_bytes(file.fileno(), source, target))
            disk.sync(fd)
            copied = os.fstat(fd).st_size
        finally:
            os.close(fd)
    shutil.copystat(source, target)
    return copied


def _whole_bytes(source_fd: int, source: Path, copy: Path) -> int:
    """How much of a copied shard, or other file of lines, to keep."""
    complete = _complete_bytes(copy)
    receipts = read_receipts(source.with_suffix(RECEIPTS_SUFFIX), opened_unix_ns=0)
    return receipts.whole_to(complete, length_now_bytes=os.fstat(source_fd).st_size)


def _complete_bytes(path: Path) -> int:
    """Length of *path* up to and with its last newline."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _COPY_BYTES)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                return start + place + 1
            end = start
    return 0
