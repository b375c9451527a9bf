"""
A small language for spans, as ``status=error and tool~search``; pure.

::

    expression  = term {"or" term}
    term        = factor {"and" factor}
    factor      = "not" factor | "(" expression ")" | field operator value
    operator    = "=" | "!=" | "~" | "!~" | ">" | ">=" | "<" | "<="
    value       = a word, or text in single or double quotes; a pattern without quotes ends
                  at white space, or at a bracket that it did not open

Texts are compared without regard to case. ``~`` looks for an RE2 pattern anywhere in
the value. Durations take a unit (``duration>2s``). What is no field is an attribute
of the span, else of its resource. A field that a span does not have equals nothing:
``!=`` and ``!~`` hold for it, everything else does not. ``status`` and ``kind`` are
compared with their known words only: a mistyped one would read as "there is none".
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from halo_daemon.errors import ConfigError
from halo_daemon.proto.json_value import JsonValue
from halo_daemon.proto.line import STATUS_NAMES
from halo_daemon.proto.semconv.targets import KINDS
from halo_daemon.proto.span import Span
from halo_daemon.quantities import parse_duration_s
from halo_daemon.store.patterns import compile_pattern

Predicate = Callable[[Span], bool]

_MAX_CHARS: Final = 10_000
_MAX_DEPTH: Final = 50
_TOKEN = re.compile(
    r"""\s*(?:(?P<bracket>[()])|(?P<operator>!=|!~|>=|<=|[=~<>])"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<word>[^\s()=~<>!"']+))"""
)
_ESCAPE = re.compile(r"\\(.)")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_HINT: Final = "write conditions like status=error and (tool~search or duration>2s)"
_MS_PER_NS: Final = 1e6
_STATUS_PREFIX: Final = "STATUS_CODE_"


def _status(span: Span) -> JsonValue:
    if span.has_error_status or span.has_derived_error:
        return "error"
    return span.status_code.removeprefix(_STATUS_PREFIX).lower()


def _tokens(span: Span) -> JsonValue:
    counts = [one for one in (span.input_tokens, span.output_tokens) if one is not None]
    return sum(counts) if counts else None


FIELDS: Final[dict[str, Callable[[Span], JsonValue]]] = {
    "agent": lambda span: span.agent_name or None,
    "cost": lambda span: span.cost_usd,
    "duration": lambda span: span.duration_ns / _MS_PER_NS if span.is_complete else None,
    "input": lambda span: span.attributes.get("input.value"),
    "input_tokens": lambda span: span.input_tokens,
    "kind": lambda span: span.observation_kind,
    "message": lambda span: span.status_message or None,
    "model": lambda span: span.model or None,
    "name": lambda span: span.name,
    "output": lambda span: span.attributes.get("output.value"),
    "output_tokens": lambda span: span.output_tokens,
    "parent": lambda span: span.parent_span_id or None,
    "provider": lambda span: span.provider or None,
    "service": lambda span: span.service_name or None,
    "session": lambda span: span.session_id or None,
    "span": lambda span: span.span_id,
    "status": _status,
    "tokens": _tokens,
    "tool": lambda span: span.tool_name or None,
    "trace": lambda span: span.trace_id,
    "user": lambda span: span.user_id or None,
    "version": lambda span: span.service_version or None,
}
"""What a condition may be about; ``duration`` is in milliseconds, ``cost`` in dollars."""

CLOSED_SETS: Final[dict[str, frozenset[str]]] = {
    "kind": frozenset(kind.lower() for kind in KINDS),
    "status": frozenset(name.removeprefix(_STATUS_PREFIX).lower() for name in STATUS_NAMES),
}
"""Fields that can equal these words only."""

_BEGINS = re.compile(
    rf"\s*[(]*\s*(?:not\s+)?[(]*\s*(?:{'|'.join(FIELDS)}|attributes\.[\w.]+|resource\.[\w.]+)"
    r"\s*(?:=|!=|!~|~|>|<)\s*\S"
)


def parse_where(text: str) -> Predicate:
    """
    Read an expression.

    Raises:
        ConfigError: It is none; the message says where.
        QueryError: A pattern is one that RE2 refuses.
    """
    if len(text) > _MAX_CHARS:
        raise ConfigError(
            f"cannot read a condition of {len(text)} characters, the limit is {_MAX_CHARS}",
            hint=_HINT,
        )
    parser = _Parser(text, _tokens_of(text))
    return parser.whole()


def is_condition(text: str) -> bool:
    """Whether a text begins with a condition on a field, and not with a pattern."""
    return _BEGINS.match(text) is not None


class _Token(NamedTuple):
    kind: str
    """``bracket``, ``operator``, ``word``, ``text`` or ``end``."""
    text: str
    column: int
    """From 1."""


