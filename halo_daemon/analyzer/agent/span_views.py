"""Spans as a model reads them: flat copies left out, long values cut, big traces as an outline."""

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.trace_source import has_error
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.views import OutlineEntry, below, fit, outline

TRACE_VALUE_CHARS = 4_096
SPAN_VALUE_CHARS = 16_384
VIEW_BUDGET_BYTES = 150_000

_FLAT = re.compile(r"(?:llm\.(?:input|output)_messages|mcp\.tools)\.[0-9]+\.")
_WHOLE = {"llm.input_messages", "llm.output_messages", "input.value"}
_NUMBERS = frozenset({int, float, bool})
_DROPPED_KEY = "__halo_dropped_flat_projections"
_TOP_NAMES = 10
PAGE_SPANS = 400
"""Spans of a page, and of an outline."""

_SUMMARY_BYTES = 16_384
"""What the figures beside an outline may take."""

_OUTLINE_NAME_CHARS = 120


@dataclass(frozen=True, slots=True)
class Part:
    """What of a trace is asked for; all of it by default."""

    start_span: str | None = None
    max_depth: int | None = None
    page: int | None = None
    after_span: str | None = None
    """Where the part of the trace begins that was read; no other field means all of it."""

    def with_page(self, page: int) -> JsonObject:
        """The arguments that ask for another page of the same."""
        fields: JsonObject = {
            "start_span": self.start_span,
            "max_depth": self.max_depth,
            "after_span": self.after_span,
        }
        return {**{key: value for key, value in fields.items() if value is not None}, "page": page}


def view(trace: Trace, spans: Iterable[Span], *, limit_chars: int, budget_bytes: int) -> JsonObject:
    """
    Some spans of one trace in full, or an outline where they are too large together.

    Attribute values are cut at *limit_chars* of their text, with their length.
    """
    chosen = list(spans)
    shown = _fitting(trace, chosen, limit_chars=limit_chars, budget_bytes=budget_bytes)
    if shown is not None:
        return shown
    ids = {span.span_id for span in chosen}
    entries = [entry for entry in outline(trace) if entry.span_id in ids]
    return _outlined(trace, entries, limit_chars=limit_chars, budget_bytes=budget_bytes)


def _fitting(
    trace: Trace, spans: Sequence[Span], *, limit_chars: int, budget_bytes: int
) -> JsonObject | None:
    """The spans in full; None as soon as they are too large together."""
    shown: list[JsonValue] = []
    size_bytes = 0
    surely_fits = _surely_fits(spans, limit_chars, budget_bytes)
    for span in spans:
        shown.append(_shown(span, limit_chars))
        if surely_fits:
            continue
        size_bytes += len(orjson.dumps(shown[-1]))
        if size_bytes > budget_bytes:
            return None
    return {"trace_id": trace.trace_id, "spans": shown, "oversized": None}


def _surely_fits(spans: Sequence[Span], limit_chars: int, budget_bytes: int) -> bool:
    """Whether the lengths of lines tell already: without a value to cut, no more is shown."""
    sizes = [span.line_bytes for span in spans]
    return sum(sizes) <= budget_bytes and max(sizes, default=0) <= limit_chars


def _outlined(
    trace: Trace, entries: Sequence[OutlineEntry], *, limit_chars: int, budget_bytes: int
) -> JsonObject:
    sizes = [
        len(orjson.dumps(_shown(trace.by_id[entry.span_id], limit_chars))) for entry in entries
    ]
    return {
        "trace_id": trace.trace_id,
        "spans": [],
        "oversized": _oversized(trace, sizes, entries, budget_bytes),
    }


def _shown(span: Span, limit_chars: int) -> JsonObject:
    flat = _flat_keys(span.attributes)
    attributes: JsonObject = {
        key: value for key, value in span.attributes.items() if value is not None
    }
    for key in flat:
        attributes.pop(key, None)
    # No value of a short line is too long.
    if span.line_bytes > limit_chars:
        attributes = {key: _cut(value, limit_chars) for key, value in attributes.items()}
    if flat:
        attributes[_DROPPED_KEY] = len(flat)
    return {**span.fields, "attributes": attributes}


def _flat_keys(attributes: JsonObject) -> list[str]:
    # Where nothing but the flat form holds the messages, it is not a copy.
    if _WHOLE.isdisjoint(attributes):
        return []
    # Nearly no span has any, which a look at all keys together tells.
    keys = "\n".join(attributes)
    if "_messages." not in keys and "mcp.tools." not in keys:
        return []
    return [key for key in attributes if _FLAT.match(key)]


def _cut(value: JsonValue, limit_chars: int) -> JsonValue:
    if value.__class__ in _NUMBERS:
        return value
    if isinstance(value, (str, list, dict)):
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return value if len(text) <= limit_chars else cut_text(text, limit_chars)
    return value


