"""
Deleting old traces, whole ones only.

Theory of operation
===================

A trace goes when its last span was received too long ago, or when newer traces
alone fill the project's share of bytes or its count. Then every line of it
goes, in every shard and day, so no trace is ever left in part.

A shard of which every line goes is unlinked. One that holds others too is
written anew under a new name, without the lines that go, and the old one
unlinked after the new one is durable. A crash in between leaves both: every
span is then there twice and counts once, and the next run finishes.

Writers go on meanwhile. So it is settled first which shards no writer holds open:
they never grow again, and only they are touched, as the index that is brought up to
date afterwards knows every line of them. A trace with a line elsewhere stays: it is
among the newest. A backup holds the project's spans, so that it finds no trace
of which some lines are gone already.

A shard of which lines have to stay and cannot be read is left as it is, for people to look
at; so what it holds of a trace that goes stays too.

The indexes of those days are thrown away, and built again by the next question.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from halo_daemon.errors import StoreError
from halo_daemon.store.disk import Disk, held
from halo_daemon.store.leftovers import remove_empty_days
from halo_daemon.store.paths import DayPaths, ProjectPaths, ShardName
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.rewrite import Part, ReceivedLine, lock_plain, replace_shard
from halo_daemon.store.seekable import DamagedShardError
from halo_daemon.store.shard_files import open_shard

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_NANOS = 10**9
_MAX_PART_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Retention:
    """How long traces of one project are kept; None means without limit."""

    max_age_s: float | None = None
    """Since the trace's last span was received."""
    max_bytes: int | None = None
    """Uncompressed bytes of lines."""
    max_traces: int | None = None


class Pruned(NamedTuple):
    """What `prune` did, or would do."""

    traces: int
    line_bytes: int
    shards_deleted: int
    shards_rewritten: int


class _Line(NamedTuple):
    offset: int
    length: int
    received_ns: int


def prune(
    paths: ProjectPaths,
    retention: Retention,
    *,
    now_unix_ns: int,
    dry_run: bool = False,
    disk: Disk | None = None,
) -> Pruned:
    """
    Delete the traces of one project that *retention* does not keep.

    The caller holds the data directory's lock, or runs in the process that does.
    With *dry_run* nothing is changed.

    Raises:
        StoreError: The index cannot be read, or a backup copies the project just now.
        OSError: The disk refused; what was done so far stays, nothing is in part.
    """
    if dry_run:
        return _prune(paths, retention, now_unix_ns, None)
    if not paths.spans.is_dir():
        return Pruned(0, 0, 0, 0)
    try:
        with held(paths.spans, waits=False):
            return _prune(paths, retention, now_unix_ns, disk or Disk())
    except BlockingIOError as exc:
        raise StoreError(
            f"cannot prune project `{paths.slug}` while a backup copies it",
            hint="prune again when the backup is done; a daemon does so by itself",
        ) from exc


def _prune(
    paths: ProjectPaths, retention: Retention, now_unix_ns: int, disk: Disk | None
) -> Pruned:
    sealed = _sealed_shards(paths)
    index = ProjectIndex(paths, now_unix_ns=lambda: now_unix_ns)
    try:
        doomed = index.answer(lambda: _doomed(index, retention, now_unix_ns, sealed))
        if not doomed:
            return Pruned(0, 0, 0, 0)
        plans = [
            (day.paths, stem, *_plan(index, day.day, stem, doomed))
            for day in index.days
            for stem in day.paths.stems()
            if ShardName(day.day, stem) in sealed
        ]
    finally:
        index.close()
    deleted = rewritten = 0
    changed_days: set[str] = set()
    for day_paths, stem, kept, goes in plans:
        if not goes or (disk is not None and not _replace(disk, day_paths, stem, kept)):
            continue
        deleted += not kept
        rewritten += bool(kept)
        changed_days.add(day_paths.day)
    if disk is not None:
        _forget(index, changed_days)
        remove_empty_days(paths)
    return Pruned(len(doomed), sum(doomed.values()), deleted, rewritten)


