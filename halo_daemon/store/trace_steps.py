"""The steps of traces, from the index: what tools they called, and what their errors say."""

from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.ids import trace_key
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.records import MAX_STEPS, TraceRecord, TraceSteps
from halo_daemon.store.rollups import Version, load_stored
from halo_daemon.store.span_row import ERROR_FLAGS

_FIRST = f"ORDER BY s.start_ns, s.span_id LIMIT {MAX_STEPS}"
_TOOLS = f"""
SELECT h.tool FROM spans s JOIN shapes h ON h.id = s.shape
WHERE s.trace_id = ? AND s.superseded = 0 AND h.tool != '' {_FIRST}
"""  # noqa: S608 -- constants
_MESSAGES = f"""
SELECT coalesce(s.message, '') FROM spans s
WHERE s.trace_id = ? AND s.superseded = 0 AND s.flags & {ERROR_FLAGS} {_FIRST}
"""  # noqa: S608 -- constants
_MESSAGE = """
SELECT coalesce(message, '') FROM spans WHERE trace_id = ? AND span_id = ? AND superseded = 0
"""


def with_steps(index: ProjectIndex, record: TraceRecord) -> TraceRecord:
    """The record of a trace with `TraceRecord.steps`."""
    key = trace_key(record.trace_id)
    days = index.days_of(key) if key is not None else []
    if key is None or not days:
        return record._replace(steps=TraceSteps((), ()))
    steps = _of_several(days, key) if len(days) > 1 else _of_one(days[0], key, record)
    return record._replace(steps=steps)


def _of_one(day: DayIndex, trace_id: bytes, record: TraceRecord) -> TraceSteps:
    tools = day.connection.execute(_TOOLS, (trace_id,))
    has_errors = record.error_spans + record.derived_error_spans > 0
    messages = day.connection.execute(_MESSAGES, (trace_id,)) if has_errors else ()
    return TraceSteps(tuple(tool for (tool,) in tools), tuple(text for (text,) in messages))


def _of_several(days: list[DayIndex], trace_id: bytes) -> TraceSteps:
    stored = load_stored({day: [trace_id] for day in days}).get(trace_id)
    spans = stored.spans if stored is not None else []
    by_name = {day.day: day for day in days}
    failed = [span for span in spans if span.flags & ERROR_FLAGS][:MAX_STEPS]
    return TraceSteps(
        tuple([span.tool for span in spans if span.tool][:MAX_STEPS]),
        tuple(_message(by_name[span.day], span) for span in failed),
    )


def _message(day: DayIndex, span: Version) -> str:
    row = day.connection.execute(_MESSAGE, (span.trace_id, span.span_id)).fetchone()
    return str(row[0]) if row else ""
