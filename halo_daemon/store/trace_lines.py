"""
Where the lines of traces lie: of the index as much as loading traces needs.

Windows of many spans are read through this, so each row is short.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from halo_daemon.store.shard_files import Extent
from halo_daemon.store.span_index import SpanIndex

_MAX_MARKS = 500
_FIGURES = """
SELECT trace_id, spans, duplicates, bytes, last_received_ns, ended_roots FROM traces
WHERE trace_id IN ({marks})
"""
_LINES = """
SELECT stem, offset, length, trace_id, span_id, crc FROM spans JOIN shards ON shards.id = shard
WHERE superseded = 0 AND trace_id IN ({marks})
"""


class SpanLine(NamedTuple):
    """The version of one span that counts, by its line."""

    extent: Extent
    trace_id: bytes
    span_id: bytes
    crc: int


class TraceFigures(NamedTuple):
    """What an index knows of a trace beside its spans."""

    spans: int
    duplicates: int
    """Versions beside those that count."""
    line_bytes: int
    """Of all versions."""
    last_received_ns: int
    """When the last version arrived."""
    ended_roots: int
    """Spans without a parent that have ended."""

    @property
    def has_ended_root(self) -> bool:
        """Whether a span without a parent has ended."""
        return self.ended_roots > 0


class TraceLines(NamedTuple):
    """The lines of one trace."""

    trace_id: bytes
    figures: TraceFigures
    lines: list[SpanLine]
    """In no order; fewer than the spans where the index is damaged."""


def figures_of(part: SpanIndex, trace_id: bytes) -> TraceFigures | None:
    """The figures of one trace; None when *part* has none of it."""
    row = part.connection.execute(_FIGURES.format(marks="?"), (trace_id,)).fetchone()
    return None if row is None else TraceFigures._make(row[1:])


def lines_of(part: SpanIndex, trace_id: bytes, figures: TraceFigures) -> TraceLines:
    """Look the lines of one trace up."""
    return TraceLines(trace_id, figures, list(_lines(part, [trace_id])))


def find_lines(part: SpanIndex, trace_ids: Sequence[bytes]) -> dict[bytes, TraceLines]:
    """
    Look the lines of traces up that *part* answers for.

    Returns:
        By trace id; a trace that it has not is left out.
    """
    found: dict[bytes, TraceLines] = {}
    for start in range(0, len(trace_ids), _MAX_MARKS):
        chunk = trace_ids[start : start + _MAX_MARKS]
        marks = ", ".join("?" * len(chunk))
        for trace_id, *figures in part.connection.execute(_FIGURES.format(marks=marks), chunk):
            found[trace_id] = TraceLines(trace_id, TraceFigures._make(figures), [])
        for line in _lines(part, chunk):
            if line.trace_id in found:
                found[line.trace_id].lines.append(line)
    return found


def _lines(part: SpanIndex, trace_ids: Sequence[bytes]) -> Iterator[SpanLine]:
    shard = part.shard
    rows = part.connection.execute(_LINES.format(marks=", ".join("?" * len(trace_ids))), trace_ids)
    for stem, offset, length, trace_id, span_id, crc in rows:
        yield SpanLine(Extent(shard(stem), offset, length), trace_id, span_id, crc)
