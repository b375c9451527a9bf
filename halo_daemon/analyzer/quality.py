"""Defects of the recording itself, counted per trace, each with the change to make."""

from typing import NamedTuple

from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

_SKEW_NS = 1_000_000_000

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


DEFECTS = (
    "missing_parent",
    "negative_duration",
    "clock_skew",
    "unfinished_span",
    "cut_attribute",
    "duplicate_span",
    "cut_trace",
    "missing_tokens",
    "missing_model",
    "missing_result",
    "missing_tool_span",
    "missing_session",
    "missing_version",
)
"""Codes in the order of `defects_of`."""


def defects_of(view: TraceView) -> list[Defect]:
    """Count every kind of defect, also those met zero times, so that shares have a denominator."""
    trace = view.trace
    first = trace.spans[0]
    spans, calls = len(trace.spans), len(view.model_calls)
    has_session = any(span.session_id for span in trace.spans)
    missing_parent, negative, skewed, unfinished, cut = _met(view)
    recorded = [call for call in view.tool_calls if not call.is_told]
    silent = [call.span for call in recorded if not call.result.attribute and not call.signal]
    told = [call.holder for call in view.told.values()]
    return [
        _defect("missing_parent", missing_parent, spans),
        _defect("negative_duration", negative, spans),
        _defect("clock_skew", skewed, spans),
        _defect("unfinished_span", unfinished, spans),
        _defect("cut_attribute", cut, spans),
        Defect("duplicate_span", trace.duplicate_spans, spans, first.span_id),
        Defect("cut_trace", int(view.is_part or trace.cut is not None), 1, first.span_id),
        _defect("missing_tokens", _untold(view), calls),
        _defect("missing_model", [c.span for c in view.model_calls if not c.model], calls),
        _defect("missing_result", silent, len(recorded)),
        _defect("missing_tool_span", told, len(view.tool_calls)),
        Defect("missing_session", int(not has_session), 1, first.span_id),
        Defect("missing_version", int(not first.service_version), 1, first.span_id),
    ]


def _defect(code: str, met: list[Span], of: int) -> Defect:
    return Defect(code, len(met), of, met[0].span_id if met else "")


def _untold(view: TraceView) -> list[Span]:
    """Model calls without a number of tokens; what no call can have is one."""
    return [
        call.span
        for call in view.model_calls
        if not (call.used.input_tokens or call.used.output_tokens)
        and call.span.input_tokens is None
        and call.span.output_tokens is None
    ]


def _met(view: TraceView) -> tuple[list[Span], ...]:
    """
    The spans that have each of five defects, in span order.

    Those of no parent, of a negative duration, of clocks apart, without an end, cut.
    """
    orphans: list[Span] = []
    negative: list[Span] = []
    skewed: list[Span] = []
    unfinished: list[Span] = []
    cut: list[Span] = []
    by_id = view.trace.by_id
    for span, shape in zip(view.trace.spans, view.shapes, strict=True):
        start_unix_ns, end_unix_ns = span.start_unix_ns, span.end_unix_ns
        parent = by_id.get(span.parent_span_id)
        if parent is None:
            if span.parent_span_id:
                orphans.append(span)
        elif start_unix_ns < parent.start_unix_ns - _SKEW_NS:
            skewed.append(span)
        if end_unix_ns <= 0:
            if not view.is_open:
                unfinished.append(span)
        elif end_unix_ns < start_unix_ns:
            negative.append(span)
        if (shape.may_be_cut and span.attributes["halo.truncated"] is True) or (
            span.fields.get("dropped_attributes_count")
        ):
            cut.append(span)
    return orphans, negative, skewed, unfinished, cut
