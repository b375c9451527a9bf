"""The steps of traces, from the index: what tools they called, and what their errors say."""

from halo_daemon.store.ids import trace_key
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.records import MAX_STEPS, TraceRecord, TraceSteps
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


def with_steps(index: ProjectIndex, record: TraceRecord) -> TraceRecord:
    """The record of a trace with `TraceRecord.steps`."""
    key = trace_key(record.trace_id)
    part = index.holder(key) if key is not None else None
    if key is None or part is None:
        return record._replace(steps=TraceSteps((), ()))
    tools = part.connection.execute(_TOOLS, (key,))
    has_errors = record.error_spans + record.derived_error_spans > 0
    messages = part.connection.execute(_MESSAGES, (key,)) if has_errors else ()
    steps = TraceSteps(tuple(tool for (tool,) in tools), tuple(text for (text,) in messages))
    return record._replace(steps=steps)
