"""
Words that speak to a model as if to a servant, however they are disguised.

Most texts hold none. So a literal is looked for first, and a pattern is tried only
at the very places where it stands. Every repetition in the patterns is bounded, so
the time is linear in the length of the text.
"""

import re
import unicodedata
from typing import NamedTuple

MAX_SEARCHED_CHARS = 200_000
_FIRST_TAG, _LAST_TAG = "\U000e0020", "\U000e007e"
_TAG_BLOCK = 0xE0000

_GAP = r"(?:\s|\\[nrt]){0,20}"
_ANY = rf"(?:(?:all|any|the|your|every|everything|of|these|those|my|our){_GAP}){{0,4}}"
_DROP = r"(?:ignore|disregard|forget)"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|system|original|initial)"
_RULES = r"(?:instructions?|prompts?|rules?|guidelines?|directives?)"
_LOOT = r"(?:\.env\b|\bsend\b|https?://|secrets?\b|passwords?\b|credentials?\b|system prompt)"


class _Order(NamedTuple):
    mark: str
    """What the pattern begins with; small letters."""
    also: str
    """Another part of it, rarer than the mark."""
    pattern: re.Pattern[str]


def _orders(marks: tuple[str, ...], *patterns: str, also: str = "") -> tuple[_Order, ...]:
    pattern = re.compile("|".join(patterns))
    return tuple(_Order(mark, also, pattern) for mark in marks)


_ORDERS = (
    *_orders(
        ("ignore", "disregard", "forget"),
        rf"{_DROP}{_GAP}{_ANY}{_EARLIER}{_GAP}[^.\n]{{0,30}}{_RULES}",
        rf"{_DROP}{_GAP}{_ANY}{_RULES}{_GAP}(?:above|before|you{_GAP}(?:were|have{_GAP}been))",
        rf"{_DROP}{_GAP}{_ANY}above{_GAP}(?:[,.;:!]|and\b|then\b)[^\n]{{0,80}}?{_LOOT}",
    ),
    *_orders(
        ("ignor",),
        rf"ignoriere?{_GAP}(?:alle|die|deine)[^.\n]{{0,30}}(?:anweisungen|instruktionen|regeln)",
        rf"ignor(?:a|e|ez){_GAP}(?:todas|las)[^.\n]{{0,40}}instrucciones",
        rf"ignore[rz]?{_GAP}(?:toutes|les|tes|vos)[^.\n]{{0,40}}(?:instructions|consignes)",
    ),
    *_orders(
        ("override",),
        rf"override{_GAP}{_ANY}{_EARLIER}{_GAP}[^.\n]{{0,30}}(?:instructions?|prompts?|guidelines?)",
    ),
    *_orders(
        ("reveal", "print", "repeat", "output"),
        rf"\w{{5,6}}{_GAP}(?:your|the){_GAP}system{_GAP}prompt",
        also="prompt",
    ),
    *_orders(
        ("reveal", "print", "repeat", "output"),
        rf"\w{{5,6}}{_GAP}(?:your|the){_GAP}initial{_GAP}instructions",
        also="instruction",
    ),
    *_orders(("new",), rf"new{_GAP}instructions?\s{{0,5}}:\s{{0,5}}\S", also="instruction"),
    *_orders(
        ("you",), rf"you{_GAP}are{_GAP}now{_GAP}(?:in{_GAP})?\w{{1,30}}{_GAP}mode\b", also="mode"
    ),
    *_orders(("<|",), r"<\|(?:im_start|im_end|system|start_header_id|eot_id)\|>"),
    *_orders(
        ("[inst]", "[/inst]", "<<sys>>", "<</sys>>", "<final/>", "<final />"),
        r"[<\[]{1,2}/?(?:inst|sys|final)\s?/?[>\]]{1,2}",
    ),
)
_ODDITIES = (
    *_orders(('"role"', '"tool_call_id"'), r'"\w{1,20}"\s{0,5}:\s{0,5}"'),
    *_orders(("final_answer(",), r'final_answer\(\s{0,5}[{"\']'),
    *_orders(("](",), r"\]\(\s{0,5}(?:https?|data|javascript):"),
    *_orders(("\u202d", "\u202e"), "[\u202d\u202e]"),
)
"""What has no business in a name: messages, answers, links, reversed text."""

