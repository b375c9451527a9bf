"""
Words that speak to a model as if to a servant, however they are disguised.

Most texts hold none. So what orders hold besides is looked for first, in a form that is
quick to search, then a literal, and a pattern is tried only at the very places where
that stands. Every repetition in the patterns is bounded, so the time is linear in the
length of the text.
"""

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

MAX_SEARCHED_CHARS = 200_000
_FIRST_TAG, _LAST_TAG = "\U000e0020", "\U000e007e"
_TAG_BLOCK = 0xE0000
_FIRST_MEDIAL, _LAST_FINAL = "\u1161", "\u11c2"
"""Parts of Korean syllables that join what stands before them."""

_GAP = r"(?:\s|\\[nrt]){0,20}"
_ANY = rf"(?:(?:all|any|the|your|every|everything|of|these|those|my|our){_GAP}){{0,4}}"
_DROP = r"(?:ignore|disregard|forget)"
_EARLIER = r"(?:previous|prior|above|earlier|preceding|system|original|initial)"
_RULES = r"(?:instructions?|prompts?|rules?|guidelines?|directives?)"
_TAG = r"[<\[]{1,2}/?(?:inst|sys|final)\s?/?[>\]]{1,2}"
_LOOT = r"(?:\.env\b|\bsend\b|https?://|secrets?\b|passwords?\b|credentials?\b|system prompt)"


class _Orders(NamedTuple):
    also: str
    """What stands in every text that matches, rarer than the marks; small letters."""
    marks: tuple[str, ...]
    """What the pattern begins with."""
    pattern: re.Pattern[str]


def _orders(marks: tuple[str, ...], *patterns: str, also: str) -> _Orders:
    return _Orders(also, marks, re.compile("|".join(patterns)))


class _Catalogue(NamedTuple):
    orders: tuple[_Orders, ...]
    gates: tuple[tuple[str, str], ...]
    """What the orders hold besides their marks, each as it is and closed up."""


_SPACERS = b" .-_*"
_SPACED_WORDS = ("nstruct", "ignor")
_SPACED_MARKS = tuple(
    gap.join(word).encode() for word in _SPACED_WORDS for gap in _SPACERS.decode()
)


def _catalogue(*orders: _Orders) -> _Catalogue:
    held = dict.fromkeys((*(order.also for order in orders), *_SPACED_WORDS))
    return _Catalogue(orders, tuple((also, _closed_up(_folded(also))) for also in held))


def _folded(text: str) -> bytes:
    """Bytes of *text* to look for ASCII in, its letters small: quick to make and to search."""
    try:
        # As most texts are held already, so that nothing is left to do.
        return text.encode("latin-1").lower()
    except UnicodeEncodeError:
        return text.replace("\u0130", "i").encode("utf-8", "surrogatepass").lower()


def _closed_up(folded: bytes) -> str:
    """*folded* without what sets letters apart, as characters of one byte: the quickest to search."""
    return folded.translate(None, _SPACERS).decode("latin-1")