def _tokens_of(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while place < len(text.rstrip()):
        if tokens and tokens[-1].text in {"~", "!~"} and (bare := _bare_pattern(text, place)):
            tokens.append(bare)
            place = bare.column - 1 + len(bare.text)
            continue
        match = _TOKEN.match(text, place)
        if match is None:
            raise _error(text, place + 1, f"`{text[place : place + 10].strip()}` is not expected")
        kind = match.lastgroup or ""
        found = match[kind]
        column = match.end() - len(match[0].lstrip()) + 1
        if kind in {"double", "single"}:
            kind, found = "text", _ESCAPE.sub(r"\1", found)
        tokens.append(_Token(kind, found, column))
        place = match.end()
    return [*tokens, _Token("end", "the end", len(text) + 1)]


def _bare_pattern(text: str, place: int) -> _Token | None:
    """A pattern without quotes: up to white space, or a bracket that it did not open."""
    start = place + len(text[place:]) - len(text[place:].lstrip())
    if text[start : start + 1] in {"", '"', "'"}:
        return None
    depth, end = 0, start
    while end < len(text) and not text[end].isspace():
        depth += (text[end] == "(") - (text[end] == ")")
        if depth < 0:
            break
        end += 1
    return _Token("word", text[start:end], start + 1) if end > start else None


def _error(text: str, column: int, why: str) -> ConfigError:
    return ConfigError(
        f"cannot read the condition `{text[:200]}`: column {column}: {why}", hint=_HINT
    )


class _Parser:
    """Goes over the tokens once."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._place = 0

    def whole(self) -> Predicate:
        """The expression that is all of the text."""
        found = self._any(0)
        if self._next.kind != "end":
            raise self._wrong("`and`, `or` or the end")
        return found

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _takes(self, word: str) -> bool:
        token = self._next
        is_it = token.kind != "text" and token.text.lower() == word
        self._place += is_it
        return is_it

    def _wrong(self, wanted: str) -> ConfigError:
        token = self._next
        return _error(self._text, token.column, f"{wanted} is expected, not `{token.text[:40]}`")

    def _any(self, depth: int) -> Predicate:
        parts = [self._all(depth)]
        while self._takes("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else lambda span: any(part(span) for part in parts)

    def _all(self, depth: int) -> Predicate:
        parts = [self._one(depth)]
        while self._takes("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda span: all(part(span) for part in parts)

    def _one(self, depth: int) -> Predicate:
        if depth > _MAX_DEPTH:
            raise self._wrong(f"at most {_MAX_DEPTH} brackets within each other")
        if self._takes("not"):
            inner = self._one(depth + 1)
            return lambda span: not inner(span)
        if self._takes("("):
            inner = self._any(depth + 1)
            if not self._takes(")"):
                raise self._wrong("`)`")
            return inner
        return self._condition()

    def _condition(self) -> Predicate:
        field = self._next
        if field.kind not in {"word", "text"}:
            raise self._wrong("a field")
        self._place += 1
        operator = self._next
        if operator.kind != "operator":
            raise self._wrong(f"an operator after `{field.text[:40]}`")
        self._place += 1
        value = self._next
        if value.kind not in {"word", "text"}:
            raise self._wrong("a value")
        self._place += 1
        read = FIELDS.get(field.text.lower()) or _attribute(field.text)
        if operator.text in {">", ">=", "<", "<="}:
            return self._order(read, operator.text, value, field.text.lower())
        if operator.text in {"~", "!~"}:
            return _matching(read, value.text, is_wanted=operator.text == "~")
        known = CLOSED_SETS.get(field.text.lower())
        if known is not None and value.text.lower() not in known:
            why = f"`{value.text[:40]}` is no {field.text.lower()}: {', '.join(sorted(known))}"
            raise _error(self._text, value.column, why)
        return _equal(read, value.text, is_wanted=operator.text == "=")

    def _order(
        self, read: Callable[[Span], JsonValue], operator: str, value: _Token, field: str
    ) -> Predicate:
        limit = _number_of(value.text, field)
        if limit is None:
            raise _error(self._text, value.column, f"`{value.text[:40]}` is no number")

        def holds(span: Span) -> bool:
            found = read(span)
            if isinstance(found, str) and _NUMBER.fullmatch(found):
                found = float(found)
            if not isinstance(found, (int, float)) or isinstance(found, bool):
                return False
            if operator.startswith(">"):
                return found > limit or (operator == ">=" and found == limit)
            return found < limit or (operator == "<=" and found == limit)

        return holds


def _number_of(text: str, field: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    if field == "duration":
        try:
            return parse_duration_s(text) * 1000
        except ValueError:
            return None
    return None


def _attribute(key: str) -> Callable[[Span], JsonValue]:
    key = key.removeprefix("attributes.")
    resource_key = key.removeprefix("resource.")

    def read(span: Span) -> JsonValue:
        if key in span.attributes:
            return span.attributes[key]
        return span.resource_attributes.get(resource_key)

    return read


def _equal(read: Callable[[Span], JsonValue], wanted: str, *, is_wanted: bool) -> Predicate:
    folded = wanted.casefold()
    number = float(wanted) if _NUMBER.fullmatch(wanted) else None

    def holds(span: Span) -> bool:
        found = read(span)
        if isinstance(found, bool):
            is_equal = str(found).casefold() == folded
        elif isinstance(found, (int, float)):
            is_equal = number is not None and found == number
        else:
            is_equal = found is not None and _as_text(found).casefold() == folded
        return is_equal is is_wanted

    return holds


def _matching(read: Callable[[Span], JsonValue], pattern: str, *, is_wanted: bool) -> Predicate:
    compiled = compile_pattern(pattern, ignore_case=True)

    def holds(span: Span) -> bool:
        found = read(span)
        is_found = found is not None and compiled.search(_as_text(found)) is not None
        return is_found is is_wanted

    return holds


def _as_text(value: JsonValue) -> str:
    import orjson

    return value if isinstance(value, str) else orjson.dumps(value).decode()
