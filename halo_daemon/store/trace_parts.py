"""
Parts of traces that are too large for one answer.

A trace may have millions of spans, by an exporter that gives all of them one id. SQLite
finds the first of them, and only the rows of the part are ever in memory.
"""

from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.errors import QueryError
from halo_daemon.proto.trace import Cut
from halo_daemon.store import index_schema as sql
from halo_daemon.store.ids import id_of, span_key
from halo_daemon.store.shard_files import Extent
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.trace_lines import SpanLine, TraceFigures
from halo_daemon.store.trace_reader import SPAN_BYTES

_ID_CHARS = 64
_PAGE_ROWS = 16_384
_NEXT = f"""
SELECT start_ns, span_id, stem, offset, length, crc FROM spans JOIN shards ON shards.id = shard
WHERE trace_id = ? AND superseded = 0 AND (start_ns, span_id) > (?, ?)
ORDER BY start_ns, span_id LIMIT {_PAGE_ROWS}
"""  # noqa: S608 -- constants
_REST = """
SELECT count(*), coalesce(sum(length), 0) FROM spans
WHERE trace_id = ? AND superseded = 0 AND (start_ns, span_id) > (?, ?)
"""


class _Place(NamedTuple):
    """Where a span stands among those of its trace."""

    start_ns: int
    span_id: bytes


_FRONT = _Place(-1, b"")


class TracePart(NamedTuple):
    """Where the lines of a part lie, and what is known of the whole trace."""

    trace_id: bytes
    figures: TraceFigures
    lines: list[SpanLine]
    """By start and then by id; empty when nothing follows."""

    cut: Cut | None


def size_of(line_bytes: int, spans: int) -> int:
    """What spans count in an answer, in bytes."""
    return line_bytes + spans * SPAN_BYTES


def find_part(
    index: SpanIndex, trace_id: bytes, figures: TraceFigures, *, after: str, max_bytes: int
) -> TracePart:
    """
    Find the first spans of a trace behind *after* that *max_bytes* hold, at least one.

    Raises:
        QueryError: The trace has no span *after*.
    """
    place = _place_of(index, trace_id, after) if after else _FRONT
    lines: list[SpanLine] = []
    for start_ns, line in _in_order(index, trace_id, place):
        max_bytes -= size_of(line.extent.length, 1)
        if lines and max_bytes < 0:
            break
        lines.append(line)
        place = _Place(start_ns, line.span_id)
    spans, line_bytes = index.connection.execute(_REST, (trace_id, *place)).fetchone()
    cut = Cut(spans, line_bytes, id_of(place.span_id)) if spans else None
    return TracePart(trace_id, figures, lines, cut)


def _in_order(index: SpanIndex, trace_id: bytes, after: _Place) -> Iterator[tuple[int, SpanLine]]:
    """Start and line of the spans behind a place, by start and then by id."""
    while True:
        rows = index.connection.execute(_NEXT, (trace_id, *after)).fetchall()
        for start_ns, span_id, stem, offset, length, crc in rows:
            extent = Extent(index.shard(stem), offset, length)
            yield start_ns, SpanLine(extent, trace_id, span_id, crc)
        if len(rows) < _PAGE_ROWS:
            return
        after = _Place(*rows[-1][:2])


def _place_of(index: SpanIndex, trace_id: bytes, span_id: str) -> _Place:
    key = span_key(span_id)
    found = key and index.connection.execute(sql.FIND_START, (trace_id, key)).fetchone()
    if key is None or not found:
        raise QueryError(
            f"cannot go on after span `{span_id[:_ID_CHARS]}`: trace {id_of(trace_id)} has none",
            hint="pass the span that the part before ended with",
        )
    return _Place(found[0], key)