_DROPPING = (
    rf"{_DROP}{_GAP}{_ANY}{_EARLIER}{_GAP}[^.\n]{{0,30}}{_RULES}",
    rf"{_DROP}{_GAP}{_ANY}{_RULES}{_GAP}(?:above|before|you{_GAP}(?:were|have{_GAP}been))",
    rf"{_DROP}{_GAP}{_ANY}above{_GAP}(?:[,.;:!]|and\b|then\b)[^\n]{{0,80}}?{_LOOT}",
)
_ORDERS = _catalogue(
    _orders(("ignore",), *_DROPPING, also="ignor"),
    _orders(("disregard",), *_DROPPING, also="disregard"),
    _orders(("forget",), *_DROPPING, also="forget"),
    _orders(
        ("ignor",),
        rf"ignoriere?{_GAP}(?:alle|die|deine)[^.\n]{{0,30}}(?:anweisungen|instruktionen|regeln)",
        rf"ignor(?:a|e|ez){_GAP}(?:todas|las)[^.\n]{{0,40}}instrucciones",
        rf"ignore[rz]?{_GAP}(?:toutes|les|tes|vos)[^.\n]{{0,40}}(?:instructions|consignes)",
        also="ignor",
    ),
    _orders(
        ("override",),
        rf"override{_GAP}{_ANY}{_EARLIER}{_GAP}[^.\n]{{0,30}}(?:instructions?|prompts?|guidelines?)",
        also="override",
    ),
    _orders(
        ("reveal", "print", "repeat", "output"),
        rf"\w{{5,6}}{_GAP}(?:your|the){_GAP}system{_GAP}prompt",
        also="prompt",
    ),
    _orders(
        ("reveal", "print", "repeat", "output"),
        rf"\w{{5,6}}{_GAP}(?:your|the){_GAP}initial{_GAP}instructions",
        also="nstruct",
    ),
    _orders(("new",), rf"new{_GAP}instructions?\s{{0,5}}:\s{{0,5}}\S", also="nstruct"),
    _orders(
        ("you",), rf"you{_GAP}are{_GAP}now{_GAP}(?:in{_GAP})?\w{{1,30}}{_GAP}mode\b", also="mode"
    ),
    _orders(("<|",), r"<\|(?:im_start|im_end|system|start_header_id|eot_id)\|>", also="<"),
    _orders(("[inst]", "[/inst]"), _TAG, also="inst]"),
    _orders(("<<sys>>", "<</sys>>", "<final/>", "<final />"), _TAG, also="<"),
)
_ODDITIES = _catalogue(
    _orders(('"role"', '"tool_call_id"'), r'"\w{1,20}"\s{0,5}:\s{0,5}"', also='"'),
    _orders(("final_answer(",), r'final_answer\(\s{0,5}[{"\']', also="("),
    _orders(("](",), r"\]\(\s{0,5}(?:https?|data|javascript):", also="]("),
    _orders(("\u202d",), "\u202d", also="\u202d"),
    _orders(("\u202e",), "\u202e", also="\u202e"),
)
"""What has no business in a name: messages, answers, links, reversed text."""

