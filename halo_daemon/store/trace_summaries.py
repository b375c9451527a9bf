"""Rows of a list of traces: from the running figures of a day, or from merged spans."""

from collections.abc import Sequence

from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.ids import id_of
from halo_daemon.store.rollups import StoredTrace, load_stored
from halo_daemon.store.trace_reader import TraceSummary

_MAX_MARKS = 500

_FIGURES = """
SELECT trace_id, missing_parents, first_start_ns, end_ns, last_received_ns, spans, error_spans,
       input_tokens, output_tokens,
       CASE WHEN first_session = last_session THEN first_session ELSE '' END
FROM traces WHERE trace_id IN ({marks})
"""
_FIRST_ROOT = """
SELECT name, service FROM spans JOIN shapes ON shapes.id = shape
WHERE trace_id = ? AND superseded = 0 AND parent_id IS NULL ORDER BY start_ns, span_id LIMIT 1
"""


def summaries_of_day(day: DayIndex, trace_ids: Sequence[bytes]) -> dict[bytes, TraceSummary]:
    """What *day*, which alone holds these traces, says of them."""
    found: dict[bytes, TraceSummary] = {}
    odd: list[bytes] = []
    execute = day.connection.execute
    for start in range(0, len(trace_ids), _MAX_MARKS):
        part = trace_ids[start : start + _MAX_MARKS]
        rows = execute(_FIGURES.format(marks=", ".join("?" * len(part))), part).fetchall()
        for trace_id, missing_parents, *figures in rows:
            root = None if missing_parents else execute(_FIRST_ROOT, (trace_id,)).fetchone()
            if root is None:
                # The root is a span whose parent is not stored, or there is none: its tree tells.
                odd.append(trace_id)
            else:
                found[trace_id] = TraceSummary(id_of(trace_id), *root, *figures)
    stored = load_stored({day: odd})
    return found | {trace_id: summary_of(trace) for trace_id, trace in stored.items()}


def summary_of(trace: StoredTrace) -> TraceSummary:
    """What the merged spans of a trace say."""
    root = trace.root
    return TraceSummary(
        trace_id=id_of(trace.trace_id),
        root_name=root.name if root else "",
        service_name=(root or trace.spans[0]).service,
        start_unix_ns=trace.spans[0].start_ns,
        end_unix_ns=max(span.end_ns for span in trace.spans),
        last_received_unix_ns=trace.last_received_ns,
        spans=len(trace.spans),
        error_spans=trace.error_spans,
        input_tokens=sum(span.input_tokens or 0 for span in trace.counted),
        output_tokens=sum(span.output_tokens or 0 for span in trace.counted),
        session_id=trace.session,
    )
