"""`TraceQuery` over the indexes of a project."""

from typing import Any

from halo_daemon.store.conditions import is_meant
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.query import (
    SpanFilter,
    TraceFilter,
    TraceOrder,
    TracePage,
    TraceQuery,
    TraceRecord,
)
from halo_daemon.store.rollups import StoredTrace, shared_in_window, traces_of_day
from halo_daemon.store.span_sql import (
    RECORD_COLUMNS,
    Condition,
    is_of_shape_only,
    record_from_row,
    shape_condition,
    span_condition,
    trace_condition,
)
from halo_daemon.store.trace_reader import Window

_COLUMNS = """
    t.trace_id, t.first_start_ns, t.end_ns, t.spans, t.duplicates, t.error_spans,
    t.derived_errors, t.ended_roots, t.input_tokens, t.output_tokens, t.cost_usd, t.bytes,
    CASE WHEN t.first_session = t.last_session THEN t.first_session END,
    CASE WHEN t.first_user = t.last_user THEN t.first_user END
"""
_ORDER = {
    TraceOrder.START: "t.first_start_ns",
    TraceOrder.DURATION: "CASE WHEN t.end_ns > 0 THEN max(0, t.end_ns - t.first_start_ns) END",
    TraceOrder.SPANS: "t.spans",
    TraceOrder.TOKENS: "t.input_tokens + t.output_tokens",
    TraceOrder.ERRORS: "t.error_spans",
}


def query_traces(index: ProjectIndex, window: Window, query: TraceQuery) -> TracePage:
    """One page of traces; the index has caught up."""
    total = 0
    found: list[TraceRecord] = []
    for trace in shared_in_window(index, window):
        record = _record_of_shared(trace)
        if is_trace_meant(record, query.filter) and _has_spans(index, trace, query.filter):
            total += 1
            found.append(record)
    for day in index.days:
        count, rows = _page_of_day(day, window, query)
        total += count
        found.extend(rows)
    found.sort(key=lambda record: _rank(record, query))
    return TracePage(traces=tuple(found[query.offset :][: query.limit]), total=total)


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
        and _is_between(end_ns, None, wanted.end_unix_ns_lte)
        and _is_between(record.duration_ms, wanted.min_duration_ms, wanted.max_duration_ms)
        and _is_between(record.spans, wanted.min_spans, wanted.max_spans)
    )


def _is_between(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _rank(record: TraceRecord, query: TraceQuery) -> tuple[float, str]:
    value: float = {
        TraceOrder.START: record.start_unix_ns,
        TraceOrder.DURATION: record.duration_ms,
        TraceOrder.SPANS: record.spans,
        TraceOrder.TOKENS: record.input_tokens + record.output_tokens,
        TraceOrder.ERRORS: record.error_spans,
    }[query.order_by]
    return (-value if query.descending else value), record.trace_id


def _page_of_day(day: DayIndex, window: Window, query: TraceQuery) -> tuple[int, list[TraceRecord]]:
    condition = trace_condition(query.filter, Condition())
    in_window, parameters = traces_of_day(day, window)
    condition.add(in_window)
    condition.parameters.update(parameters)
    for wanted in query.filter.any_span:
        _add_any_span(condition, wanted)
    (total,) = day.connection.execute(
        f"SELECT count(*) FROM traces t WHERE {condition}",  # noqa: S608 -- marks only
        condition.parameters,
    ).fetchone()
    direction = "DESC" if query.descending else "ASC"
    rows = day.connection.execute(
        f"SELECT {_COLUMNS} FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
        f" ORDER BY {_ORDER[query.order_by]} {direction}, t.trace_id"
        f" LIMIT {condition.mark(query.offset + query.limit)}",
        condition.parameters,
    )
    return total, [_record(row) for row in rows]


def _add_any_span(condition: Condition, wanted: SpanFilter) -> None:
    span = Condition(f"q{len(condition.parts)}_")
    if is_of_shape_only(wanted):
        shape = shape_condition(wanted, span) or "1"
        condition.add(
            "t.trace_id IN (SELECT trace_id FROM trace_shapes"  # noqa: S608 -- marks only
            f" WHERE shape IN (SELECT id FROM shapes WHERE {shape}))"
        )
    else:
        condition.add(
            "t.trace_id IN (SELECT s.trace_id FROM spans s"  # noqa: S608 -- marks only
            f" WHERE s.superseded = 0 AND {span_condition(wanted, span)})"
        )
    condition.parameters.update(span.parameters)


def _record(row: tuple[Any, ...]) -> TraceRecord:
    return TraceRecord(
        trace_id=row[0].hex(),
        start_unix_ns=row[1],
        end_unix_ns=row[2],
        spans=row[3],
        duplicate_spans=row[4],
        error_spans=row[5],
        derived_error_spans=row[6],
        has_ended_root=row[7] > 0,
        input_tokens=row[8],
        output_tokens=row[9],
        cost_usd=row[10],
        line_bytes=row[11],
        session_id=row[12] or "",
        user_id=row[13] or "",
    )


def _record_of_shared(trace: StoredTrace) -> TraceRecord:
    return TraceRecord(
        trace_id=trace.trace_id.hex(),
        start_unix_ns=trace.spans[0].start_ns,
        end_unix_ns=max(span.end_ns for span in trace.spans),
        spans=len(trace.spans),
        duplicate_spans=trace.duplicates,
        error_spans=trace.error_spans,
        derived_error_spans=trace.derived_errors,
        has_ended_root=trace.has_ended_root,
        input_tokens=sum(span.input_tokens or 0 for span in trace.counted),
        output_tokens=sum(span.output_tokens or 0 for span in trace.counted),
        cost_usd=sum(span.cost_usd or 0.0 for span in trace.counted),
        session_id=trace.session,
        user_id=trace.user,
        line_bytes=trace.line_bytes,
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
        records.append(record_from_row(row))
    return all(any(is_meant(record, one) for record in records) for one in wanted.any_span)
