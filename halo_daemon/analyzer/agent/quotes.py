"""
Finding a quote in a span, as models quote: white space folded, typography levelled.

What is found is told as the exact characters of the stored value, so that
anyone can look it up again without knowing how it was matched.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.agent.span_search import values_of
from halo_daemon.findings.finding import MAX_QUOTE_CHARS
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

MIN_QUOTE_CHARS = 3
_MASK = re.compile(r"\[redacted:[a-z-]+\]")
_CUT = re.compile(r"\s*…?\s*\[cut: [0-9]+ characters in all\]|\s*(?:…|\.\.\.)\s*$")
_LEVEL = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "‑": "-"}
)


class Place(NamedTuple):
    """Where a quote stands: the characters ``value[start:end]`` of one value."""

    attribute: str
    start: int
    end: int
    text: str


def find_quote(span: Span, quote: str, *, attribute: str = "") -> Place | None:
    """
    Find *quote* in *span*, in *attribute* first.

    Masks of secrets and marks of cut values are no part of the text: the longest
    piece between them is looked for. A quote with escapes as in JSON is looked for
    without them as well. Letter case and digits must agree.

    Returns:
        The first place; None when it stands nowhere, or is shorter than three characters.
    """
    values = sorted(values_of(span), key=lambda item: item[0] != attribute)
    for wanted in _readings(quote):
        if len(wanted) < MIN_QUOTE_CHARS:
            continue
        for path, value in values:
            place = _find(value, wanted)
            if place is not None:
                start, end = place
                end = min(end, start + MAX_QUOTE_CHARS)
                return Place(path, start, end, value[start:end])
    return None


def spans_with(trace: Trace, quote: str) -> list[str]:
    """Ids of the spans of *trace* that hold *quote*, in span order."""
    return [span.span_id for span in trace.spans if find_quote(span, quote) is not None]


def _readings(quote: str) -> Iterator[str]:
    pieces = _MASK.split(_CUT.sub("", quote.strip()))
    longest = max(pieces, key=len).strip()
    yield _level(longest)
    if "\\" in longest:
        try:
            yield _level(str(json.loads(f'"{longest}"')))
        except json.JSONDecodeError:
            return


def _level(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).translate(_LEVEL).split())


def _find(value: str, wanted: str) -> tuple[int, int] | None:
    exact = value.find(wanted)
    if exact >= 0:
        return exact, exact + len(wanted)
    levelled, places = _levelled_with_places(value)
    found = levelled.find(wanted)
    return None if found < 0 else (places[found], places[found + len(wanted) - 1] + 1)


def _levelled_with_places(value: str) -> tuple[str, list[int]]:
    """*value* as `_level` leaves it, and for each character its place in *value*."""
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(value):
        plain = char if char.isascii() else unicodedata.normalize("NFKC", char).translate(_LEVEL)
        for piece in plain or "":
            if not piece.isspace():
                chars.append(piece)
                places.append(place)
            elif chars and chars[-1] != " ":
                chars.append(" ")
                places.append(place)
    return "".join(chars), places