def _doomed(
    index: ProjectIndex, retention: Retention, now_unix_ns: int, sealed: set[ShardName]
) -> dict[bytes, int]:
    """Bytes of each trace that goes."""
    last: dict[bytes, int] = {}
    size: dict[bytes, int] = {}
    for day in index.days:
        rows = day.connection.execute("SELECT trace_id, last_received_ns, bytes FROM traces")
        for trace_id, received_ns, line_bytes in rows:
            last[trace_id] = max(received_ns, last.get(trace_id, 0))
            size[trace_id] = size.get(trace_id, 0) + line_bytes
    oldest_ns = (
        now_unix_ns - int(retention.max_age_s * _NANOS) if retention.max_age_s is not None else 0
    )
    in_use = _traces_in_use(index, sealed)
    kept_bytes = 0
    doomed = {}
    newest_first = sorted(last, key=lambda key: (-last[key], key))
    for kept_traces, trace_id in enumerate(newest_first, start=1):
        kept_bytes += size[trace_id]
        if trace_id not in in_use and (
            last[trace_id] < oldest_ns
            or (retention.max_traces is not None and kept_traces > retention.max_traces)
            or (retention.max_bytes is not None and kept_bytes > retention.max_bytes)
        ):
            doomed[trace_id] = size[trace_id]
    return doomed


def _sealed_shards(paths: ProjectPaths) -> set[ShardName]:
    """The shards that no writer holds open; none of them ever grows again."""
    found: set[ShardName] = set()
    for day in paths.days():
        for stem in day.stems():
            fd = lock_plain(day, stem)
            if fd is None:
                continue
            is_sealed = True
            if fd >= 0:
                # A writer creates the file before it holds it, and holds it before it writes.
                is_sealed = os.fstat(fd).st_size > 0
                os.close(fd)
            if is_sealed:
                found.add(ShardName(day.day, stem))
    return found


def _traces_in_use(index: ProjectIndex, sealed: set[ShardName]) -> set[bytes]:
    """Traces with a line in a shard that may grow; they cannot go whole."""
    found: set[bytes] = set()
    for day in index.days:
        for stem in day.paths.stems():
            if ShardName(day.day, stem) not in sealed:
                rows = day.connection.execute(_TRACES_OF_SHARD, (stem,))
                found.update(trace_id for (trace_id,) in rows)
    return found


_TRACES_OF_SHARD = """
SELECT DISTINCT s.trace_id FROM spans s JOIN shards d ON d.id = s.shard WHERE d.stem = ?
"""


def _plan(
    index: ProjectIndex, day_name: str, stem: str, doomed: dict[bytes, int]
) -> tuple[list[_Line], int]:
    """The lines of a shard that stay, in order, and how many go."""
    day = index.open_day(day_name)
    assert day is not None
    rows = day.connection.execute(
        "SELECT s.trace_id, s.offset, s.length, s.received_ns FROM spans s"
        " JOIN shards d ON d.id = s.shard WHERE d.stem = ? ORDER BY s.offset",
        (stem,),
    )
    kept, goes = [], 0
    for trace_id, *line in rows:
        if trace_id in doomed:
            goes += 1
        else:
            kept.append(_Line(*line))
    return kept, goes


def _replace(disk: Disk, day: DayPaths, stem: str, kept: list[_Line]) -> bool:
    """Delete a shard, after writing the lines that stay to a new one; False if it must stay."""
    try:
        return replace_shard(disk, day, stem, _parts(day, stem, kept) if kept else None)
    except DamagedShardError as exc:
        log.warning("shard_not_pruned", day=day.day, shard=stem, error=str(exc))
        return False


def _parts(day: DayPaths, stem: str, kept: list[_Line]) -> Iterator[Part]:
    with closing(open_shard(day, stem)) as reader:
        part: Part = []
        size_bytes = 0
        for line in kept:
            data = reader.read(line.offset, line.length) + b"\n"
            part.append(ReceivedLine(line.received_ns, data))
            size_bytes += line.length
            if size_bytes > _MAX_PART_BYTES:
                yield part
                part, size_bytes = [], 0
        yield part


def _forget(index: ProjectIndex, days: set[str]) -> None:
    """Throw the indexes of *days* away; readers would find out by themselves, and warn."""
    for day in sorted(days):
        index.rebuild(day)
    index.close()
