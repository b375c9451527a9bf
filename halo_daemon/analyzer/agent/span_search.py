"""
Searching the spans of a trace with a pattern, in linear time.

The raw line is searched as HALO does, and every decoded value besides: quotes,
line ends and letters that JSON escapes are found as people write them.
"""

import itertools
from collections.abc import Iterable, Iterator

import orjson

from halo_daemon.analyzer.agent.answers import cut_text
from halo_daemon.analyzer.content import text_of
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.store.patterns import Match, Pattern

_MAX_MATCH_CHARS = 1_024

MAX_COUNTED = 20_000
"""Matches counted in one answer; a pattern that matches everything is not counted out."""


def line_of(span: Span) -> str:
    """The raw line of a span, without its newline."""
    return orjson.dumps(span.fields).decode()


def values_of(span: Span) -> Iterator[tuple[str, str]]:
    """Every text of a span that people wrote, with its path."""
    yield "name", span.name
    yield "status.message", span.status_message
    for key, value in span.attributes.items():
        if value is not None:
            yield key, text_of(value)
    for place, event in enumerate(span.events):
        attributes = event.get("attributes")
        if isinstance(attributes, dict):
            for key, value in attributes.items():
                yield f"events[{place}].{key}", text_of(value)


def search_spans(
    spans: Iterable[Span], pattern: Pattern, *, context_chars: int, max_matches: int, skip: int
) -> JsonObject:
    """
    Find *pattern* in *spans*.

    Returns:
        All matches counted, up to 20,000, and *max_matches* of them shown after the
        first *skip*.
    """
    matches: list[JsonValue] = []
    count = 0
    for index, span in enumerate(spans):
        for path, text, found in itertools.islice(
            _matches_in(span, pattern), max(0, MAX_COUNTED - count)
        ):
            count += 1
            if skip < count and len(matches) < max_matches:
                place: JsonObject = {
                    "span_index": index,
                    "where": "value" if path else "raw",
                    "attribute": path,
                }
                matches.append({**_match_row(span, text, found, context_chars), **place})
    return {
        "match_count": count,
        "returned_match_count": len(matches),
        "has_more": count > skip + len(matches),
        "count_stopped": count >= MAX_COUNTED,
        "matches": matches,
    }


def _matches_in(span: Span, pattern: Pattern) -> Iterator[tuple[str, str, Match]]:
    line = line_of(span)
    is_in_line = False
    for found in pattern.finditer(line):
        is_in_line = True
        yield "", line, found
    if is_in_line:
        return
    for path, text in values_of(span):
        for found in pattern.finditer(text):
            yield path, text, found


def _match_row(span: Span, text: str, found: Match, context_chars: int) -> JsonObject:
    start, end = found.start(), found.end()
    before = text[max(0, start - context_chars) : start]
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "span_name": span.name,
        "kind": span.kind,
        "status_code": span.status_code,
        "parent_span_id": span.parent_span_id,
        "match_text": cut_text(text[start:end], _MAX_MATCH_CHARS),
        "matched_context": before
        + cut_text(text[start:end], _MAX_MATCH_CHARS)
        + text[end : end + context_chars],
        "match_start_char": start,
        "match_end_char": end,
    }
