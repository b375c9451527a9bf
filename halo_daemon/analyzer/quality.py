"""Defects of the recording itself, counted per trace, each with the change to make."""

from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

_SKEW_NS = 1_000_000_000
_BY_SPAN = (
    "missing_parent",
    "negative_duration",
    "clock_skew",
    "unfinished_span",
    "cut_attribute",
)

FIXES: dict[str, str] = {
    "missing_parent": "Export every span of a process, also on shutdown, and sample whole traces.",
    "negative_duration": "Take start and end of a span from one clock.",
    "clock_skew": "Synchronise the clocks of the services that share traces.",
    "unfinished_span": "End spans in a `finally` block, and flush the exporter before exit.",
    "missing_tokens": "Record `gen_ai.usage.input_tokens` and `gen_ai.usage.output_tokens`.",
    "missing_model": "Record `gen_ai.request.model` on model calls.",
    "missing_session": "Record `session.id`, so that traces of one conversation are counted as one.",
    "missing_version": "Set the resource attribute `service.version`, so that releases can be told apart.",
    "missing_result": "Record the results of tool calls: `gen_ai.tool.call.result` or `output.value`.",
    "missing_tool_span": "Trace the tools as well, one span for each call (`execute_tool`, kind TOOL): the results of these calls were read from the prompts of model calls. How long they took, and what became of calls whose result no prompt brings, is not known.",
    "duplicate_span": "Nothing to do where exporters retry; a span is counted once.",
    "cut_trace": "Raise `storage.max_answer`, or record shorter inputs and outputs: the trace was examined in parts, without the rules that need all of it.",
    "cut_attribute": "Raise the SDK's attribute length limit (`OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`).",
}


class Defect(NamedTuple):
    """How often one defect was met in one trace."""

    code: str
    met: int
    of: int
    span_id: str
    """The first span that has it; ``""`` when there is none."""


def defects_of(view: TraceView) -> Iterator[Defect]:
    """Count every kind of defect, also those met zero times, so that shares have a denominator."""
    trace = view.trace
    spans = len(trace.spans)
    found = _met(view)
    for code in _BY_SPAN:
        met = found[code]
        yield Defect(code, len(met), spans, _first(met))
    yield Defect("duplicate_span", trace.duplicate_spans, spans, trace.spans[0].span_id)
    yield Defect("cut_trace", int(view.is_part or trace.cut is not None), 1, trace.spans[0].span_id)
    calls = [call.span for call in view.model_calls]
    untold = [span for span in calls if span.input_tokens is None and span.output_tokens is None]
    unnamed = [span for span in calls if not span.model]
    recorded = [call for call in view.tool_calls if not call.is_told]
    silent = [call.span for call in recorded if not call.result.attribute and not call.signal]
    told = [call.holder for call in view.told.values()]
    yield Defect("missing_tokens", len(untold), len(calls), _first(untold))
    yield Defect("missing_model", len(unnamed), len(calls), _first(unnamed))
    yield Defect("missing_result", len(silent), len(recorded), _first(silent))
    yield Defect("missing_tool_span", len(told), len(view.tool_calls), _first(told))
    root = trace.spans[0]
    has_session = any(span.session_id for span in trace.spans)
    yield Defect("missing_session", int(not has_session), 1, root.span_id)
    yield Defect("missing_version", int(not root.service_version), 1, root.span_id)


def _first(spans: list[Span]) -> str:
    return spans[0].span_id if spans else ""


def _met(view: TraceView) -> dict[str, list[Span]]:
    """The spans that have each defect of `_BY_SPAN`, in span order."""
    met: dict[str, list[Span]] = {code: [] for code in _BY_SPAN}
    by_id = view.trace.by_id
    for span in view.trace.spans:
        parent = by_id.get(span.parent_span_id)
        if parent is None:
            if span.parent_span_id:
                met["missing_parent"].append(span)
        elif span.start_unix_ns < parent.start_unix_ns - _SKEW_NS:
            met["clock_skew"].append(span)
        if span.end_unix_ns <= 0:
            if not view.is_open:
                met["unfinished_span"].append(span)
        elif span.end_unix_ns < span.start_unix_ns:
            met["negative_duration"].append(span)
        if span.attributes.get("halo.truncated") is True or (
            span.fields.get("dropped_attributes_count")
        ):
            met["cut_attribute"].append(span)
    return met
