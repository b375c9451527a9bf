"""Pages of traces over the indexes of a project."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from halo_daemon.errors import QueryError
from halo_daemon.store import day_totals
from halo_daemon.store.conditions import is_meant
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.ids import id_of
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.query import TraceOrder, TracePage, TraceQuery
from halo_daemon.store.records import TraceRecord
from halo_daemon.store.rollups import (
    SHARED,
    StoredTrace,
    shared_in_window,
    traces_of_day,
)
from halo_daemon.store.shape_counts import are_many, count_traces
from halo_daemon.store.span_sql import (
    RECORD_COLUMNS,
    TRACE_DURATION_NS,
    Condition,
    is_of_shape_only,
    record_from_row,
    shape_condition,
    span_condition,
    trace_condition,
)
from halo_daemon.store.trace_names import names_of, unpacked
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
_VALUE: dict[TraceOrder, Callable[[TraceRecord], float]] = {
    TraceOrder.START: lambda record: record.start_unix_ns,
    TraceOrder.DURATION: lambda record: record.duration_ns,
    TraceOrder.SPANS: lambda record: record.spans,
    TraceOrder.TOKENS: lambda record: record.input_tokens + record.output_tokens,
    TraceOrder.ERRORS: lambda record: record.error_spans,
}
_TOTALS = {
    TraceFilter(): day_totals.COLUMNS.index("traces"),
    TraceFilter(has_errors=True): day_totals.COLUMNS.index("error_traces"),
    TraceFilter(has_error_signals=True): day_totals.COLUMNS.index("signal_traces"),
    TraceFilter(is_open=True): day_totals.COLUMNS.index("open_traces"),
}
"""What a day's totals count by themselves, and where."""

_Ranked = tuple[float, str, TraceRecord | Sequence[Any]]
"""A place in the order, the trace id that tells equals apart, and the trace or its row."""


def query_traces(index: ProjectIndex, window: Window, query: TraceQuery) -> TracePage:
    """One page of traces; the index has caught up."""
    shared = [
        _record_of_shared(trace, with_names=query.with_names)
        for trace in shared_that_match(index, window, query.filter)
    ]
    total = len(shared)
    ways: list[Iterator[_Ranked]] = [iter(sorted(_rank(record, query) for record in shared))]
    for day in index.days:
        count = _count_of_day(day, window, query.filter)
        if count:
            total += count
            ways.append(_first_of_day(day, window, query))
    # A day is read only as far as its traces are on the page, where an index has their order.
    ranked = islice(
        heapq.merge(*ways, key=itemgetter(0, 1)), query.offset, query.offset + query.limit
    )
    records = [
        found if isinstance(found, TraceRecord) else _record(found, with_names=query.with_names)
        for _, _, found in ranked
    ]
    if query.with_steps:
        records = [with_steps(index, record) for record in records]
    return TracePage(traces=tuple(records), total=total)


def shared_that_match(
    index: ProjectIndex, window: Window, wanted: TraceFilter
) -> list[StoredTrace]:
    """Traces of several days that are in *window* and that *wanted* means, by trace id."""
    return [
        trace
        for trace in shared_in_window(index, window)
        if is_trace_meant(_record_of_shared(trace), wanted) and _has_spans(index, trace, wanted)
    ]


def matching_traces(
    day: DayIndex, window: Window, wanted: TraceFilter, *, first: int | None = None
) -> Condition:
    """
    The condition on a row ``t`` of ``traces`` that *wanted* means and *day* alone holds.

    *first* says that only so many rows are read, in the order of their start; else all.

    Raises:
        QueryError: A filter in ``any_span`` has conditions on attributes.
    """
    condition = trace_condition(wanted, Condition("t"))
    in_window, parameters = traces_of_day(day, window)
    condition.add(in_window)
    condition.parameters.update(parameters)
    for one in wanted.any_span:
        if one.attributes:
            raise QueryError(
                "cannot select traces by attributes of their spans",
                hint="ask for the spans with these attributes, and take their traces",
            )
        is_by_shape = is_of_shape_only(one)
        walks = is_by_shape and first is not None and are_many(day, one, first=first)
        _add_any_span(condition, one, is_by_shape=is_by_shape, walks=walks)
    return condition


def sums_of_day(day: DayIndex, window: Window, wanted: TraceFilter) -> tuple[float, ...]:
    """Add up the traces that *wanted* means and *day* alone holds, as `day_totals.COLUMNS`."""
    if wanted != TraceFilter() or not day.is_within(window):
        condition = matching_traces(day, window, wanted)
        query = f"SELECT {day_totals.SUMS} FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
        return tuple(day.connection.execute(query, condition.parameters).fetchone())
    sums = day_totals.read_totals(day.connection)
    if not day.has_shared:
        return sums
    query = f"SELECT {day_totals.SUMS} FROM traces t WHERE {SHARED}"  # noqa: S608 -- constants
    elsewhere = day.connection.execute(query).fetchone()
    return tuple(total - other for total, other in zip(sums, elsewhere, strict=True))


