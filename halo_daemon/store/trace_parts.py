"""
Parts of traces that are too large for one answer.

A trace may have millions of spans, by an exporter that gives all of them one id. SQLite
finds the first of them, and only the rows of the part are ever in memory.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from halo_daemon.errors import QueryError
from halo_daemon.proto.trace import Cut
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.ids import id_of, span_key
from halo_daemon.store.paths import ShardName
from halo_daemon.store.shard_files import Extent
from halo_daemon.store.trace_lines import SpanLine
from halo_daemon.store.trace_reader import SPAN_BYTES

_ID_CHARS = 64
_PAGE_ROWS = 16_384
_ROLLUP = """
SELECT bytes, spans + duplicates AS versions, last_received_ns, duplicates, ended_roots
FROM traces WHERE trace_id = ?
"""
_WINNERS = """
SELECT start_ns, span_id, stem, offset, length, parent_id IS NULL AND end_ns > 0, end_ns,
       received_ns, crc
FROM spans JOIN shards ON shards.id = shard
WHERE trace_id = ? AND superseded = 0
"""
_WINNER = f"{_WINNERS} AND span_id = ?"
_WINNERS_BY_ID = f"{_WINNERS} ORDER BY span_id"
_NEXT_WINNERS = f"""
{_WINNERS} AND (start_ns, span_id) > (?, ?) ORDER BY start_ns, span_id LIMIT {_PAGE_ROWS}
"""
_REST = """
SELECT count(*), coalesce(sum(length), 0) FROM spans
WHERE trace_id = ? AND superseded = 0 AND (start_ns, span_id) > (?, ?)
"""


_Started = tuple[int, SpanLine]
"""The start of a span, and its line."""


class _Place(NamedTuple):
    """Where a span stands among those of its trace."""

    start_ns: int
    span_id: bytes


_FRONT = _Place(-1, b"")


class _Rollup(NamedTuple):
    """What the index of one day knows of a trace."""

    line_bytes: int
    versions: int
    last_received_ns: int
    duplicates: int
    ended_roots: int


class _Whole(NamedTuple):
    """What is known of a whole trace, and what of it stands behind a place."""

    duplicates: int
    has_ended_root: bool
    rest_spans: int
    rest_bytes: int


class TracePart(NamedTuple):
    """Where the lines of a part lie, and what is known of the whole trace."""

    trace_id: bytes
    lines: list[SpanLine]
    """By start and then by id; empty when nothing follows."""

    duplicates: int
    last_received_ns: int
    has_ended_root: bool
    cut: Cut | None


def size_of(line_bytes: int, spans: int) -> int:
    """What spans count in an answer, in bytes."""
    return line_bytes + spans * SPAN_BYTES


def stored_size(days: Iterable[DayIndex], trace_id: bytes) -> int:
    """What all versions of the spans of a trace count; 0 when there is none."""
    return sum(size_of(row.line_bytes, row.versions) for row in _rollups(days, trace_id))


def find_part(
    days: Sequence[DayIndex], trace_id: bytes, *, after: str, max_bytes: int
) -> TracePart | None:
    """
    Find the first spans of a trace behind *after* that *max_bytes* hold, at least one.

    *days* are all that may hold the trace. None when none does.

    Raises:
        QueryError: The trace has no span *after*.
    """
    rollups = _rollups(days, trace_id)
    if not rollups:
        return None
    place = _place_of(days, trace_id, after) if after else _FRONT
    lines: list[SpanLine] = []
    for start_ns, line in _in_order(days, trace_id, place):
        max_bytes -= size_of(line.extent.length, 1)
        if lines and max_bytes < 0:
            break
        lines.append(line)
        place = _Place(start_ns, line.span_id)
    look = _look_at_one if len(days) == 1 else _look_at_many
    whole = look(days, trace_id, rollups, place)
    return TracePart(
        trace_id,
        lines,
        whole.duplicates,
        max(row.last_received_ns for row in rollups),
        whole.has_ended_root,
        Cut(whole.rest_spans, whole.rest_bytes, id_of(place.span_id)) if whole.rest_spans else None,
    )


def _rollups(days: Iterable[DayIndex], trace_id: bytes) -> list[_Rollup]:
    rows = (day.connection.execute(_ROLLUP, (trace_id,)).fetchone() for day in days)
    return [_Rollup(*row) for row in rows if row is not None]


def _in_order(days: Sequence[DayIndex], trace_id: bytes, after: _Place) -> Iterator[_Started]:
    """Start and line of the spans behind a place, by start and then by id."""
    streams = [_day_in_order(day, trace_id, after) for day in days]
    for start_ns, line in heapq.merge(*streams, key=_place):
        if len(days) == 1 or not _is_beaten(line, days):
            yield start_ns, line


def _day_in_order(day: DayIndex, trace_id: bytes, after: _Place) -> Iterator[_Started]:
    """The same, for the versions that count in one day."""
    while True:
        rows = day.connection.execute(_NEXT_WINNERS, (trace_id, *after)).fetchall()
        for row in rows:
            yield row[0], _line_of(day, trace_id, row)
        if len(rows) < _PAGE_ROWS:
            return
        after = _Place(*rows[-1][:2])


def _look_at_one(
    days: Sequence[DayIndex], trace_id: bytes, rollups: Sequence[_Rollup], place: _Place
) -> _Whole:
    """What is known of a trace of one day, and what stands behind *place*."""
    (rollup,) = rollups
    rest = days[0].connection.execute(_REST, (trace_id, *place)).fetchone()
    return _Whole(rollup.duplicates, rollup.ended_roots > 0, *rest)


def _look_at_many(
    days: Sequence[DayIndex], trace_id: bytes, rollups: Sequence[_Rollup], place: _Place
) -> _Whole:
    """The same for a trace of several days, whose versions may beat each other."""
    spans = rest_spans = rest_bytes = 0
    has_ended_root = False
    for start_ns, line in _merged(days, trace_id):
        spans += 1
        has_ended_root = has_ended_root or bool(line.is_ended_root)
        if (start_ns, line.span_id) > place:
            rest_spans += 1
            rest_bytes += line.extent.length
    duplicates = sum(row.versions for row in rollups) - spans
    return _Whole(duplicates, has_ended_root, rest_spans, rest_bytes)


def _merged(days: Sequence[DayIndex], trace_id: bytes) -> Iterator[_Started]:
    """Start and line of the version of each span that counts, by id, as the indexes have them."""
    streams = [_day_by_id(day, trace_id) for day in days]
    for _, versions in groupby(heapq.merge(*streams, key=_span_id), key=_span_id):
        yield max(versions, key=_rank)


def _day_by_id(day: DayIndex, trace_id: bytes) -> Iterator[_Started]:
    for row in day.connection.execute(_WINNERS_BY_ID, (trace_id,)):
        yield row[0], _line_of(day, trace_id, row)


def _place(started: _Started) -> _Place:
    return _Place(started[0], started[1].span_id)


def _span_id(started: _Started) -> bytes:
    return started[1].span_id


def _rank(started: _Started) -> tuple[int, int, Extent]:
    return started[1].rank


def _line_of(day: DayIndex, trace_id: bytes, row: Sequence[Any]) -> SpanLine:
    _, span_id, stem, offset, length, *rest = row
    return SpanLine(Extent(ShardName(day.day, stem), offset, length), trace_id, span_id, *rest)


def _found(days: Iterable[DayIndex], trace_id: bytes, span_id: bytes) -> Iterator[_Started]:
    """Start and line of one span in each day that has it."""
    for day in days:
        row = day.connection.execute(_WINNER, (trace_id, span_id)).fetchone()
        if row is not None:
            yield row[0], _line_of(day, trace_id, row)


def _is_beaten(line: SpanLine, days: Sequence[DayIndex]) -> bool:
    """Whether another day has a version that counts instead."""
    others = [day for day in days if day.day != line.extent.shard.day]
    return any(other.rank > line.rank for _, other in _found(others, line.trace_id, line.span_id))


def _place_of(days: Iterable[DayIndex], trace_id: bytes, span_id: str) -> _Place:
    key = span_key(span_id)
    found = list(_found(days, trace_id, key)) if key is not None else []
    if not found:
        raise QueryError(
            f"cannot go on after span `{span_id[:_ID_CHARS]}`: trace {id_of(trace_id)} has none",
            hint="pass the span that the part before ended with",
        )
    start_ns, line = max(found, key=_rank)
    return _Place(start_ns, line.span_id)
