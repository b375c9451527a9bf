"""
Finding a pattern in the decoded values of spans; pure.

People and models write what they see, not how JSON escapes it, so values are
matched as texts: quotes, line ends and letters as themselves. Raw lines are
only used to tell early that a line cannot match.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.store.patterns import (
    Pattern,
    compile_line_filter,
    compile_pattern,
    has_anchors,
    required_literal,
)

MAX_MATCH_CHARS = 1_024
WHOLE_LINE = "line"
"""Where a match lies that only the stored line shows."""

_MAX_DEPTH = 64
_COMMONEST = '" etaoinsrlcdpumh.gf_,:b1kv2y0wx'
"""Characters of span lines, the most frequent first."""


class ValueMatch(NamedTuple):
    """The first match of a pattern in a span."""

    where: str
    start_char: int
    end_char: int
    match_text: str
    context: str


class LineFilter:
    """
    Tells early which raw lines can hold a value that matches.

    A plain run of characters that every match contains appears in the line as
    JSON writes it, which a byte search finds fastest. Without one, and without
    anchors, a line that holds no escape shows its values as they are, so the
    pattern itself can be tried on the bytes; lines with escapes always pass.
    """

    def __init__(self, pattern: str, *, ignore_case: bool) -> None:
        literal = required_literal(pattern, ignore_case=ignore_case)
        escaped = orjson.dumps(literal)[1:-1].decode()
        self.covers_lines = escaped == literal
        """Whether a line that matches as it is stored, not decoded, passes as well."""
        self._literal: Pattern | None = None
        self._raw: Pattern | None = None
        if literal:
            self._literal = compile_line_filter(re.escape(_rare_end(escaped)))
        elif not has_anchors(pattern):
            self._raw = compile_line_filter(pattern, ignore_case=ignore_case)

    def candidates(self, block: bytes, lines_end: int) -> Iterator[tuple[int, int]]:
        """
        Start and end (without the newline) of each line that can match.

        *block* is complete lines up to *lines_end*; what follows is not looked at.
        """
        finder = self._literal or (None if b"\\" in block else self._raw)
        yield from _lines_with(finder, block, lines_end)


def _lines_with(finder: Pattern | None, block: bytes, lines_end: int) -> Iterator[tuple[int, int]]:
    """Start and end of each line that *finder* matches in; of all lines without one."""
    start = 0
    if finder is None:
        while (end := block.find(b"\n", start, lines_end)) >= 0:
            yield start, end
            start = end + 1
        return
    for match in finder.finditer(block, 0, lines_end):
        if match.start() < start:
            continue
        # An empty match may stand behind the last line.
        end = block.find(b"\n", match.start(), lines_end)
        if end < 0:
            return
        yield block.rfind(b"\n", 0, match.start()) + 1, end
        start = end + 1


def _rare_end(literal: str) -> str:
    """
    The end of *literal* from its rarest character on, which is found fastest.

    Byte searches jump from one occurrence of the first character to the next.
    """

    def commonness(place: int) -> int:
        rank = _COMMONEST.find(literal[place])
        return len(_COMMONEST) - rank if rank >= 0 else 0

    return literal[min(range(len(literal)), key=commonness) :]


class ValueSearch:
    """
    One pattern, ready to be tried on spans.

    Raises:
        QueryError: RE2 cannot express the pattern, or is not installed.
    """

    def __init__(
        self,
        pattern: str,
        *,
        ignore_case: bool = False,
        context_chars: int = 100,
        look_at_lines: bool = False,
    ) -> None:
        self._pattern = compile_pattern(pattern, ignore_case=ignore_case)
        self._context_chars = context_chars
        self._values = LineFilter(pattern, ignore_case=ignore_case)
        self._looks_at_lines = look_at_lines
        self._line: Pattern | None = None
        if look_at_lines and not self._values.covers_lines and not has_anchors(pattern):
            self._line = compile_line_filter(pattern, ignore_case=ignore_case)

    def candidates(self, block: bytes, lines_end: int) -> Iterator[tuple[int, int]]:
        """Start and end of each line that can match, as `LineFilter.candidates`."""
        if not self._looks_at_lines or self._values.covers_lines:
            return self._values.candidates(block, lines_end)
        either = {
            *self._values.candidates(block, lines_end),
            *_lines_with(self._line, block, lines_end),
        }
        return iter(sorted(either))

    def first_match(self, fields: JsonObject, line: bytes = b"") -> ValueMatch | None:
        """
        The first match in the values of a line, in the order of its keys.

        Where none has one, *line* as it is stored may, if that was asked for.
        """
        for where, text in values_of(fields):
            if (found := self._match_in(where, text)) is not None:
                return found
        if not self._looks_at_lines:
            return None
        return self._match_in(WHOLE_LINE, line.decode("utf-8", "replace"))

    def _match_in(self, where: str, text: str) -> ValueMatch | None:
        match = self._pattern.search(text)
        if match is None:
            return None
        start, end = match.start(), match.end()
        return ValueMatch(
            where,
            start,
            end,
            text[start : min(end, start + MAX_MATCH_CHARS)],
            text[max(0, start - self._context_chars) : start + MAX_MATCH_CHARS][
                : self._context_chars * 2 + min(end - start, MAX_MATCH_CHARS)
            ],
        )


def values_of(value: JsonValue, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """
    Every scalar below *value* as text, with its path, in the order of the line.

    Paths are keys joined by dots, with list places in brackets. Values nested
    deeper than a canonical line allows are given as JSON.
    """
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        for key, below in value.items():
            yield from values_of(below, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for place, below in enumerate(value):
            yield from values_of(below, f"{path}[{place}]", depth + 1)
    elif value is not None:
        yield path, orjson.dumps(value).decode()
