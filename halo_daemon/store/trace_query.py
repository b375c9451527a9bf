"""Pages of traces over the indexes of a project."""

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from halo_daemon.errors import QueryError
from halo_daemon.store import day_totals
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.ids import id_of
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.query import TraceOrder, TracePage, TraceQuery
from halo_daemon.store.records import TraceRecord
from halo_daemon.store.rollups import SHARED, traces_of
from halo_daemon.store.shape_counts import are_many, count_traces
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_sql import (
    TRACE_DURATION_NS,
    Condition,
    is_of_shape_only,
    shape_condition,
    span_condition,
    trace_condition,
)
from halo_daemon.store.trace_names import unpacked
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.trace_steps import with_steps

# In the order of `TraceRecord`.
_COLUMNS = """
    t.trace_id, t.first_start_ns, t.end_ns, t.spans, t.duplicates, t.error_spans,
    t.derived_errors, t.tool_errors, t.without_agent, t.missing_parents, t.skewed_spans,
    t.ended_roots > 0,
    CASE WHEN t.first_session = t.last_session THEN t.first_session ELSE '' END,
    CASE WHEN t.first_user = t.last_user THEN t.first_user ELSE '' END,
    t.input_tokens, t.output_tokens, t.cost_usd, t.bytes, t.names
"""
_ORDER = {
    TraceOrder.START: "t.first_start_ns",
    TraceOrder.DURATION: TRACE_DURATION_NS,
    TraceOrder.SPANS: "t.spans",
    TraceOrder.TOKENS: "t.input_tokens + t.output_tokens",
    TraceOrder.ERRORS: "t.error_spans",
}
_TOTALS = {
    TraceFilter(): day_totals.COLUMNS.index("traces"),
    TraceFilter(has_errors=True): day_totals.COLUMNS.index("error_traces"),
    TraceFilter(has_error_signals=True): day_totals.COLUMNS.index("signal_traces"),
    TraceFilter(is_open=True): day_totals.COLUMNS.index("open_traces"),
}
"""What the totals of an index count by themselves, and where."""

_Ranked = tuple[float, str, Sequence[Any]]
"""A place in the order, the trace id that tells equals apart, and the row of the trace."""


def query_traces(index: ProjectIndex, window: Window, query: TraceQuery) -> TracePage:
    """One page of traces; the index has caught up."""
    total = 0
    ways: list[Iterator[_Ranked]] = []
    for part in index.parts:
        count = _count_of(part, window, query.filter)
        if count:
            total += count
            ways.append(_first_of(part, window, query))
    # A part is read only as far as its traces are on the page, where an index has their order.
    ranked = islice(
        heapq.merge(*ways, key=itemgetter(0, 1)), query.offset, query.offset + query.limit
    )
    records = [_record(row, with_names=query.with_names) for _, _, row in ranked]
    if query.with_steps:
        records = [with_steps(index, record) for record in records]
    return TracePage(traces=tuple(records), total=total)


def matching_traces(
    part: SpanIndex, window: Window, wanted: TraceFilter, *, first: int | None = None
) -> Condition:
    """
    The condition on a row ``t`` of ``traces`` that *wanted* means and *part* answers for.

    *first* says that only so many rows are read, in the order of their start; else all.

    Raises:
        QueryError: A filter in ``any_span`` has conditions on attributes.
    """
    condition = trace_condition(wanted, Condition("t"))
    condition.add_of(*traces_of(part, window))
    for one in wanted.any_span:
        if one.attributes:
            raise QueryError(
                "cannot select traces by attributes of their spans",
                hint="ask for the spans with these attributes, and take their traces",
            )
        is_by_shape = is_of_shape_only(one)
        walks = is_by_shape and first is not None and are_many(part, one, first=first)
        _add_any_span(condition, one, is_by_shape=is_by_shape, walks=walks)
    return condition


def sums_of(part: SpanIndex, window: Window, wanted: TraceFilter) -> tuple[float, ...]:
    """Add up the traces that *wanted* means and *part* answers for, as `day_totals.COLUMNS`."""
    if wanted != TraceFilter() or not part.is_within(window):
        condition = matching_traces(part, window, wanted)
        query = f"SELECT {day_totals.SUMS} FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
        return tuple(part.connection.execute(query, condition.parameters).fetchone())
    sums = day_totals.read_totals(part.connection)
    if not part.has_shared:
        return sums
    query = f"SELECT {day_totals.SUMS} FROM traces t WHERE {SHARED}"  # noqa: S608 -- constants
    elsewhere = part.connection.execute(query).fetchone()
    return tuple(total - other for total, other in zip(sums, elsewhere, strict=True))


def _count_of(part: SpanIndex, window: Window, wanted: TraceFilter) -> int:
    if part.is_outside(window):
        return 0
    if part.is_within(window):
        counted = _TOTALS.get(wanted)
        if counted is not None:
            return int(sums_of(part, window, TraceFilter())[counted])
        one = wanted.any_span[0] if wanted.any_span else SpanFilter()
        if wanted == TraceFilter(any_span=(one,)) and is_of_shape_only(one):
            return count_traces(part, one)
    condition = matching_traces(part, window, wanted)
    count = f"SELECT count(*) FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
    (total,) = part.connection.execute(count, condition.parameters).fetchone()
    return int(total)


def _first_of(part: SpanIndex, window: Window, query: TraceQuery) -> Iterator[_Ranked]:
    """The first traces of an index, in order; its rows are read as they are asked for."""
    end = query.offset + query.limit
    is_by_start = query.order_by is TraceOrder.START
    condition = matching_traces(part, window, query.filter, first=end if is_by_start else None)
    sign, direction = (-1, "DESC") if query.descending else (1, "ASC")
    value = _ORDER[query.order_by]
    rows = part.connection.execute(
        f"SELECT {sign} * ({value}), {_COLUMNS} FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
        f" ORDER BY {value} {direction}, t.trace_id LIMIT {condition.mark(end)}",
        condition.parameters,
    )
    return ((rank, id_of(row[0]), row) for rank, *row in rows)


def _add_any_span(
    condition: Condition, wanted: SpanFilter, *, is_by_shape: bool, walks: bool
) -> None:
    span = Condition(f"q{len(condition.parts)}_")
    if is_by_shape:
        shapes = f"SELECT id FROM shapes WHERE {shape_condition(wanted, span) or '1'}"  # noqa: S608 -- marks only
        having = f"SELECT trace_id FROM trace_shapes u WHERE u.shape IN ({shapes})"  # noqa: S608 -- marks only
        condition.add(
            f"EXISTS ({having} AND u.trace_id = t.trace_id)"
            if walks
            else f"t.trace_id IN ({having})"
        )
    else:
        condition.add(
            "t.trace_id IN (SELECT s.trace_id FROM spans s"  # noqa: S608 -- marks only
            f" WHERE s.superseded = 0 AND {span_condition(wanted, span)})"
        )
    condition.parameters.update(span.parameters)


def _record(row: Sequence[Any], *, with_names: bool) -> TraceRecord:
    names = unpacked(row[18]) if with_names else None
    return TraceRecord._make((id_of(row[0]), *row[1:11], row[11] != 0, *row[12:18], names, None))
