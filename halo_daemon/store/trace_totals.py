"""What many traces hold together, over the indexes of a project."""

from functools import reduce
from itertools import chain
from typing import Any

from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.query import TraceTotals
from halo_daemon.store.records import TraceNames
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_sql import Condition
from halo_daemon.store.trace_names import unpacked
from halo_daemon.store.trace_query import matching_traces, sums_of
from halo_daemon.store.trace_reader import Window

_SUM_FIELDS = (
    "traces", "spans", "duplicate_spans", "error_traces", "signal_traces", "error_spans",
    "tool_error_spans", "spans_without_agent", "missing_parents", "skewed_spans", "open_traces",
    "input_tokens", "output_tokens", "cost_usd", "line_bytes",
)  # fmt: skip
_NAME_FIELDS = ("services", "models", "tools", "agents", "projects")
_FEW_TRACES = 500


def sum_traces(index: ProjectIndex, window: Window, wanted: TraceFilter) -> TraceTotals:
    """Add up the traces that *wanted* means, with all their names; the index has caught up."""
    totals = (_totals_of(part, window, wanted) for part in index.parts)
    return reduce(added, totals, TraceTotals())


def added(one: TraceTotals, other: TraceTotals) -> TraceTotals:
    """Both together; they have no trace in common."""
    if not one.traces or not other.traces:
        return other if other.traces else one
    sums: dict[str, Any] = {
        field: getattr(one, field) + getattr(other, field) for field in _SUM_FIELDS
    }
    sums["start_unix_ns"] = min(one.start_unix_ns, other.start_unix_ns)
    sums["end_unix_ns"] = max(one.end_unix_ns, other.end_unix_ns)
    for field in (*_NAME_FIELDS, "agent_ids"):
        sums[field] = tuple(sorted({*getattr(one, field), *getattr(other, field)}))
    return TraceTotals(**sums)


def _totals_of(part: SpanIndex, window: Window, wanted: TraceFilter) -> TraceTotals:
    if part.is_outside(window):
        return TraceTotals()
    condition = matching_traces(part, window, wanted)
    sums = sums_of(part, window, wanted)
    if not sums[0]:
        return TraceTotals()
    start_ns, end_ns = (
        part.connection.execute(
            f"SELECT {column} FROM traces t WHERE {condition} ORDER BY {column} {way} LIMIT 1",  # noqa: S608
            condition.parameters,
        ).fetchone()[0]
        for column, way in (("first_start_ns", "ASC"), ("end_ns", "DESC"))
    )
    return TraceTotals(
        **dict(zip(_SUM_FIELDS, sums, strict=True)),
        start_unix_ns=start_ns,
        end_unix_ns=end_ns,
        **(_names_of_few if sums[0] <= _FEW_TRACES else _names_of_many)(part, condition),
    )


def _names_of_few(part: SpanIndex, condition: Condition) -> dict[str, tuple[str, ...]]:
    """What the traces of a condition name, by what each of them does."""
    rows = part.connection.execute(
        f"SELECT DISTINCT t.names FROM traces t WHERE {condition}",  # noqa: S608 -- marks only
        condition.parameters,
    )
    lists = zip(*(unpacked(text) for (text,) in rows), strict=True)
    return {
        field: tuple(sorted(set(chain.from_iterable(names))))
        for field, names in zip(TraceNames._fields, lists, strict=True)
    }


def _names_of_many(part: SpanIndex, condition: Condition) -> dict[str, tuple[str, ...]]:
    """The same by the shapes that they have."""
    # One matching trace is enough for a shape, so this stops early for nearly all.
    names = part.connection.execute(
        "SELECT service, model, tool, agent, project FROM shapes WHERE"  # noqa: S608 -- marks only
        " EXISTS (SELECT 1 FROM trace_shapes u JOIN traces t ON t.trace_id = u.trace_id"
        f" WHERE u.shape = shapes.id AND {condition})",
        condition.parameters,
    ).fetchall()
    agent_ids = part.connection.execute(
        "SELECT DISTINCT agent_id FROM trace_agents"  # noqa: S608 -- marks only
        f" WHERE trace_id IN (SELECT t.trace_id FROM traces t WHERE {condition})",
        condition.parameters,
    )
    lists = {
        field: tuple(sorted({row[place] for row in names} - {""}))
        for place, field in enumerate(_NAME_FIELDS)
    }
    return {**lists, "agent_ids": tuple(sorted(agent_id for (agent_id,) in agent_ids))}
