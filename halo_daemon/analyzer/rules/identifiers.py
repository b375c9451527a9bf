"""
Arguments that name a thing: ids, references, e-mail addresses.

A model can only have read such a value somewhere, so it must stand in what the model was
given. Left out is what a model may choose (idempotency keys, the id of what it
creates), know by heart (an ISBN, a region) or work out (a date, the next page).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from halo_daemon.analyzer.content import parse_json
from halo_daemon.analyzer.rules.tool_words import runs_anything, word_list, words_of
from halo_daemon.proto.json_value import JsonObject, JsonValue

_KEY = re.compile(
    r"(?:id|ids|uuid|uuids|guid|identifiers?|refs?|references?|numbers?|no|iban|sku|e?mails?|to|b?cc"
    r"|recipients?)\"\s*:",
    re.IGNORECASE,
)
"""A cheap no: what the text of arguments with an id in them holds."""

_IDS = frozenset(
    {"guid", "iban", "id", "identifier", "identifiers", "ids", "ref", "reference", "references"}
    | {"refs", "sku", "uuid", "uuids"}
)
_NUMBERS = frozenset({"no", "number", "numbers"})
"""Last words of keys that hold an id where another word says of what: ``order_number``."""

_ADDRESSES = frozenset(
    {"bcc", "cc", "email", "emails", "mail", "mails", "recipient", "recipients", "to"}
)
_CHOSEN = frozenset(
    {"call", "chat", "client", "conversation", "correlation", "dedup", "deduplication"}
    | {"idempotency", "message", "new", "next", "nonce", "parent", "random", "request", "run"}
    | {"session", "span", "temp", "temporary", "thread", "tool", "trace"}
)
"""Words of keys whose value a model or a framework makes up as it likes."""

_BY_HEART = frozenset(
    {"area", "arxiv", "category", "chain", "cid", "color", "colour", "country", "currency", "cve"}
    | {"cwe", "dataset", "doi", "engine", "gene", "imdb", "isbn", "issn", "language", "locale"}
    | {"model", "pdb", "pmc", "pmid", "postal", "protein", "pubmed", "region", "repo"}
    | {"repository", "template", "timezone", "tmdb", "type", "uniprot", "version", "video", "voice"}
    | {"wiki", "wikidata", "youtube", "zip", "zone"}
)
"""Words of keys whose value a model may know without having been told."""

_COUNTED = frozenset(
    {"attempt", "batch", "block", "chapter", "chunk", "column", "count", "floor", "house", "index"}
    | {"limit", "line", "max", "min", "page", "port", "round", "row", "section", "seq"}
    | {"sequence", "step", "total", "turn", "verse"}
)
_CREATES = frozenset(
    {"add", "create", "define", "draft", "generate", "init", "insert", "make", "new", "register"}
    | {"save", "store", "upsert", "write"}
)
_KEEPS_NOTES = frozenset({"memory", "note", "notes", "plan", "think", "todo", "todos"})
_VALUE = re.compile(r"#?[A-Za-z0-9][A-Za-z0-9._:#+-]{2,79}")
_EMAIL = re.compile(r"([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63})+)")
_NO_MAILBOX = re.compile(r"(?:.*\.)?example(?:\.\w+)?|(?:.*\.)?(?:test|invalid|localhost)")
_DATE = re.compile(
    r"(?<!\d)(?:19|20)\d\d[-_./]?(?:0[1-9]|1[0-2])[-_./]?(?:0[1-9]|[12]\d|3[01])(?:[T_-]?\d{4,6})?(?!\d)"
)
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[^\W\d_]{3,}")
_CHANGE = re.compile(r"(?<=[a-z])(?=[0-9])|(?<=[0-9])(?=[a-z])")
_SPOKEN = {
    **dict(
        zip(
            ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
            "0123456789",
            strict=True,
        )
    ),
    "oh": "0",
}
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_BETWEEN = re.compile(r"[\W_]+")
_SPOKEN_DIGIT = re.compile(rf"\b(?:{'|'.join(_SPOKEN)})\b", re.IGNORECASE)
_MIN_DIGITS = 4
_MIN_MIXED_CHARS = 8
_MIN_CHANGES = 3
_YEARS = range(1900, 2101)
_NEAR = 10
_MAX_DEPTH = 3
_MAX_ITEMS = 20
_MAX_IDS = 40


class Identifier(NamedTuple):
    """One argument that names a thing."""

    key: str
    value: str
    """A number as its digits."""


def identifiers_in(tool: str, arguments: str) -> list[Identifier]:
    """
    The ids in *arguments*, JSON text, that a model must have read somewhere; at most forty.

    Empty where there are none, and for tools that run anything or keep the model's notes.
    """
    if not _KEY.search(arguments) or runs_anything(tool):
        return []
    parsed = parse_json(arguments)
    if not isinstance(parsed, dict) or not words_of(tool).isdisjoint(_KEEPS_NOTES):
        return []
    found = _pairs(parsed, depth=0, is_listed=False)
    own = words_of(tool) if not words_of(tool).isdisjoint(_CREATES) else frozenset()
    kept: list[Identifier] = []
    for key, value, is_listed in found:
        kind = _kind_of(key)
        if not kind or (own and _is_own(key, own)) or (is_listed and _is_bare(key)):
            continue
        if _is_address(value) if kind == "address" else is_specific(value):
            kept.append(Identifier(key, value))
            if len(kept) == _MAX_IDS:
                break
    return kept


def _pairs(value: JsonObject, *, depth: int, is_listed: bool) -> Iterator[tuple[str, str, bool]]:
    """Keys and what they hold, lists taken apart; whether it stands in an object of a list."""
    for key, held in value.items():
        for item in held[:_MAX_ITEMS] if isinstance(held, list) else (held,):
            if isinstance(item, dict) and depth < _MAX_DEPTH:
                inside = is_listed or isinstance(held, list)
                yield from _pairs(item, depth=depth + 1, is_listed=inside)
            elif text := scalar_of(item):
                yield key, text, is_listed


def scalar_of(value: JsonValue) -> str:
    """A string without white space around it, an integer as its digits; ``""`` for all else."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


