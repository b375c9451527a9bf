"""Pages of traces over the indexes of a project."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from halo_daemon.errors import QueryError
from halo_daemon.store import day_totals
from halo_daemon.store.conditions import is_meant
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.ids import TRACE_ID_BYTES, id_of, key_of
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.query import (
    SpanFilter,
    TraceFilter,
    TraceNames,
    TraceOrder,
    TracePage,
    TraceQuery,
    TraceRecord,
)
from halo_daemon.store.rollups import (
    SHARED,
    StoredTrace,
    Version,
    shared_in_window,
    traces_of_day,
)
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
    t.derived_errors, t.tool_errors, t.without_agent, t.missing_parents, t.skewed_spans,
    t.ended_roots, t.input_tokens, t.output_tokens, t.cost_usd, t.bytes,
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
_TRACES = day_totals.COLUMNS.index("traces")
_SHAPES_OF_TRACES = "SELECT trace_id, shape FROM trace_shapes WHERE trace_id IN ({marks})"
_NAMES_OF_SHAPES = """
SELECT id, NULL, service, model, tool, agent, project FROM shapes WHERE id IN ({marks})
"""
_AGENT_IDS = """
SELECT trace_id, agent_id FROM spans
WHERE superseded = 0 AND trace_id IN ({marks}) AND agent_id IS NOT NULL
"""
_HAS_AGENT_IDS = """
SELECT 1 FROM spans INDEXED BY span_agents
WHERE superseded = 0 AND agent_id IS NOT NULL LIMIT 1
"""


class _Found(NamedTuple):
    record: TraceRecord
    place: DayIndex | StoredTrace
    """Where more can be learnt of it."""


class _Named(NamedTuple):
    """What spans of one kind name."""

    agent_id: str | None = None
    service: str = ""
    model: str = ""
    tool: str = ""
    agent: str = ""
    project: str = ""


def query_traces(index: ProjectIndex, window: Window, query: TraceQuery) -> TracePage:
    """One page of traces; the index has caught up."""
    found = [
        _Found(_record_of_shared(trace), trace)
        for trace in shared_that_match(index, window, query.filter)
    ]
    total = len(found)
    for day in index.days:
        count, records = _page_of_day(day, window, query)
        total += count
        found.extend(_Found(record, day) for record in records)
    found.sort(key=lambda one: _rank(one.record, query))
    page = found[query.offset :][: query.limit]
    traces = _with_names(page) if query.with_names else [one.record for one in page]
    return TracePage(traces=tuple(traces), total=total)


def shared_that_match(
    index: ProjectIndex, window: Window, wanted: TraceFilter
) -> list[StoredTrace]:
    """Traces of several days that are in *window* and that *wanted* means, by trace id."""
    return [
        trace
        for trace in shared_in_window(index, window)
        if is_trace_meant(_record_of_shared(trace), wanted) and _has_spans(index, trace, wanted)
    ]


def matching_traces(day: DayIndex, window: Window, wanted: TraceFilter) -> Condition:
    """
    The condition on a row ``t`` of ``traces`` that *wanted* means and *day* alone holds.

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
        _add_any_span(condition, one)
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


def names_of(spans: Iterable[Version | _Named]) -> TraceNames:
    """What *spans*, at least one, name."""
    rows = [
        (span.service, span.model, span.tool, span.agent, span.agent_id, span.project)
        for span in spans
    ]
    columns = [
        tuple(sorted({name for name in {*column} if name})) for column in zip(*rows, strict=True)
    ]
    services, models, tools, agents, agent_ids, projects = columns
    return TraceNames.model_construct(
        services=services,
        models=models,
        tools=tools,
        agents=agents,
        agent_ids=agent_ids,
        projects=projects,
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
    if day.is_outside(window):
        return 0, []
    condition = matching_traces(day, window, query.filter)
    if query.filter == TraceFilter():
        total = int(sums_of_day(day, window, query.filter)[_TRACES])
    else:
        count = f"SELECT count(*) FROM traces t WHERE {condition}"  # noqa: S608 -- marks only
        (total,) = day.connection.execute(count, condition.parameters).fetchone()
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


def _with_names(page: Sequence[_Found]) -> list[TraceRecord]:
    keys: dict[DayIndex, list[bytes]] = {}
    names: dict[str, TraceNames] = {}
    for record, place in page:
        if isinstance(place, StoredTrace):
            names[record.trace_id] = names_of(place.spans)
        else:
            keys.setdefault(place, []).append(key_of(record.trace_id, TRACE_ID_BYTES))
    for day, trace_keys in keys.items():
        named = _named_of_day(day, trace_keys)
        names |= {id_of(key): names_of(named[key]) for key in trace_keys}
    return [one.record.model_copy(update={"names": names[one.record.trace_id]}) for one in page]


def _named_of_day(day: DayIndex, keys: Sequence[bytes]) -> dict[bytes, list[_Named]]:
    """What each of a day's traces names."""
    execute = day.connection.execute
    found = execute(_SHAPES_OF_TRACES.format(marks=_marks(keys)), keys).fetchall()
    shapes = tuple({shape for _, shape in found})
    rows = execute(_NAMES_OF_SHAPES.format(marks=_marks(shapes)), shapes)
    by_shape = {shape: _Named(*named) for shape, *named in rows}
    named: dict[bytes, list[_Named]] = {}
    for trace_id, shape in found:
        named.setdefault(trace_id, []).append(by_shape[shape])
    if execute(_HAS_AGENT_IDS).fetchone():
        for trace_id, agent_id in execute(_AGENT_IDS.format(marks=_marks(keys)), keys):
            named[trace_id].append(_Named(agent_id))
    return named


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _record(row: tuple[Any, ...]) -> TraceRecord:
    return TraceRecord.model_construct(
        trace_id=id_of(row[0]),
        start_unix_ns=row[1],
        end_unix_ns=row[2],
        spans=row[3],
        duplicate_spans=row[4],
        error_spans=row[5],
        derived_error_spans=row[6],
        tool_error_spans=row[7],
        spans_without_agent=row[8],
        missing_parents=row[9],
        skewed_spans=row[10],
        has_ended_root=row[11] > 0,
        input_tokens=row[12],
        output_tokens=row[13],
        cost_usd=row[14],
        line_bytes=row[15],
        session_id=row[16] or "",
        user_id=row[17] or "",
    )


def _record_of_shared(trace: StoredTrace) -> TraceRecord:
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
        of_trace = {"session_id": trace.session_of(span), "user_id": trace.user_of(span)}
        records.append(record_from_row(row).model_copy(update=of_trace))
    return all(any(is_meant(record, one) for record in records) for one in wanted.any_span)