def view_part(trace: Trace, part: Part, *, budget_bytes: int) -> JsonObject:
    """
    A whole trace, or the part of it that is asked for; its outline where that is too large.

    Raises:
        EngineToolError: There is no such span or page.
    """
    if part == Part(after_span=part.after_span):
        return view(trace, trace.spans, limit_chars=TRACE_VALUE_CHARS, budget_bytes=budget_bytes)
    entries = _entries_of(trace, part)
    first_depth = entries[0].depth if entries else 0
    if part.max_depth is not None:
        entries = [e for e in entries if e.depth - first_depth <= part.max_depth]
    pages = -(-len(entries) // PAGE_SPANS)
    if part.page is not None:
        if part.page > pages:
            raise EngineToolError(f"no page {part.page}: there are {pages}")
        entries = entries[(part.page - 1) * PAGE_SPANS :][:PAGE_SPANS]
    limits = {"limit_chars": TRACE_VALUE_CHARS, "budget_bytes": budget_bytes}
    spans = [trace.by_id[entry.span_id] for entry in entries]
    answer = _fitting(trace, spans, **limits) or _outlined(trace, entries, **limits)
    if part.page is not None:
        answer |= {"page": part.page, "pages": pages}
        if part.page < pages:
            answer["next"] = {
                "tool": "view_trace",
                "arguments": {"trace_id": trace.trace_id, **part.with_page(part.page + 1)},
            }
    return answer


def _entries_of(trace: Trace, part: Part) -> list[OutlineEntry]:
    entries = outline(trace)
    if part.start_span is None:
        return entries
    found = below(entries, part.start_span)
    if not found:
        raise EngineToolError(
            f"no span `{part.start_span[:64]}` in trace {trace.trace_id}",
            hint="take span ids from the outline of `view_trace`",
        )
    return found


def _oversized(
    trace: Trace, sizes: list[int], entries: Sequence[OutlineEntry], budget_bytes: int
) -> JsonObject:
    names = Counter(span.name for span in trace.spans)
    return {
        "trace_id": trace.trace_id,
        "span_count": len(trace.spans),
        "truncated_response_bytes": sum(sizes),
        "response_bytes_budget": budget_bytes,
        "span_response_bytes_min": min(sizes),
        "span_response_bytes_median": int(statistics.median(sizes)),
        "span_response_bytes_max": max(sizes),
        "top_span_names": [
            [cut_text(name, _OUTLINE_NAME_CHARS), count]
            for name, count in names.most_common(_TOP_NAMES)
        ],
        "error_span_count": sum(has_error(span) for span in trace.spans),
        "recommendation": "open spans of the outline with `view_spans`; where spans are folded, "
        "call `view_trace` with that `start_span`, or with that `page`; or use `search_trace`",
        "pages": -(-len(entries) // PAGE_SPANS),
        "outline": _outline_rows(entries, budget_bytes - _SUMMARY_BYTES),
    }


def _outline_rows(entries: Sequence[OutlineEntry], room_bytes: int) -> list[JsonValue]:
    """
    The tree in reading order, in at most *room_bytes*: any span is three calls away.

    Where not all spans fit, subtrees are folded into the span to open; where the tree is too
    flat or too deep for that, stretches of it are folded into the page to read.
    """
    rows: list[JsonValue] = [_outline_row(entry) for entry in entries[:PAGE_SPANS]]
    if len(rows) == len(entries) and _bytes_of(rows) <= room_bytes:
        return rows
    for most in (PAGE_SPANS, PAGE_SPANS // 2, PAGE_SPANS // 4):
        folded = fit(entries, max_entries=most)
        opens = max(entry.folded_spans for entry in folded) <= PAGE_SPANS
        rows = [_outline_row(entry) for entry in folded]
        if len(folded) <= most and opens and _bytes_of(rows) <= room_bytes:
            return rows
    return [
        {**_outline_row(part[0]), "folded_spans": len(part) - 1, "page": page}
        for page, part in enumerate(_pages(entries), 1)
    ]


def _pages(entries: Sequence[OutlineEntry]) -> Iterator[Sequence[OutlineEntry]]:
    for start in range(0, len(entries), PAGE_SPANS):
        yield entries[start : start + PAGE_SPANS]


def _bytes_of(rows: list[JsonValue]) -> int:
    return len(orjson.dumps(rows))


def _outline_row(entry: OutlineEntry) -> JsonObject:
    row: JsonObject = {
        "span_id": entry.span_id,
        "parent_span_id": entry.parent_span_id,
        "depth": entry.depth,
        "name": cut_text(entry.name, _OUTLINE_NAME_CHARS),
        "kind": cut_text(entry.observation_kind, _OUTLINE_NAME_CHARS),
        "tool_name": cut_text(entry.tool_name, _OUTLINE_NAME_CHARS),
        "status_code": entry.status_code,
        "error": entry.has_error,
        "bytes": entry.line_bytes,
        "duration_ms": int(entry.duration_ms),
    }
    if entry.folded_spans:
        row |= {"folded_spans": entry.folded_spans, "folded_bytes": entry.folded_bytes}
    return row
