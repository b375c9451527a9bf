"""Spans as a model reads them: flat copies left out, long values cut, big traces as an outline."""

import re
import statistics
from collections import Counter
from collections.abc import Iterable

import orjson

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.analyzer.agent.trace_source import has_error
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

TRACE_VALUE_CHARS = 4_096
SPAN_VALUE_CHARS = 16_384
VIEW_BUDGET_BYTES = 150_000

_FLAT = re.compile(r"(?:llm\.(?:input|output)_messages|mcp\.tools)\.[0-9]+\.")
_DROPPED_KEY = "__halo_dropped_flat_projections"
_TOP_NAMES = 10
_MAX_OUTLINE = 400
_OUTLINE_NAME_CHARS = 120


def view(trace: Trace, spans: Iterable[Span], *, limit_chars: int, budget_bytes: int) -> JsonObject:
    """
    Some spans of one trace in full, or an outline where they are too large together.

    Attribute values are cut at *limit_chars* of their text, with their length.
    """
    shown = [_shown(span, limit_chars) for span in spans]
    sizes = [len(orjson.dumps(span)) for span in shown]
    if sum(sizes) <= budget_bytes:
        return {"trace_id": trace.trace_id, "spans": [*shown], "oversized": None}
    return {
        "trace_id": trace.trace_id,
        "spans": [],
        "oversized": _oversized(trace, sizes, budget_bytes),
    }


def _shown(span: Span, limit_chars: int) -> JsonObject:
    # Where nothing but the flat form holds the messages, it is not a copy.
    has_whole = {"llm.input_messages", "llm.output_messages", "input.value"} & {*span.attributes}
    attributes: JsonObject = {}
    dropped = 0
    for key, value in span.attributes.items():
        if has_whole and _FLAT.match(key):
            dropped += 1
        elif value is not None:
            attributes[key] = _cut(value, limit_chars)
    if dropped:
        attributes[_DROPPED_KEY] = dropped
    return {**span.fields, "attributes": attributes}


def _cut(value: JsonValue, limit_chars: int) -> JsonValue:
    if isinstance(value, (str, list, dict)):
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return value if len(text) <= limit_chars else cut_text(text, limit_chars)
    return value


def _oversized(trace: Trace, sizes: list[int], budget_bytes: int) -> JsonObject:
    names = Counter(span.name for span in trace.spans)
    return {
        "trace_id": trace.trace_id,
        "span_count": len(trace.spans),
        "truncated_response_bytes": sum(sizes),
        "response_bytes_budget": budget_bytes,
        "span_response_bytes_min": min(sizes),
        "span_response_bytes_median": int(statistics.median(sizes)),
        "span_response_bytes_max": max(sizes),
        "top_span_names": [[name, count] for name, count in names.most_common(_TOP_NAMES)],
        "error_span_count": sum(has_error(span) for span in trace.spans),
        "recommendation": "open single spans of the outline with `view_spans`, or use `search_trace`",
        "outline": outline(trace),
    }


def outline(trace: Trace) -> list[JsonValue]:
    """The tree of *trace*, parents first, without text; at most 400 spans, errors kept first."""
    depths = _depths(trace)
    kept = {span.span_id for span in trace.spans if has_error(span)}
    for span in sorted(trace.spans, key=lambda span: depths[span.span_id]):
        if len(kept) >= _MAX_OUTLINE:
            break
        kept.add(span.span_id)
    rows: list[JsonValue] = [
        {
            "span_id": span.span_id,
            "parent_span_id": span.parent_span_id,
            "depth": depths[span.span_id],
            "name": cut_text(span.name, _OUTLINE_NAME_CHARS),
            "kind": span.observation_kind,
            "tool_name": span.tool_name,
            "status_code": span.status_code,
            "error": has_error(span),
            "bytes": len(span.to_line()),
            "duration_ms": span.duration_ns // 1_000_000,
        }
        for span in trace.spans
        if span.span_id in kept
    ]
    if len(rows) < len(trace.spans):
        rows.append({"folded_spans": len(trace.spans) - len(rows)})
    return rows


def _depths(trace: Trace) -> dict[str, int]:
    depths: dict[str, int] = {}
    for span in trace.spans:
        chain = [span.span_id]
        parent = span.parent_span_id
        while parent in trace.by_id and parent not in depths and parent not in chain:
            chain.append(parent)
            parent = trace.by_id[parent].parent_span_id
        depth = depths.get(parent, -1)
        for span_id in reversed(chain):
            depth += 1
            depths[span_id] = depth
    return depths
