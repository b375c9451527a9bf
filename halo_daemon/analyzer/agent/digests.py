"""A trace in a few thousand characters: its task, its end, its errors, its tools."""

from collections import Counter

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.analyzer.agent.trace_source import has_error
from halo_daemon.analyzer.content import first_text
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.trace import Trace

_TEXT_CHARS = 1_500
_ERROR_CHARS = 300
_MAX_ERRORS = 8
_MAX_STEPS = 40


def digest(trace: Trace) -> JsonObject:
    """What a reader needs to compare *trace* with others, within about 8,000 characters."""
    errors = [span for span in trace.spans if has_error(span)]
    tools = Counter(span.tool_name for span in trace.spans if span.tool_name)
    steps = [span for span in trace.spans if span.observation_kind in {"LLM", "TOOL"}]
    return {
        "trace_id": trace.trace_id,
        "spans": len(trace.spans),
        "start_time": format_unix_ns(trace.start_unix_ns),
        "task": _first_of(trace, "input.value"),
        "final_output": _last_of(trace, "output.value"),
        "errors": [_error(span) for span in errors[:_MAX_ERRORS]],
        "error_count": len(errors),
        "tools": dict(tools.most_common(20)),
        "steps": [_step(span) for span in steps[:_MAX_STEPS]],
        "step_count": len(steps),
    }


def _first_of(trace: Trace, key: str) -> str:
    texts = (first_text(span, (key,)).value for span in (*trace.roots, *trace.spans))
    return cut_text(next(filter(None, texts), ""), _TEXT_CHARS)


def _last_of(trace: Trace, key: str) -> str:
    texts = (first_text(span, (key,)).value for span in (*trace.roots, *reversed(trace.spans)))
    return cut_text(next(filter(None, texts), ""), _TEXT_CHARS)


def _error(span: Span) -> JsonValue:
    message = span.status_message or first_text(span, ("output.value",)).value
    return {
        "span_id": span.span_id,
        "name": cut_text(span.name, 80),
        "message": cut_text(message, _ERROR_CHARS),
    }


def _step(span: Span) -> JsonValue:
    return (
        f"{span.span_id} {span.observation_kind} {cut_text(span.name, 60)} {span.status_code[12:]}"
    )
