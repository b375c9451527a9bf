"""
Words that an answer puts into somebody's mouth, and whether they were there.

Only what is said to be said counts: a quotation with a word for saying beside it. Titles,
terms in quotation marks and drafts for the user are no claims about a source.
"""

import re
from collections.abc import Collection, Iterator

MIN_WORDS = 5
_MIN_PIECE_WORDS = 3
_CUE_CHARS = 60
_MAX_QUOTATIONS = 10
_SAME_LANGUAGE = 0.3
_LONG_WORD = 4
_MARKS = ('"', "\u201c", "\u201e", "\u00ab")
_QUOTED = re.compile(
    '"([^"\n]{20,600})"|\u201c([^\u201c\u201d\n]{20,600})\u201d'
    "|\u201e([^\u201e\u201c\n]{20,600})[\u201c\u201d]|\u00ab([^\u00ab\u00bb\n]{20,600})\u00bb"
)
_SAYS = (
    r"(?:says?|said|states?|stated|reads?|writes|wrote|notes?|noted|mentions?|mentioned|explains"
    r"|explained|quotes?|quoted|according to|sagt|sagte|schreibt|schrieb|steht|hei(?:ß|ss)t es|laut"
    r"|zitiert|dit|indique|écrit|selon|dice|indica|escribe|según)"
)
_CUE_BEFORE = re.compile(rf"\b{_SAYS}\b[^.!?\n\"\u201c\u201d]{{0,30}}$", re.IGNORECASE)
_CUE_AFTER = re.compile(rf"^[,;]?\s*(?:\w+\s+){{0,3}}{_SAYS}\b", re.IGNORECASE)
_IMAGINED = re.compile(
    r"\b(?:should|would|could|can|may|might|must|will|please|to|if|you|i|we|let|like|kann|soll|sollte"
    r"|könnte|würde|wenn|pourrait|devrait|podría|debería)\b[^.!?\n\"\u201c\u201d]*$",
    re.IGNORECASE,
)
_GAP = re.compile(r"\.\.\.+|\u2026|\[[^\]\n]{0,80}\]|\([^)\n]{0,3}\.\.\.[^)\n]{0,3}\)")
_ESCAPE = re.compile(r"\\[nrt\"/\\]|\\u[0-9a-fA-F]{4}|<[^<>\n]{1,200}>")
_WORD = re.compile(r"[^\W_]+")
_CUT = ("...", "\u2026", "[truncated]", "truncated]", "(truncated)")


def attributed(answer: str) -> Iterator[str]:
    """Quotations in *answer* that it says somebody or something said; at most ten."""
    if not any(mark in answer for mark in _MARKS):
        return
    found = 0
    for match in _QUOTED.finditer(answer):
        words = next(filter(None, match.groups()))
        before = answer[max(0, match.start() - _CUE_CHARS) : match.start()]
        after = answer[match.end() : match.end() + _CUE_CHARS]
        is_said = _CUE_BEFORE.search(before) or _CUE_AFTER.search(after)
        if is_said and not _IMAGINED.search(before) and len(_WORD.findall(words)) >= MIN_WORDS:
            yield words
            found += 1
            if found == _MAX_QUOTATIONS:
                return


def first_made_up(quotations: Collection[str], sources: Collection[str]) -> str:
    """
    The first of *quotations* whose words stand in none of *sources*; ``""`` when all do.

    Case, punctuation, line ends, mark-up and left-out parts do not matter. Nothing is
    said where a source was cut, and of quotations that may be translated.
    """
    if not quotations or any(text.rstrip().endswith(_CUT) for text in sources):
        return ""
    # Most quotations stand in their source as they are.
    unsure = [each for each in quotations if not any(each in text for text in sources)]
    plain = [f" {_plain(text)} " for text in sources] if unsure else []
    known = {word for text in plain for word in text.split()}
    for quotation in unsure:
        pieces = [words for part in _GAP.split(quotation) if (words := _plain(part))]
        pieces = [words for words in pieces if words.count(" ") + 1 >= _MIN_PIECE_WORDS]
        long = [word for words in pieces for word in words.split() if len(word) >= _LONG_WORD]
        if not long or sum(word in known for word in long) < _SAME_LANGUAGE * len(long):
            continue
        if not all(any(f" {words} " in text for text in plain) for words in pieces):
            return quotation
    return ""


def _plain(text: str) -> str:
    if "\\" in text or "<" in text:
        text = _ESCAPE.sub(" ", text)
    return " ".join(_WORD.findall(text.casefold()))