_SPACED_MARKS = tuple(gap.join(word) for word in ("nstruct", "ignor") for gap in " .-_*")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*]){1,200}[^\W_](?![^\W_])")
_SPACER = re.compile(r"[ .\-_*]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_PIECE = re.compile(r"\\u[0-9a-fA-F]{4}|.", re.DOTALL)
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
"""Characters that show nothing: zero-width ones, directions, tags, fillers, selectors."""


def find_order(text: str) -> str | None:
    """
    The words of *text* that give a model an order, as they are recorded.

    Found through full-width and other compatibility forms, characters that show
    nothing, JSON escapes and letters set apart. Where the exact words cannot be
    told, ``""``; None where there are none in the first 200,000 characters.
    """
    return _find(text, _ORDERS)


def find_order_in_name(name: str) -> str | None:
    """The same for a name or a key, where messages, answers and links are out of place."""
    if " " not in name and '"' not in name and "(" not in name and name.isascii():
        return None
    found = _find(name, _ODDITIES)
    return _find(name, _ORDERS) if found is None else found


def _find(text: str, orders: tuple[_Order, ...]) -> str | None:
    text = text[:MAX_SEARCHED_CHARS]
    lowered = _lowered(text)
    found = _first(lowered, orders)
    if found:
        return text[slice(*found)]
    spaced = holds_any(lowered, _SPACED_MARKS)
    if text.isascii() and not spaced and "\\u" not in text:
        return None
    plain = _closed_up(_unmasked(text))
    if plain == text or not _first(_lowered(plain), orders):
        return None
    return _words_before_unmasking(text, orders)


def _lowered(text: str) -> str:
    """Small letters, each at the place of its capital: a dotted capital I would become two."""
    return text.replace("\u0130", "i").lower()


def _first(lowered: str, orders: tuple[_Order, ...]) -> tuple[int, int] | None:
    for mark, also, pattern in orders:
        at = lowered.find(mark)
        if at < 0 or also not in lowered:
            continue
        while at >= 0:
            match = pattern.match(lowered, at)
            if match:
                return match.span()
            at = lowered.find(mark, at + 1)
    return None


def holds_any(text: str, marks: tuple[str, ...]) -> bool:
    """Whether one of *marks* stands in *text*; several times faster than a pattern."""
    for mark in marks:  # noqa: SIM110 -- and than a generator
        if mark in text:
            return True
    return False


def _unmasked(text: str) -> str:
    if "\\u" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return unicodedata.normalize("NFKC", _UNSEEN.sub(_said_by_tag, text))


def _said_by_tag(match: re.Match[str]) -> str:
    """A tag character repeats one of ASCII, unseen; all others say nothing."""
    is_tag = _FIRST_TAG <= match[0] <= _LAST_TAG
    return chr(ord(match[0]) - _TAG_BLOCK) if is_tag else ""


def _closed_up(text: str) -> str:
    if not holds_any(text.lower(), _SPACED_MARKS):
        return text
    return _SPACED.sub(lambda match: _SPACER.sub("", match[0]), text)


def _words_before_unmasking(text: str, orders: tuple[_Order, ...]) -> str:
    """Unmask piece by piece, so that what matches can be traced back to what is recorded."""
    origins: list[int] = []
    pieces: list[str] = []
    for piece in _PIECE.finditer(text):
        seen = _unmasked(piece[0])
        pieces.append(seen)
        origins += [piece.start()] * len(seen)
    seen = "".join(pieces)
    plain = _closed_up(seen)
    if plain != seen:
        runs = [range(*match.span()) for match in _SPACED.finditer(seen)]
        spacers = {at for run in runs for at in run if _SPACER.match(seen[at])}
        origins = [origin for at, origin in enumerate(origins) if at not in spacers]
    found = _first(_lowered(plain), orders)
    return text[origins[found[0]] : origins[found[1] - 1] + 1] if found else ""