def is_trace_meant(record: TraceRecord, wanted: TraceFilter) -> bool:
    """Whether all fields of *wanted* but ``any_span`` hold."""
    start_ns, end_ns = record.start_unix_ns, record.end_unix_ns
    signals = record.error_spans + record.derived_error_spans
    return (
        (not wanted.trace_ids or record.trace_id in wanted.trace_ids)
        and wanted.has_errors in {None, record.error_spans > 0}
        and wanted.has_error_signals in {None, signals > 0}
        and wanted.is_open in {None, not record.has_ended_root}
        and _is_between(start_ns, wanted.start_unix_ns_gte, None)
        and (wanted.start_unix_ns_lt is None or start_ns < wanted.start_unix_ns_lt)
        and _is_between(end_ns, None, wanted.end_unix_ns_lte)
        and _is_between(record.duration_ms, wanted.min_duration_ms, wanted.max_duration_ms)
        and _is_between(record.spans, wanted.min_spans, wanted.max_spans)
    )


def _is_between(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _rank(record: TraceRecord, query: TraceQuery) -> _Ranked:
    value = _VALUE[query.order_by](record)
    return (-value if query.descending else value), record.trace_id, record


def _count_of_day(day: DayIndex, window: Window, wanted: TraceFilter) -> int:
    if day.is_outside(window):
        return 0
    if day.is_within(window):
        counted = _TOTALS.get(wanted)
        if counted is not None:
            return int(sums_of_day(day, window, TraceFilter())[counted])
        one = wanted.any_span[0] if wanted.any_span else SpanFilter()
        if wanted == TraceFilter(any_span=(one,)) and is_of_shape_only(one):
            return count_traces(day, one)
    condition = matching_traces(day, window, wanted)
    count = f"SELECT count(*) FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
    (total,) = day.connection.execute(count, condition.parameters).fetchone()
    return int(total)


def _first_of_day(day: DayIndex, window: Window, query: TraceQuery) -> Iterator[_Ranked]:
    """The first traces of a day, in order; its rows are read as they are asked for."""
    end = query.offset + query.limit
    is_by_start = query.order_by is TraceOrder.START
    condition = matching_traces(day, window, query.filter, first=end if is_by_start else None)
    sign, direction = (-1, "DESC") if query.descending else (1, "ASC")
    value = _ORDER[query.order_by]
    rows = day.connection.execute(
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


def _record_of_shared(trace: StoredTrace, *, with_names: bool = False) -> TraceRecord:
    return TraceRecord(
        trace_id=id_of(trace.trace_id),
        start_unix_ns=trace.spans[0].start_ns,
        end_unix_ns=max(span.end_ns for span in trace.spans),
        spans=len(trace.spans),
        duplicate_spans=trace.duplicates,
        error_spans=trace.error_spans,
        derived_error_spans=trace.derived_errors,
        tool_error_spans=trace.tool_errors,
        spans_without_agent=trace.without_agent,
        missing_parents=trace.missing_parents,
        skewed_spans=trace.skewed_spans,
        has_ended_root=trace.has_ended_root,
        input_tokens=sum(span.input_tokens or 0 for span in trace.counted),
        output_tokens=sum(span.output_tokens or 0 for span in trace.counted),
        cost_usd=sum(span.cost_usd or 0.0 for span in trace.counted),
        session_id=trace.session,
        user_id=trace.user,
        line_bytes=trace.line_bytes,
        names=names_of(span.named for span in trace.spans) if with_names else None,
    )


def _has_spans(index: ProjectIndex, trace: StoredTrace, wanted: TraceFilter) -> bool:
    """Whether a trace of several days has a span for each of ``any_span``."""
    if not wanted.any_span:
        return True
    records = []
    for span in trace.spans:
        day = index.open_day(span.day)
        assert day is not None
        row = day.connection.execute(
            f"SELECT {RECORD_COLUMNS} FROM spans s JOIN shapes h ON h.id = s.shape"  # noqa: S608 -- constants
            " WHERE s.trace_id = ? AND s.span_id = ? AND s.superseded = 0",
            (span.trace_id, span.span_id),
        ).fetchone()
        record = record_from_row(row)
        records.append(
            record._replace(session_id=trace.session_of(span), user_id=trace.user_of(span))
        )
    return all(any(is_meant(record, one) for record in records) for one in wanted.any_span)
