"""Questions answered by looking at every span: the oracle of `TraceQueries`."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from halo_daemon.proto.semconv import facts_of
from halo_daemon.proto.span import TOOL, Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.conditions import attributes_hold, is_meant, record_of
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.query import (
    AggregateAnswer,
    AggregateQuery,
    AggregateRow,
    Bucket,
    SearchAnswer,
    SearchMatch,
    SearchQuery,
    SpanOrder,
    SpanPage,
    SpanQuery,
    TraceOrder,
    TracePage,
    TraceQuery,
    TraceTotals,
)
from halo_daemon.store.records import (
    MAX_STEPS,
    SpanRecord,
    TraceNames,
    TraceRecord,
    TraceSteps,
)
from halo_daemon.store.span_search import ValueSearch
from halo_daemon.store.trace_reader import TraceReader, Window, parts_of

_WIDTH_NS = {Bucket.HOUR: 3_600 * 10**9, Bucket.DAY: 86_400 * 10**9}


class MemoryQueries:
    """`TraceQueries` over any `TraceReader`; slow and plain on purpose."""

    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader

    def _traces(self, window: Window) -> Iterator[Trace]:
        """Every trace of *window*, whole: no bound of answers about spans binds here."""
        for trace in self._reader.iter_traces(window):
            parts = list(parts_of(self._reader.load_trace, trace))
            spans = tuple(span for part in parts for span in part.spans)
            yield replace(trace, spans=spans, cut=None) if trace.cut else trace

    def query_traces(self, window: Window, query: TraceQuery) -> TracePage:
        """One page of traces."""
        found = [
            _trace_record(trace)
            for trace in self._traces(window)
            if _is_trace_meant(trace, query.filter)
        ]
        if not query.with_names:
            found = [trace._replace(names=None) for trace in found]
        if not query.with_steps:
            found = [trace._replace(steps=None) for trace in found]
        sign = -1 if query.descending else 1
        found.sort(key=lambda trace: (sign * _trace_rank(trace, query.order_by), trace.trace_id))
        return TracePage(
            traces=tuple(found[query.offset : query.offset + query.limit]), total=len(found)
        )

    def sum_traces(self, window: Window, wanted: TraceFilter) -> TraceTotals:
        """What the traces that *wanted* means hold together."""
        traces = [t for t in self._traces(window) if _is_trace_meant(t, wanted)]
        records = [_trace_record(trace) for trace in traces]
        names = [record.names for record in records if record.names]

        def total(field: str) -> int:
            return sum(getattr(record, field) for record in records)

        def union(field: str) -> tuple[str, ...]:
            return tuple(sorted({name for one in names for name in getattr(one, field)}))

        return TraceTotals(
            traces=len(traces),
            spans=total("spans"),
            duplicate_spans=total("duplicate_spans"),
            error_traces=sum(record.error_spans > 0 for record in records),
            signal_traces=sum(r.error_spans + r.derived_error_spans > 0 for r in records),
            error_spans=total("error_spans"),
            tool_error_spans=total("tool_error_spans"),
            spans_without_agent=total("spans_without_agent"),
            missing_parents=total("missing_parents"),
            skewed_spans=total("skewed_spans"),
            open_traces=sum(not record.has_ended_root for record in records),
            input_tokens=total("input_tokens"),
            output_tokens=total("output_tokens"),
            cost_usd=total("cost_usd"),
            line_bytes=total("line_bytes"),
            start_unix_ns=min((record.start_unix_ns for record in records), default=0),
            end_unix_ns=max((record.end_unix_ns for record in records), default=0),
            services=union("services"),
            models=union("models"),
            tools=union("tools"),
            agents=union("agents"),
            agent_ids=union("agent_ids"),
            projects=union("projects"),
        ).with_first_names()

    def query_spans(self, window: Window, query: SpanQuery) -> SpanPage:
        """One page of spans."""
        found = [record for record, _ in self._spans(window, query)]
        sign = -1 if query.descending else 1
        found.sort(
            key=lambda span: (sign * _span_rank(span, query.order_by), span.trace_id, span.span_id)
        )
        return SpanPage(
            spans=tuple(found[query.offset : query.offset + query.limit]), total=len(found)
        )

    def aggregate(self, window: Window, query: AggregateQuery) -> AggregateAnswer:
        """Figures over groups of spans."""
        enclosing = {
            (trace.trace_id, span_id)
            for trace in self._traces(window)
            for span_id in facts_of(trace).enclosing_calls
        }
        groups: dict[tuple[int | None, tuple[str, ...]], list[SpanRecord]] = {}
        for found, _ in self._spans(window, query):
            record = found
            if (record.trace_id, record.span_id) in enclosing:
                record = record._replace(input_tokens=None, output_tokens=None, cost_usd=None)
            width = _WIDTH_NS[query.bucket] if query.bucket else 0
            bucket = record.start_unix_ns // width * width if width else None
            key = tuple(str(getattr(record, dimension.value)) for dimension in query.group_by)
            groups.setdefault((bucket, key), []).append(record)
        rows = [_figures(bucket, key, spans) for (bucket, key), spans in groups.items()]
        rows.sort(key=lambda row: (-row.spans, row.bucket_unix_ns or 0, row.key))
        return AggregateAnswer(
            rows=tuple(rows[: query.top]),
            groups=len(rows),
            other_spans=sum(row.spans for row in rows[query.top :]),
        )

    def search(self, window: Window, query: SearchQuery) -> SearchAnswer:
        """Spans with a value that matches; in order of trace, not of arrival, and unlimited."""
        values = ValueSearch(
            query.pattern,
            ignore_case=query.ignore_case,
            context_chars=query.context_chars,
            look_at_lines=query.look_at_lines,
        )
        matches = tuple(
            SearchMatch(
                trace_id=span.trace_id, span_id=span.span_id, name=span.name, **found._asdict()
            )
            for _, span in self._spans(window, SpanQuery(filter=query.filter))
            if (found := values.first_match(span.fields, span.to_line()[:-1])) is not None
        )
        return SearchAnswer(matches=matches, scanned_bytes=0, next="", timed_out=False)

    def _spans(
        self, window: Window, query: SpanQuery | AggregateQuery
    ) -> Iterator[tuple[SpanRecord, Span]]:
        for trace in self._traces(window):
            if _is_trace_meant(trace, query.traces):
                yield from _spans_meant(trace, query.filter)


def _spans_meant(trace: Trace, wanted: SpanFilter) -> Iterator[tuple[SpanRecord, Span]]:
    facts = facts_of(trace)
    for span in trace.spans:
        own = record_of(span)
        record = own._replace(
            session_id=own.session_id or facts.session_id,
            user_id=own.user_id or facts.user_id,
        )
        if is_meant(record, wanted) and attributes_hold(span.fields, wanted.attributes):
            yield record, span


def _is_trace_meant(trace: Trace, wanted: TraceFilter) -> bool:
    record = _trace_record(trace)
    signals = record.error_spans + record.derived_error_spans
    checks = [
        not wanted.trace_ids or record.trace_id in wanted.trace_ids,
        wanted.has_errors is None or wanted.has_errors == (record.error_spans > 0),
        wanted.has_error_signals is None or wanted.has_error_signals == (signals > 0),
        wanted.is_open is None or wanted.is_open != record.has_ended_root,
        wanted.start_unix_ns_gte is None or record.start_unix_ns >= wanted.start_unix_ns_gte,
        wanted.start_unix_ns_lt is None or record.start_unix_ns < wanted.start_unix_ns_lt,
        wanted.end_unix_ns_lte is None or record.end_unix_ns <= wanted.end_unix_ns_lte,
        wanted.min_duration_ms is None or record.duration_ms >= wanted.min_duration_ms,
        wanted.max_duration_ms is None or record.duration_ms <= wanted.max_duration_ms,
        wanted.min_spans is None or record.spans >= wanted.min_spans,
        wanted.max_spans is None or record.spans <= wanted.max_spans,
    ]
    return all(checks) and all(
        any(True for _ in _spans_meant(trace, one)) for one in wanted.any_span
    )


def _trace_record(trace: Trace) -> TraceRecord:
    spans = trace.spans
    facts = facts_of(trace)
    return TraceRecord(
        trace_id=trace.trace_id,
        start_unix_ns=trace.start_unix_ns,
        end_unix_ns=trace.end_unix_ns,
        spans=len(spans),
        duplicate_spans=trace.duplicate_spans,
        error_spans=sum(span.has_error_status for span in spans),
        derived_error_spans=sum(span.has_derived_error for span in spans),
        tool_error_spans=sum(s.has_error_status and s.observation_kind == TOOL for s in spans),
        spans_without_agent=sum(not s.agent_name and not _agent_id(s) for s in spans),
        missing_parents=len({s.parent_span_id for s in trace.roots} - {""}),
        skewed_spans=sum(
            span.start_unix_ns < trace.by_id[span.parent_span_id].start_unix_ns
            for span in spans
            if span.parent_span_id in trace.by_id
        ),
        has_ended_root=any(span.is_complete and not span.parent_span_id for span in spans),
        session_id=facts.session_id,
        user_id=facts.user_id,
        input_tokens=facts.usage.input_tokens,
        output_tokens=facts.usage.output_tokens,
        cost_usd=facts.usage.cost_usd,
        line_bytes=sum(len(span.to_line()) - 1 for span in spans),
        names=TraceNames(
            services=_distinct(span.service_name for span in spans),
            models=_distinct(span.model for span in spans),
            tools=_distinct(span.tool_name for span in spans),
            agents=_distinct(span.agent_name for span in spans),
            agent_ids=_distinct(map(_agent_id, spans)),
            projects=_distinct(span.text("inference.project_id") for span in spans),
        ),
        steps=TraceSteps(
            tools=tuple([span.tool_name for span in spans if span.tool_name][:MAX_STEPS]),
            messages=tuple(
                [r.status_message for r in map(record_of, spans) if r.has_error][:MAX_STEPS]
            ),
        ),
    )


def _agent_id(span: Span) -> str:
    return span.text("inference.agent_id") or span.text("agent.id")


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*names} - {""}))


def _trace_rank(trace: TraceRecord, order_by: TraceOrder) -> float:
    match order_by:
        case TraceOrder.START:
            return trace.start_unix_ns
        case TraceOrder.DURATION:
            return trace.duration_ms
        case TraceOrder.SPANS:
            return trace.spans
        case TraceOrder.TOKENS:
            return trace.input_tokens + trace.output_tokens
        case TraceOrder.ERRORS:
            return trace.error_spans


def _span_rank(span: SpanRecord, order_by: SpanOrder) -> float:
    match order_by:
        case SpanOrder.START:
            return span.start_unix_ns
        case SpanOrder.DURATION:
            return span.duration_ms
        case SpanOrder.TOKENS:
            return span.tokens
        case SpanOrder.COST:
            return span.cost_usd or 0.0


def _figures(
    bucket_unix_ns: int | None, key: tuple[str, ...], spans: list[SpanRecord]
) -> AggregateRow:
    durations = sorted(span.duration_ms for span in spans)
    return AggregateRow(
        key=key,
        bucket_unix_ns=bucket_unix_ns,
        spans=len(spans),
        traces=len({span.trace_id for span in spans}),
        errors=sum(span.has_error for span in spans),
        input_tokens=sum(span.input_tokens or 0 for span in spans),
        output_tokens=sum(span.output_tokens or 0 for span in spans),
        cost_usd=sum(span.cost_usd or 0.0 for span in spans),
        duration_ms_sum=sum(durations),
        duration_ms_p50=_nearest(durations, 50),
        duration_ms_p95=_nearest(durations, 95),
        duration_ms_max=durations[-1],
    )


def _nearest(ascending: list[float], percent: int) -> float:
    # Nearest rank in whole numbers: the ceiling of percent x n / 100.
    return ascending[(percent * len(ascending) + 99) // 100 - 1]
