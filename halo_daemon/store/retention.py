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

What is to go is noted first, durably: which traces, from which shards. A run that was
cut short between two shards leaves traces in part until `finish_prune` does the rest,
which a daemon does as soon as it runs again. It takes away what was noted and nothing
else, so a span that comes after the crash stays.

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
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from halo_daemon.errors import StoreError
from halo_daemon.log import get_logger
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.disk import Disk, held, write_atomically
from halo_daemon.store.leftovers import remove_empty_days
from halo_daemon.store.paths import DayPaths, ProjectPaths, ShardName
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.rewrite import Part, ReceivedLine, lock_plain, replace_shard
from halo_daemon.store.seekable import DamagedShardError
from halo_daemon.store.shard_files import open_shard

log = get_logger()

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


class _Plan(NamedTuple):
    """What is to be done to one shard of which lines go."""

    day: DayPaths
    stem: str
    kept: list[_Line]


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
        OSError: The disk refused; what was done so far stays, `finish_prune` does the rest.
    """
    if dry_run:
        return _prune(paths, retention, now_unix_ns, None)
    if not paths.spans.is_dir():
        return Pruned(0, 0, 0, 0)
    disk = disk or Disk()
    finish_prune(paths, now_unix_ns=now_unix_ns, disk=disk)
    with _spans_held(paths):
        return _prune(paths, retention, now_unix_ns, disk)


def finish_prune(paths: ProjectPaths, *, now_unix_ns: int, disk: Disk | None = None) -> bool:
    """
    Do what a `prune` that was cut short did not come to; usually nothing.

    The caller holds the data directory's lock, or runs in the process that does.

    Returns:
        Whether there was anything to finish.

    Raises:
        StoreError: The index cannot be read, or a backup copies the project just now.
        OSError: The disk refused; the next call goes on.
    """
    if not paths.pruning.exists():
        return False
    with _spans_held(paths):
        index = ProjectIndex(paths, now_unix_ns=lambda: now_unix_ns)
        try:
            index.catch_up()
            plans = _plans(index, *_read_note(paths))
        finally:
            index.close()
        _carry_out(disk or Disk(), paths, index, plans)
    log.info("prune_finished", project=paths.slug, shards=len(plans))
    return True


@contextmanager
def _spans_held(paths: ProjectPaths) -> Iterator[None]:
    try:
        with held(paths.spans, waits=False):
            yield
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
        plans = _plans(index, doomed, sealed)
    finally:
        index.close()
    if disk is not None:
        _write_note(disk, paths, doomed, plans)
        plans = _carry_out(disk, paths, index, plans)
    deleted = sum(not plan.kept for plan in plans)
    return Pruned(len(doomed), sum(doomed.values()), deleted, len(plans) - deleted)


def _carry_out(
    disk: Disk, paths: ProjectPaths, index: ProjectIndex, plans: list[_Plan]
) -> list[_Plan]:
    """Change the shards, then forget what was noted; returns the plans that came about."""
    done = [plan for plan in plans if _replace(disk, plan)]
    _forget(index, {plan.day.day for plan in done})
    remove_empty_days(disk, paths)
    disk.unlink(paths.pruning)
    disk.sync_directory(paths.directory)
    return done


def _write_note(
    disk: Disk, paths: ProjectPaths, doomed: Collection[bytes], plans: list[_Plan]
) -> None:
    note = {
        "traces": [trace_id.hex() for trace_id in doomed],
        "shards": [[plan.day.day, plan.stem] for plan in plans],
    }
    write_atomically(disk, paths.pruning, orjson.dumps(note))


def _read_note(paths: ProjectPaths) -> tuple[set[bytes], set[ShardName]]:
    """What was to go, from where; nothing when somebody damaged the note."""
    try:
        note = orjson.loads(paths.pruning.read_bytes())
        return (
            {bytes.fromhex(trace_id) for trace_id in note["traces"]},
            {ShardName(*shard) for shard in note["shards"]},
        )
    except (ValueError, KeyError, TypeError) as exc:
        log.warning("prune_note_damaged", path=str(paths.pruning), error=str(exc))
        return set(), set()


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


def _plans(index: ProjectIndex, doomed: Collection[bytes], sealed: set[ShardName]) -> list[_Plan]:
    """What is to be done to those of the *sealed* shards that have lines which go."""
    return [
        plan
        for day in index.days
        for stem in day.paths.stems()
        if ShardName(day.day, stem) in sealed and (plan := _plan(day, stem, doomed)) is not None
    ]


def _plan(day: DayIndex, stem: str, doomed: Collection[bytes]) -> _Plan | None:
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
    return _Plan(day.paths, stem, kept) if goes else None


def _replace(disk: Disk, plan: _Plan) -> bool:
    """Delete a shard, after writing the lines that stay to a new one; False if it must stay."""
    day, stem, kept = plan
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