_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_][ .\-_*]){1,200}[^\W_](?![^\W_])")
_SPACER = re.compile(r"[ .\-_*]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_PIECE = re.compile(r"\\u[0-9a-fA-F]{4}|.", re.DOTALL)
_UNSEEN_RANGES = (
    ("\x00", "\x08"),
    ("\x0e", "\x1f"),
    ("\x7f", "\x7f"),
    ("\u00ad", "\u00ad"),
    ("\u034f", "\u034f"),
    ("\u061c", "\u061c"),
    ("\u115f", "\u1160"),
    ("\u17b4", "\u17b5"),
    ("\u180b", "\u180f"),
    ("\u200b", "\u200f"),
    ("\u202a", "\u202e"),
    ("\u2060", "\u206f"),
    ("\u3164", "\u3164"),
    ("\ufe00", "\ufe0f"),
    ("\ufeff", "\ufeff"),
    ("\uffa0", "\uffa0"),
    ("\ufff9", "\ufffb"),
    ("\U000e0000", "\U000e007f"),
    ("\U000e0100", "\U000e01ef"),
)
"""Characters that show nothing: zero-width ones, directions, tags, fillers, selectors."""

_UNSEEN = frozenset(
    chr(code) for first, last in _UNSEEN_RANGES for code in range(ord(first), ord(last) + 1)
)
_SEEN_ASCII = bytes(code for code in range(128) if chr(code) not in _UNSEEN)


def find_order(text: str) -> str | None:
    """
    The words of *text* that give a model an order, as they are recorded.

    Found through full-width and other compatibility forms, characters that show
    nothing, JSON escapes and letters set apart. Where the exact words cannot be
    told, ``""``; None where there are none in the first 200,000 characters.
    """
    return _find(text, _ORDERS)


def may_hold_order(text: str) -> bool:
    """
    Whether `find_order` may find something in *text*, or in one of the texts set `together` in it.

    Far cheaper than to ask: mostly the answer is no.
    """
    if _held(_folded(text), _ORDERS):
        return True
    return _is_masked(text) and bool(_held(_folded(_unmasked(text)), _ORDERS))


@lru_cache(maxsize=4_096)
def find_order_in_name(name: str) -> str | None:
    """The same for a name or a key, where messages, answers and links are out of place."""
    if " " not in name and '"' not in name and "(" not in name and name.isascii():
        return None
    found = _find(name, _ODDITIES)
    return _find(name, _ORDERS) if found is None else found


def _find(text: str, catalogue: _Catalogue) -> str | None:
    text = text[:MAX_SEARCHED_CHARS]
    folded = _folded(text)
    held = _held(folded, catalogue)
    found = _first(text, held, catalogue)
    if found:
        return text[slice(*found)]
    is_spaced = bool(held) and _is_spaced(folded)
    if not is_spaced and not _is_masked(text):
        return None
    plain = _unmasked(text)
    if plain != text or is_spaced:
        plain = _set_together(plain)
    if plain == text or not _first(plain, _held(_folded(plain), catalogue), catalogue):
        return None
    return _words_before_unmasking(text, catalogue)


def _is_spaced(folded: bytes) -> bool:
    """Whether letters of an order are set apart."""
    return any(mark in folded for mark in _SPACED_MARKS)


def _held(folded: bytes, catalogue: _Catalogue) -> list[str]:
    """Of what orders hold, what a text may hold, letters set apart or not; mostly nothing."""
    closed_up = _closed_up(folded)
    return [also for also, gate in catalogue.gates if gate in closed_up]


def _lowered(text: str) -> str:
    """Small letters, each at the place of its capital: a dotted capital I would become two."""
    return text.replace("\u0130", "i").lower()


def _first(text: str, held: list[str], catalogue: _Catalogue) -> tuple[int, int] | None:
    if not held:
        return None
    lowered = _lowered(text)
    for also, marks, pattern in catalogue.orders:
        if also not in held:
            continue
        for mark in marks:
            at = lowered.find(mark)
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


def _is_masked(text: str) -> bool:
    """A cheap no to whether `_unmasked` changes *text*."""
    if "\\u" in text:
        return True
    return not text.isascii() and not all(map(_says_itself, set(_rare_chars(text))))


@lru_cache(maxsize=4_096)
def _says_itself(char: str) -> bool:
    """Whether *char* is seen and is what it looks like, whatever stands before it."""
    return not (
        char in _UNSEEN
        or unicodedata.category(char)[0] == "M"
        or _FIRST_MEDIAL <= char <= _LAST_FINAL
        or unicodedata.normalize("NFKC", char) != char
    )


def _unmasked(text: str) -> str:
    if "\\u" in text:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    rare = _rare_chars(text)
    if not _UNSEEN.isdisjoint(rare):
        said = {ord(char): _said_by(char) for char in _UNSEEN.intersection(rare)}
        text = text.translate(said)
    return unicodedata.normalize("NFKC", text)


def _rare_chars(text: str) -> str:
    """*text* without the characters of ASCII that show something: nearly all are gone at once."""
    try:
        return text.encode("latin-1").translate(None, _SEEN_ASCII).decode("latin-1")
    except UnicodeEncodeError:
        rare = text.encode("utf-8", "surrogatepass").translate(None, _SEEN_ASCII)
        return rare.decode("utf-8", "surrogatepass")


def _said_by(char: str) -> str:
    """A tag character repeats one of ASCII, unseen; all others say nothing."""
    return chr(ord(char) - _TAG_BLOCK) if _FIRST_TAG <= char <= _LAST_TAG else ""


def _set_together(text: str) -> str:
    if not _is_spaced(_folded(text)):
        return text
    return _SPACED.sub(lambda match: _SPACER.sub("", match[0]), text)


def _words_before_unmasking(text: str, catalogue: _Catalogue) -> str:
    """Unmask piece by piece, so that what matches can be traced back to what is recorded."""
    origins: list[int] = []
    pieces: list[str] = []
    for piece in _PIECE.finditer(text):
        seen = _unmasked(piece[0])
        pieces.append(seen)
        origins += [piece.start()] * len(seen)
    seen = "".join(pieces)
    plain = _set_together(seen)
    if plain != seen:
        runs = [range(*match.span()) for match in _SPACED.finditer(seen)]
        spacers = {at for run in runs for at in run if _SPACER.match(seen[at])}
        origins = [origin for at, origin in enumerate(origins) if at not in spacers]
    found = _first(plain, _held(_folded(plain), catalogue), catalogue)
    return text[origins[found[0]] : origins[found[1] - 1] + 1] if found else ""
