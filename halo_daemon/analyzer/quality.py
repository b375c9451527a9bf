"""Defects of the recording itself, counted per trace, each with the change to make."""

from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

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
    "duplicate_span": "Nothing to do where exporters retry; a span is counted once.",
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
    yield _over_spans("missing_parent", trace, _missing_parents(trace))
    yield _over_spans("negative_duration", trace, _backwards(trace))
    yield _over_spans("clock_skew", trace, _skewed(trace))
    open_spans = () if view.is_open else (s for s in trace.spans if not s.is_complete)
    yield _over_spans("unfinished_span", trace, open_spans)
    yield _over_spans("cut_attribute", trace, _cut(trace))
    yield Defect("duplicate_span", trace.duplicate_spans, len(trace.spans), trace.spans[0].span_id)
    calls = [call.span for call in view.model_calls]
    untold = [span for span in calls if span.input_tokens is None and span.output_tokens is None]
    unnamed = [span for span in calls if not span.model]
    silent = [
        call.span for call in view.tool_calls if not call.result.attribute and not call.signal
    ]
    yield Defect("missing_tokens", len(untold), len(calls), _first(untold))
    yield Defect("missing_model", len(unnamed), len(calls), _first(unnamed))
    yield Defect("missing_result", len(silent), len(view.tool_calls), _first(silent))
    root = trace.spans[0]
    has_session = any(span.session_id for span in trace.spans)
    yield Defect("missing_session", int(not has_session), 1, root.span_id)
    yield Defect("missing_version", int(not root.service_version), 1, root.span_id)


def _first(spans: list[Span]) -> str:
    return spans[0].span_id if spans else ""


def _over_spans(code: str, trace: Trace, met: "Iterator[Span] | tuple[Span, ...]") -> Defect:
    found = list(met)
    return Defect(code, len(found), len(trace.spans), _first(found))


def _missing_parents(trace: Trace) -> Iterator[Span]:
    return (span for span in trace.roots if span.parent_span_id)


def _backwards(trace: Trace) -> Iterator[Span]:
    return (s for s in trace.spans if s.is_complete and s.end_unix_ns < s.start_unix_ns)


def _skewed(trace: Trace) -> Iterator[Span]:
    by_id = trace.by_id
    for span in trace.spans:
        parent = by_id.get(span.parent_span_id)
        if parent and span.start_unix_ns < parent.start_unix_ns - _SKEW_NS:
            yield span


def _cut(trace: Trace) -> Iterator[Span]:
    return (
        span
        for span in trace.spans
        if span.attributes.get("halo.truncated") is True
        or span.fields.get("dropped_attributes_count")
    )