@lru_cache(maxsize=4096)
def _kind_of(key: str) -> str:
    """``id`` or ``address`` by the last word of *key*; ``""`` for any other argument."""
    words = word_list(key)
    if not words or not (_CHOSEN | _BY_HEART | _COUNTED).isdisjoint(words):
        return ""
    if words[-1] in _ADDRESSES:
        return "address"
    is_id = words[-1] in _IDS or (words[-1] in _NUMBERS and len(words) > 1)
    return "id" if is_id else ""


def _is_bare(key: str) -> bool:
    """Whether *key* does not say the id of what it holds."""
    return len(word_list(key)) == 1


def _is_own(key: str, tool_words: frozenset[str]) -> bool:
    """Whether *key* holds the id of the very thing that the tool creates."""
    of = word_list(key)[:-1]
    return not of or not tool_words.isdisjoint(of)


def _is_address(value: str) -> bool:
    match = _EMAIL.fullmatch(value)
    return match is not None and _NO_MAILBOX.fullmatch(match[2].lower()) is None


def is_specific(value: str) -> bool:
    """Whether *value* can hardly be hit by chance: four digits that are no date, or a mixture."""
    if _is_address(value):
        return True
    return _VALUE.fullmatch(value) is not None and bool(_runs(value) or _mixture(value))


def _runs(value: str) -> list[str]:
    """Numbers in *value* of four digits and more; dates and years are none."""
    runs = [run.lstrip("0") for run in _DIGITS.findall(_DATE.sub(" ", value))]
    long = [run for run in runs if len(run) >= _MIN_DIGITS]
    return [run for run in long if len(run) > _MIN_DIGITS or int(run) not in _YEARS]


def _mixture(value: str) -> str:
    """Letters and digits of *value* in a row, where they often take turns, as in a hash."""
    core = squeezed(value)
    is_mixed = len(core) >= _MIN_MIXED_CHARS and len(_CHANGE.findall(core)) >= _MIN_CHANGES
    return core if is_mixed and not _DATE.search(value) else ""


def squeezed(text: str) -> str:
    """Letters and digits of *text* alone, in lower case: ``H-48 213`` is ``h48213``."""
    if not text.isascii():
        text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    return _BETWEEN.sub("", text).casefold()


class Sources:
    """
    All that a model may have read an id in.

    Args:
        texts: In any order.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        whole = "\n".join(texts)
        squeezed_whole = squeezed(whole)
        if _SPOKEN_DIGIT.search(whole):
            spoken = _SPOKEN_DIGIT.sub(lambda word: _SPOKEN[word[0].lower()], whole)
            squeezed_whole += "\n" + squeezed(spoken)
        self._whole: tuple[str, ...] = (whole,)
        self._squeezed: tuple[str, ...] = (squeezed_whole,)
        self._numbers: tuple[frozenset[str], ...] = (
            frozenset(run.lstrip("0") for run in _DIGITS.findall(whole)),
        )

    def with_more(self, texts: Sequence[str]) -> "Sources":
        """These and *texts*, which alone are read for it."""
        if not texts:
            return self
        both, more = Sources(()), Sources(texts)
        both._whole = self._whole + more._whole
        both._squeezed = self._squeezed + more._squeezed
        both._numbers = self._numbers + more._numbers
        return both

    def hold(self, value: str) -> bool:
        """
        Whether *value* stands there, in another form perhaps, or follows from what does.

        Of an address all words before the ``@`` must be known: those of a name make one.
        """
        if any(value in whole for whole in self._whole):
            return True
        address = _EMAIL.fullmatch(value)
        if address:
            words = _WORD.findall(address[1].casefold()) or [squeezed(address[1])]
            return all(map(self._holds_squeezed, words))
        runs = _runs(value)
        core = _mixture(value)
        if core and self._holds_squeezed(core):
            return True
        return bool(runs) and all(self._holds_squeezed(run) or self._is_next(run) for run in runs)

    def _holds_squeezed(self, text: str) -> bool:
        return any(text in squeezed for squeezed in self._squeezed)

    def _is_next(self, run: str) -> bool:
        """Whether a number close by stands there: who counts on does not invent."""
        number = int(run)
        near = {str(number + step) for step in range(-_NEAR, _NEAR + 1)}
        return not all(map(near.isdisjoint, self._numbers))
