"""HALO's tools over traces: same names, same arguments, one door to the store."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

from halo_daemon.analyzer.agent.answers import DEFAULT_BUDGET_BYTES, NextCall, cut_text
from halo_daemon.analyzer.agent.arguments import Arguments, read_arguments, validate
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.span_listing import list_spans
from halo_daemon.analyzer.agent.span_search import search_spans
from halo_daemon.analyzer.agent.span_views import (
    SPAN_VALUE_CHARS,
    VIEW_BUDGET_BYTES,
    Part,
    view,
    view_part,
)
from halo_daemon.analyzer.agent.toolbox import Tool, in_thread
from halo_daemon.analyzer.agent.trace_arguments import (
    CountTracesArguments,
    Filters,
    OverviewArguments,
    QuerySpansArguments,
    QueryTracesArguments,
    SearchSpanArguments,
    SearchTraceArguments,
    ViewSpansArguments,
    ViewTraceArguments,
)
from halo_daemon.analyzer.agent.trace_samples import error_taxonomy, strata
from halo_daemon.analyzer.agent.trace_source import NO_TRACE, TraceSource
from halo_daemon.analyzer.content import first_text
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.trace import Trace
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.patterns import compile_pattern
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.records import TraceRecord
from halo_daemon.store.trace_reader import spans_of

_MAX_SAMPLES = 20
_PREVIEW_CHARS = 200


class TraceTools:
    """The functions behind the tools, over one window of traces."""

    def __init__(self, source: TraceSource, queries: QueryLog) -> None:
        self._source = source
        self._queries = queries

    def tools(self) -> list[Tool[Any]]:
        """The tools to offer."""
        return [
            Tool("get_dataset_overview", OverviewArguments, in_thread(self.overview)),
            self._counting("query_traces", QueryTracesArguments, self.query_traces),
            self._counting("count_traces", CountTracesArguments, self.count_traces),
            self._counting("query_spans", QuerySpansArguments, self.query_spans),
            Tool("view_trace", ViewTraceArguments, in_thread(self.view_trace)),
            Tool("view_spans", ViewSpansArguments, in_thread(self.view_spans)),
            Tool(
                "search_trace",
                SearchTraceArguments,
                in_thread(self.search_trace),
                next_call=_next_page("search_trace"),
            ),
            Tool(
                "search_span",
                SearchSpanArguments,
                in_thread(self.search_span),
                next_call=_next_page("search_span"),
            ),
        ]

    def _counting(
        self, name: str, model: type[Arguments], function: Callable[[Arguments], JsonObject]
    ) -> Tool[Arguments]:
        """A tool whose counts can be cited, in a resumed run too."""

        def recall(call: ToolCall) -> None:
            arguments, _ = validate(model, read_arguments(call.arguments))
            self._queries.defer(lambda: function(arguments))

        can_page = "offset" in model.model_fields
        return Tool(
            name,
            model,
            in_thread(function),
            recall=recall,
            next_call=_next_page(name) if can_page else None,
        )

    def overview(self, arguments: OverviewArguments) -> JsonObject:
        """Count the matching traces; zeros and empty lists when there are none."""
        wanted = self.select(arguments.filters)
        totals = self._source.totals(wanted)
        first = self._source.page(TraceQuery(filter=wanted, descending=False, limit=_MAX_SAMPLES))
        return {
            "total_traces": totals.traces,
            "total_spans": totals.spans,
            "earliest_start_time": format_unix_ns(totals.start_unix_ns) if totals.traces else "",
            "latest_end_time": _end_time(totals.end_unix_ns),
            "service_names": [*totals.services],
            "model_names": [*totals.models],
            "agent_names": [*totals.agents],
            "agent_ids": [*totals.agent_ids],
            "tool_names": [*totals.tools],
            "left_out_names": totals.left_out_names,
            "error_trace_count": totals.error_traces,
            "error_signal_trace_count": totals.signal_traces,
            "total_input_tokens": totals.input_tokens,
            "total_output_tokens": totals.output_tokens,
            "total_cost_usd": totals.cost_usd,
            "raw_jsonl_bytes": totals.line_bytes,
            "missing_parent_count": totals.missing_parents,
            "missing_agent_identity_count": totals.spans_without_agent,
            "project_id_mismatch_count": max(0, len(totals.projects) - 1),
            "otel_error_span_count": totals.error_spans,
            "tool_error_span_count": totals.tool_error_spans,
            "skewed_span_count": totals.skewed_spans,
            "open_trace_count": totals.open_traces,
            "duplicate_spans": totals.duplicate_spans,
            "sample_trace_ids": [trace.trace_id for trace in first.traces],
            "sample_strata": strata(self._source, wanted, totals),
            "error_taxonomy": error_taxonomy(self._source, wanted) if totals.error_spans else [],
        }

    def query_traces(self, arguments: QueryTracesArguments) -> JsonObject:
        """List the matching traces, the one that started first first."""
        page = self._source.page(
            TraceQuery(
                filter=self.select(arguments.filters),
                order_by=arguments.order_by,
                descending=arguments.descending,
                limit=arguments.limit,
                offset=arguments.offset,
                with_names=True,
            )
        )
        return {
            "traces": [_trace_row(trace) for trace in page.traces],
            "total": page.total,
            "query_id": self._remember("query_traces", arguments.filters, page.total),
        }

    def count_traces(self, arguments: CountTracesArguments) -> JsonObject:
        """Count the matching traces."""
        total = self._source.page(TraceQuery(filter=self.select(arguments.filters), limit=1)).total
        return {
            "total": total,
            "query_id": self._remember("count_traces", arguments.filters, total),
        }

    def view_trace(self, arguments: ViewTraceArguments) -> JsonObject:
        """Show all spans of a trace, or its outline."""
        trace = self._source.load(arguments.trace_id, after=arguments.after_span or "")
        start = arguments.start_span
        if start is not None and trace.cut is not None and start not in trace.by_id:
            trace = self._source.part_with(arguments.trace_id, start)
        part = Part(start, arguments.max_depth, arguments.page, arguments.after_span)
        return {**view_part(trace, part, budget_bytes=_VIEW_BYTES), **_rest_of(trace)}

    def view_spans(self, arguments: ViewSpansArguments) -> JsonObject:
        """Show some spans of a trace; ids that do not exist are named."""
        trace = self._source.load(arguments.trace_id)
        wanted = dict.fromkeys(arguments.span_ids)
        if trace.cut is not None and not wanted.keys() <= trace.by_id.keys():
            spans = spans_of(self._source.reader.load_trace, trace.trace_id, wanted.keys())
            trace = replace(trace, spans=(*spans,)) if spans else trace
        found = [trace.by_id[span_id] for span_id in wanted if span_id in trace.by_id]
        shown = view(trace, found, limit_chars=SPAN_VALUE_CHARS, budget_bytes=_VIEW_BYTES)
        missing: list[JsonValue] = [i for i in arguments.span_ids if i not in trace.by_id]
        return {**shown, "missing_span_ids": missing}

    def search_trace(self, arguments: SearchTraceArguments) -> JsonObject:
        """Find a pattern in a trace."""
        parts = self._source.parts(arguments.trace_id)
        first = next(parts)
        spans = (span for part in chain([first], parts) for span in part.spans)
        return {"trace_id": first.trace_id, **_search(spans, arguments)}

    def search_span(self, arguments: SearchSpanArguments) -> JsonObject:
        """Find a pattern in a span."""
        trace = self._source.part_with(arguments.trace_id, arguments.span_id)
        span = trace.by_id[arguments.span_id]
        found = _search((span,), arguments)
        return {"trace_id": trace.trace_id, "span_id": span.span_id, **found}

    def query_spans(self, arguments: QuerySpansArguments) -> JsonObject:
        """List spans over all matching traces."""
        found = list_spans(self._source, arguments, self.select(arguments.filters))
        self._source.viewed.update(span.trace_id for span in found.page)
        query_id = self._queries.remember(
            "query_spans", arguments.model_dump_json(), found.traces, found.eligible
        )
        return {
            "spans": [_span_row(span) for span in found.page],
            "total": found.total,
            "affected_traces": found.traces,
            "query_id": query_id,
        }

    def select(self, filters: Filters) -> TraceFilter:
        """
        Which traces *filters* mean, its pattern included.

        Raises:
            QueryError: The pattern cannot be used.
            EngineToolError: The pattern took too long.
        """
        wanted = filters.to_filter()
        if not filters.regex_pattern:
            return wanted
        matching = self._source.matching(filters.regex_pattern)
        ids = matching.intersection(wanted.trace_ids) if wanted.trace_ids else matching
        return wanted.model_copy(update={"trace_ids": tuple(sorted(ids)) or (NO_TRACE,)})

    def _remember(self, tool: str, filters: Filters, affected: int) -> str:
        question = filters.model_dump_json()
        return self._queries.remember(tool, question, affected, self._source.count())


_VIEW_BYTES = min(VIEW_BUDGET_BYTES, DEFAULT_BUDGET_BYTES - 2_048)


def _next_page(tool: str) -> Any:
    def for_call(arguments: Any) -> NextCall:
        def after(kept: int) -> JsonObject:
            fields = arguments.model_dump(mode="json", exclude_defaults=True)
            return {"tool": tool, "arguments": {**fields, "offset": arguments.offset + kept}}

        return after

    return for_call


def _rest_of(trace: Trace) -> JsonObject:
    """What follows the part of a trace that was read, and the call that goes on."""
    if trace.cut is None:
        return {}
    arguments: JsonObject = {"trace_id": trace.trace_id, "after_span": trace.cut.after}
    return {
        "rest": {
            "spans": trace.cut.spans,
            "bytes": trace.cut.line_bytes,
            "next": {"tool": "view_trace", "arguments": arguments},
        }
    }


def _search(spans: Iterable[Span], arguments: SearchTraceArguments) -> JsonObject:
    return search_spans(
        spans,
        compile_pattern(arguments.regex_pattern),
        context_chars=arguments.context_buffer_chars,
        max_matches=arguments.max_matches,
        skip=arguments.offset,
    )


def _trace_row(trace: TraceRecord) -> JsonObject:
    names = trace.names
    assert names is not None, "the page was asked for names"
    return {
        "trace_id": trace.trace_id,
        "span_count": trace.spans,
        "start_time": format_unix_ns(trace.start_unix_ns),
        "end_time": _end_time(trace.end_unix_ns),
        "has_errors": trace.error_spans > 0,
        "service_names": [*names.services],
        "model_names": [*names.models],
        "total_input_tokens": trace.input_tokens,
        "total_output_tokens": trace.output_tokens,
        "agent_names": [*names.agents],
        "agent_ids": [*names.agent_ids],
        "tool_names": [*names.tools],
        "raw_jsonl_bytes": trace.line_bytes,
        "missing_parent_count": trace.missing_parents,
        "missing_agent_identity_count": trace.spans_without_agent,
        "project_id_mismatch_count": max(0, len(names.projects) - 1),
        "otel_error_span_count": trace.error_spans,
        "tool_error_span_count": trace.tool_error_spans,
        "duration_ms": int(trace.duration_ms),
        "session_id": trace.session_id,
        "user_id": trace.user_id,
        "error_signal_span_count": trace.derived_error_spans,
        "cost_usd": trace.cost_usd,
    }


def _end_time(unix_ns: int) -> str:
    return format_unix_ns(unix_ns) if unix_ns else ""


def _span_row(span: Span) -> JsonObject:
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "name": span.name,
        "kind": span.observation_kind,
        "tool_name": span.tool_name,
        "model": span.model,
        "agent_name": span.agent_name,
        "status_code": span.status_code,
        "status_message": cut_text(span.status_message, _PREVIEW_CHARS),
        "start_time": format_unix_ns(span.start_unix_ns),
        "duration_ms": span.duration_ns // 1_000_000,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "bytes": span.line_bytes,
        "input_preview": cut_text(first_text(span, ("input.value",)).value, _PREVIEW_CHARS),
        "output_preview": cut_text(first_text(span, ("output.value",)).value, _PREVIEW_CHARS),
    }
