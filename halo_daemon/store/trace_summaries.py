"""Rows of a list of traces, from their running figures."""

from collections.abc import Sequence

from halo_daemon.store.ids import id_of
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.trace_reader import TraceSummary

_MAX_MARKS = 500

_FIGURES = """
SELECT trace_id, missing_parents, first_start_ns, end_ns, last_received_ns, spans, error_spans,
       input_tokens, output_tokens,
       CASE WHEN first_session = last_session THEN first_session ELSE '' END
FROM traces WHERE trace_id IN ({marks})
"""
_FIRST = """
SELECT name, service FROM spans s JOIN shapes ON shapes.id = s.shape
WHERE s.trace_id = ? AND s.superseded = 0 {condition} ORDER BY s.start_ns, s.span_id LIMIT 1
"""
_FIRST_ROOT = _FIRST.format(condition="AND s.parent_id IS NULL")
_FIRST_ORPHAN_OR_ROOT = _FIRST.format(
    condition="AND (s.parent_id IS NULL OR s.parent_id IN"
    " (SELECT m.parent_id FROM missing_parents m WHERE m.trace_id = s.trace_id))"
)
_FIRST_SPAN = _FIRST.format(condition="")


def summaries_of(part: SpanIndex, trace_ids: Sequence[bytes]) -> dict[bytes, TraceSummary]:
    """What *part*, which answers for these traces, says of them."""
    found: dict[bytes, TraceSummary] = {}
    execute = part.connection.execute
    for start in range(0, len(trace_ids), _MAX_MARKS):
        chunk = trace_ids[start : start + _MAX_MARKS]
        rows = execute(_FIGURES.format(marks=", ".join("?" * len(chunk))), chunk).fetchall()
        for trace_id, missing_parents, *figures in rows:
            root = _root_of(part, trace_id, has_missing_parents=missing_parents > 0)
            found[trace_id] = TraceSummary(id_of(trace_id), *root, *figures)
    return found


def _root_of(part: SpanIndex, trace_id: bytes, *, has_missing_parents: bool) -> tuple[str, str]:
    """Name and service of the earliest root; of a cycle no name, and its first span's service."""
    query = _FIRST_ORPHAN_OR_ROOT if has_missing_parents else _FIRST_ROOT
    root = part.connection.execute(query, (trace_id,)).fetchone()
    if root is not None:
        return root[0], root[1]
    _, service = part.connection.execute(_FIRST_SPAN, (trace_id,)).fetchone()
    return "", service
