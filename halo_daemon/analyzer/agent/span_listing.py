"""A page of spans over many traces: from an index where there is one, else by reading."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.agent.span_search import values_of
from halo_daemon.analyzer.agent.trace_arguments import QuerySpansArguments
from halo_daemon.analyzer.agent.trace_source import TraceRow, TraceSource, has_error
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.query import (
    AggregateQuery,
    SpanFilter,
    SpanQuery,
    SpanRecord,
    TraceQueries,
)

MAX_ERRORS = 20_000
"""Errors that are looked at to tell leaves from their parents."""

_PAGE = 500


class SpanList(NamedTuple):
    """One page, and how much there is in all."""

    page: list[Span]
    total: int
    traces: int
    """Traces with at least one such span."""


def list_spans(
    source: TraceSource, wanted: QuerySpansArguments, rows: Sequence[TraceRow]
) -> SpanList:
    """Find the spans of *rows* that *wanted* means, by trace id or by time."""
    if source.queries is None or wanted.contains:
        return _by_reading(source, wanted, rows)
    span_filter = _span_filter(wanted, rows, len(source.rows))
    if wanted.leaf_errors_only:
        return _leaf_errors(source, source.queries, span_filter, wanted)
    page = source.queries.query_spans(
        source.window,
        SpanQuery(filter=span_filter, descending=False, limit=wanted.limit, offset=wanted.offset),
    )
    figures = source.queries.aggregate(source.window, AggregateQuery(filter=span_filter))
    traces = figures.rows[0].traces if figures.rows else 0
    return SpanList(_loaded(source, page.spans), page.total, traces)


def _span_filter(
    wanted: QuerySpansArguments, rows: Sequence[TraceRow], all_rows: int
) -> SpanFilter:
    # No ids mean any trace, so an empty selection asks for an id that does not exist.
    ids = tuple(row.trace_id for row in rows) or ("none",)
    return SpanFilter(
        trace_ids=() if len(rows) == all_rows and rows else ids,
        span_names=tuple(wanted.span_names),
        observation_kinds=tuple(wanted.kinds),
        tool_names=tuple(wanted.tool_names),
        has_error=True if wanted.leaf_errors_only else None,
        min_duration_ms=wanted.min_duration_ms or None,
    )


def _leaf_errors(
    source: TraceSource,
    queries: TraceQueries,
    span_filter: SpanFilter,
    wanted: QuerySpansArguments,
) -> SpanList:
    every_error = [*_all_records(source, queries, SpanFilter(has_error=True))]
    parents = {(record.trace_id, record.parent_span_id) for record in every_error}
    leaves = [
        record
        for record in _all_records(source, queries, span_filter)
        if (record.trace_id, record.span_id) not in parents
    ]
    page = leaves[wanted.offset : wanted.offset + wanted.limit]
    return SpanList(_loaded(source, page), len(leaves), len({leaf.trace_id for leaf in leaves}))


def _all_records(
    source: TraceSource, queries: TraceQueries, wanted: SpanFilter
) -> Iterator[SpanRecord]:
    for offset in range(0, MAX_ERRORS, _PAGE):
        query = SpanQuery(filter=wanted, descending=False, limit=_PAGE, offset=offset)
        page = queries.query_spans(source.window, query)
        yield from page.spans
        if offset + _PAGE >= page.total:
            return


def _loaded(source: TraceSource, records: Sequence[SpanRecord]) -> list[Span]:
    traces: dict[str, Trace | None] = {}
    found = []
    for record in records:
        if record.trace_id not in traces:
            traces[record.trace_id] = source.reader.load_trace(record.trace_id)
        trace = traces[record.trace_id]
        if trace is not None and record.span_id in trace.by_id:
            found.append(trace.by_id[record.span_id])
    return found


def _by_reading(
    source: TraceSource, wanted: QuerySpansArguments, rows: Sequence[TraceRow]
) -> SpanList:
    ids = {row.trace_id for row in rows}
    page: list[Span] = []
    total = 0
    traces: set[str] = set()
    for trace in source.reader.iter_traces(source.window):
        if trace.trace_id not in ids:
            continue
        for span in trace.spans:
            if not _is_meant(trace, span, wanted):
                continue
            total += 1
            traces.add(trace.trace_id)
            if wanted.offset < total <= wanted.offset + wanted.limit:
                page.append(span)
    return SpanList(page, total, len(traces))


def _is_meant(trace: Trace, span: Span, wanted: QuerySpansArguments) -> bool:
    return (
        (not wanted.kinds or span.observation_kind in wanted.kinds)
        and (not wanted.span_names or span.name in wanted.span_names)
        and (not wanted.tool_names or span.tool_name in wanted.tool_names)
        and span.duration_ns >= wanted.min_duration_ms * 1_000_000
        and (not wanted.leaf_errors_only or _is_leaf_error(trace, span))
        and (not wanted.contains or any(wanted.contains in text for _, text in values_of(span)))
    )


def _is_leaf_error(trace: Trace, span: Span) -> bool:
    children = trace.children.get(span.span_id, ())
    return has_error(span) and not any(has_error(child) for child in children)
