"""HALO's tools over traces: same names, same arguments, one door to the store."""

from collections.abc import Callable, Sequence
from typing import Any

from halo_daemon.analyzer.agent.answers import DEFAULT_BUDGET_BYTES, NextCall, cut_text
from halo_daemon.analyzer.agent.arguments import Arguments, read_arguments, validate
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.span_listing import list_spans
from halo_daemon.analyzer.agent.span_search import line_of, search_spans
from halo_daemon.analyzer.agent.span_views import (
    SPAN_VALUE_CHARS,
    TRACE_VALUE_CHARS,
    VIEW_BUDGET_BYTES,
    view,
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
from halo_daemon.analyzer.agent.trace_source import (
    TraceRow,
    TraceSource,
    distinct,
)
from halo_daemon.analyzer.content import first_text
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.patterns import compile_pattern

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
        rows = self.select(arguments.filters)
        ends = [row.end_unix_ns for row in rows if row.end_unix_ns]
        return {
            "total_traces": len(rows),
            "total_spans": sum(row.span_count for row in rows),
            "earliest_start_time": format_unix_ns(min(row.start_unix_ns for row in rows))
            if rows
            else "",
            "latest_end_time": format_unix_ns(max(ends)) if ends else "",
            "service_names": [*distinct(n for row in rows for n in row.service_names)],
            "model_names": [*distinct(n for row in rows for n in row.model_names)],
            "agent_names": [*distinct(n for row in rows for n in row.agent_names)],
            "tool_names": [*distinct(n for row in rows for n in row.tool_names)],
            "error_trace_count": sum(row.error_span_count > 0 for row in rows),
            "total_input_tokens": sum(row.input_tokens for row in rows),
            "total_output_tokens": sum(row.output_tokens for row in rows),
            "raw_jsonl_bytes": sum(row.raw_jsonl_bytes for row in rows),
            "missing_parent_count": sum(row.missing_parent_count for row in rows),
            "duplicate_spans": sum(row.duplicate_spans for row in rows),
            "sample_trace_ids": [row.trace_id for row in rows[:_MAX_SAMPLES]],
            "sample_strata": _strata(rows),
        }

    def query_traces(self, arguments: QueryTracesArguments) -> JsonObject:
        """List the matching traces, the one that started first first."""
        rows = self.select(arguments.filters)
        rows.sort(key=lambda row: (row.start_unix_ns, row.trace_id))
        page = rows[arguments.offset : arguments.offset + arguments.limit]
        return {
            "traces": [_trace_row(row) for row in page],
            "total": len(rows),
            "query_id": self._remember("query_traces", arguments.filters, rows),
        }

    def count_traces(self, arguments: CountTracesArguments) -> JsonObject:
        """Count the matching traces."""
        rows = self.select(arguments.filters)
        return {
            "total": len(rows),
            "query_id": self._remember("count_traces", arguments.filters, rows),
        }

    def view_trace(self, arguments: ViewTraceArguments) -> JsonObject:
        """Show all spans of a trace, or its outline."""
        trace = self._source.load(arguments.trace_id)
        return view(trace, trace.spans, limit_chars=TRACE_VALUE_CHARS, budget_bytes=_VIEW_BYTES)

    def view_spans(self, arguments: ViewSpansArguments) -> JsonObject:
        """Show some spans of a trace; ids that do not exist are named."""
        trace = self._source.load(arguments.trace_id)
        found = [trace.by_id[i] for i in dict.fromkeys(arguments.span_ids) if i in trace.by_id]
        shown = view(trace, found, limit_chars=SPAN_VALUE_CHARS, budget_bytes=_VIEW_BYTES)
        missing: list[JsonValue] = [i for i in arguments.span_ids if i not in trace.by_id]
        return {**shown, "missing_span_ids": missing}

    def search_trace(self, arguments: SearchTraceArguments) -> JsonObject:
        """Find a pattern in a trace."""
        trace = self._source.load(arguments.trace_id)
        return {"trace_id": trace.trace_id, **_search(trace.spans, arguments)}

    def search_span(self, arguments: SearchSpanArguments) -> JsonObject:
        """Find a pattern in a span."""
        trace = self._source.load(arguments.trace_id)
        span = trace.by_id.get(arguments.span_id)
        if span is None:
            raise EngineToolError(
                f"no span `{arguments.span_id[:64]}` in trace {trace.trace_id}",
                hint="take span ids from `view_trace` or `search_trace`",
            )
        found = _search((span,), arguments)
        return {"trace_id": trace.trace_id, "span_id": span.span_id, **found}

    def query_spans(self, arguments: QuerySpansArguments) -> JsonObject:
        """List spans over all matching traces."""
        rows = self.select(arguments.filters)
        found = list_spans(self._source, arguments, rows)
        self._source.viewed.update(span.trace_id for span in found.page)
        query_id = self._queries.remember(
            "query_spans", arguments.model_dump_json(), found.traces, len(rows)
        )
        return {
            "spans": [_span_row(span) for span in found.page],
            "total": found.total,
            "affected_traces": found.traces,
            "query_id": query_id,
        }

    def select(self, filters: Filters) -> list[TraceRow]:
        """
        Rows of the traces that match, by trace id.

        Raises:
            EngineToolError: The pattern cannot be used.
        """
        rows = self._source.select(filters.to_filter())
        if not filters.regex_pattern:
            return rows
        pattern = compile_pattern(filters.regex_pattern)
        ids = {row.trace_id for row in rows}
        matching = {
            trace.trace_id
            for trace in self._source.reader.iter_traces(self._source.window)
            if trace.trace_id in ids and any(pattern.search(line_of(s)) for s in trace.spans)
        }
        return [row for row in rows if row.trace_id in matching]

    def _remember(self, tool: str, filters: Filters, rows: Sequence[TraceRow]) -> str:
        question = filters.model_dump_json()
        return self._queries.remember(tool, question, len(rows), len(self._source.rows))


_VIEW_BYTES = min(VIEW_BUDGET_BYTES, DEFAULT_BUDGET_BYTES - 2_048)


def _next_page(tool: str) -> Any:
    def for_call(arguments: Any) -> NextCall:
        def after(kept: int) -> JsonObject:
            fields = arguments.model_dump(mode="json", exclude_defaults=True)
            return {"tool": tool, "arguments": {**fields, "offset": arguments.offset + kept}}

        return after

    return for_call


def _search(spans: tuple[Span, ...], arguments: SearchTraceArguments) -> JsonObject:
    return search_spans(
        spans,
        compile_pattern(arguments.regex_pattern),
        context_chars=arguments.context_buffer_chars,
        max_matches=arguments.max_matches,
        skip=arguments.offset,
    )


def _trace_row(row: TraceRow) -> JsonObject:
    return {
        "trace_id": row.trace_id,
        "span_count": row.span_count,
        "start_time": format_unix_ns(row.start_unix_ns),
        "end_time": row.end_time,
        "has_errors": row.error_span_count > 0,
        "service_names": [*row.service_names],
        "model_names": [*row.model_names],
        "total_input_tokens": row.input_tokens,
        "total_output_tokens": row.output_tokens,
        "agent_names": [*row.agent_names],
        "raw_jsonl_bytes": row.raw_jsonl_bytes,
        "duration_ms": row.duration_ms,
        "session_id": row.session_id,
        "error_span_count": row.error_span_count,
    }


def _strata(rows: list[TraceRow]) -> list[JsonValue]:
    """A few trace ids for each of: with and without errors, short and long."""
    if not rows:
        return []
    median_spans = sorted(row.span_count for row in rows)[len(rows) // 2]
    strata: dict[tuple[bool, bool], list[str]] = {}
    for row in rows:
        place = (row.error_span_count > 0, row.span_count > median_spans)
        strata.setdefault(place, []).append(row.trace_id)
    return [
        {
            "has_errors": has_errors,
            "length": "long" if is_long else "short",
            "traces": len(ids),
            "trace_ids": [*ids[:: max(1, len(ids) // 3)][:3]],
        }
        for (has_errors, is_long), ids in sorted(strata.items())
    ]


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
        "bytes": len(span.to_line()),
        "input_preview": cut_text(first_text(span, ("input.value",)).value, _PREVIEW_CHARS),
        "output_preview": cut_text(first_text(span, ("output.value",)).value, _PREVIEW_CHARS),
    }
