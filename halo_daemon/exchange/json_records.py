"""
JSON objects out of a file of any size, whatever frames them.

Tools write one object a line, one document, a list, or an answer that wraps a
list. Lines are read where there are lines; anything else is taken apart by its
brackets, an element at a time, so that a list of a gigabyte needs the memory of
its largest element. A record that cannot be parsed costs nothing but itself.
"""

import json
import re
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple, cast

import orjson

from halo_daemon.exchange.files import (
    BYTE_ORDER_MARK,
    MAX_RECORD_BYTES,
    PEEK_BYTES,
    lines,
    peek,
)
from halo_daemon.exchange.incoming import Input, Place
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.otlp_json import without_lone_surrogates

CUT_OFF = "cut off"
"""Why the last record of a file cannot be read: the file ends before it does."""

Unwrap = Callable[[JsonObject], JsonValue]
"""The records inside an object that wraps some, as a list; else the object itself."""

_WRAPPER = re.compile(rb'\s*\{[^\[\]{}]{0,1000}?"(?:data|spans|observations|runs|traces)"\s*:\s*\[')
# A whole string, a bracket, or the quote of a string that does not end here.
_TOKEN = re.compile(rb'"(?:[^"\\\n]++|\\.)*+"|[{}\[\]"]', re.DOTALL)
_BETWEEN_RECORDS = b" \t\r\n,[]"
_OF_LISTS = (b"[", b",", b"]")
"""How a list begins, and how it goes on behind one of its records."""
_QUOTE, _BRACE, _BRACKET = b'"{['


class Record(NamedTuple):
    """One object."""

    where: str
    """Its line or number, for people."""

    value: JsonObject | None
    """None when it cannot be read."""

    reason: str
    """Why it cannot be read; ``""`` when it can."""

    end: Place | None
    """Where reading can go on behind it; None inside something that wraps more of them."""

    raw: bytes = b""
    """The object's own text; ``b""`` inside something that wraps it."""

    @property
    def body(self) -> bytes:
        """The object's text."""
        return self.raw or dumped(self.value)


def unwrap_nothing(value: JsonObject) -> JsonValue:
    """No object wraps others."""
    return value


def json_records(source: Input, unwrap: Unwrap = unwrap_nothing) -> Iterator[Record]:
    """Every object of a file, in order."""
    head = peek(source.stream)
    if _has_lines(head):
        for line in lines(source):
            torn = line.is_torn
            text = line.text
            if text is None:
                yield Record(line.where, None, "too long", line.end)
            else:
                yield from _parsed(text, line.where, line.end, unwrap, is_torn=torn)
        return
    number = source.start.records
    for element, offset_bytes in _elements(source):
        number += 1
        where, end = f"record {number}", Place(offset_bytes, number)
        if isinstance(element, str):
            yield Record(where, None, element, end)
        else:
            yield from _parsed(element, where, end, unwrap, is_torn=False)
    if number == source.start.records and head.strip(_BETWEEN_RECORDS):
        yield Record("line 1", None, "not JSON", None)


def dumped(value: JsonValue) -> bytes:
    """A value as JSON, whole numbers of any size included."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value).encode()


def parse_json(text: bytes) -> JsonValue:
    """
    One JSON value, also as Python writes it: with ``NaN``, and with halves of surrogate pairs.

    Bytes that are no UTF-8 become replacement characters: they cost no record.

    Raises:
        ValueError: It is none.
    """
    try:
        return cast("JsonValue", orjson.loads(text))
    except orjson.JSONDecodeError:
        whole, _ = without_lone_surrogates(text)
        try:
            text_alone = whole.decode("utf-8", "replace")
            return cast("JsonValue", json.loads(text_alone, parse_constant=lambda _: None))
        except RecursionError as exc:
            raise ValueError("nested too deep") from exc


def _parsed(
    text: bytes, where: str, end: Place, unwrap: Unwrap, *, is_torn: bool
) -> Iterator[Record]:
    try:
        found = parse_json(text)
    except ValueError:
        parts, are_all = _parts_of(text)
        for part in parts:
            yield from _parsed(part, where, end, unwrap, is_torn=False)
        if parts and are_all:
            return
        # The end of a torn line may come later: it is not passed.
        yield Record(where, None, CUT_OFF if is_torn else "not JSON", None if is_torn else end)
        return
    inner = unwrap(found) if isinstance(found, dict) else found
    if isinstance(inner, dict):
        yield Record(where, inner, "", end, text if inner is found else b"")
    elif not isinstance(inner, list):
        yield Record(where, None, "not an object", end)
    else:
        for place, one in enumerate(inner, start=1):
            inside = f"{where}, item {place}"
            last = end if place == len(inner) else None
            if isinstance(one, dict):
                yield Record(inside, one, "", last)
            else:
                yield Record(inside, None, "not an object", last)


def _parts_of(text: bytes) -> tuple[list[bytes], bool]:
    """
    What can be had of text that is no JSON as a whole.

    Returns:
        The objects of a line that holds several, or those of an answer that was cut off,
        and whether nothing is missing.
    """
    wrapper = _WRAPPER.match(text)
    splitter = _Splitter(0)
    found = [part for part, _ in splitter.take(text[wrapper.end() :] if wrapper else text)]
    parts = [part for part in found if isinstance(part, bytes) and len(part) < len(text)]
    return parts, len(parts) == len(found) and not splitter.is_inside and wrapper is None


def _has_lines(head: bytes) -> bool:
    """Whether each line is a record of its own, told from the first bytes."""
    text = head.lstrip()
    first, newline, rest = text.partition(b"\n")
    if not newline:
        return not text.startswith(_OF_LISTS)
    if text.startswith(_OF_LISTS) or first.strip() == b"{":
        return _parses(first)
    # A first line that is damaged is told from a pretty-printed document by the others.
    return _parses(first) or any(
        line.startswith(b"{") and _parses(line) for line in rest.split(b"\n")[:100]
    )


def _parses(line: bytes) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True


def _elements(source: Input) -> Iterator[tuple[bytes | str, int]]:
    """Objects outside any other, or why one cannot be read; with the offset behind each."""
    splitter = _Splitter(source.start.offset_bytes)
    size = PEEK_BYTES
    while data := source.stream.read(size):
        before = splitter.position
        if data.startswith(BYTE_ORDER_MARK):
            data = data.replace(BYTE_ORDER_MARK, b"   ", 1)
        yield from splitter.take(data)
        # A long string is looked at again with each block: ever larger ones keep that linear.
        size = PEEK_BYTES if splitter.position > before else min(size * 2, MAX_RECORD_BYTES)
    if splitter.is_inside:
        for part in _parts_of(splitter.rest)[0]:
            yield part, splitter.position
        yield CUT_OFF, splitter.position


class _Splitter:
    """Takes text apart by its brackets."""

    def __init__(self, offset_bytes: int) -> None:
        self._buffer = b""
        self._base = offset_bytes
        """Where the buffer begins in the file."""
        self._scanned = 0
        self._start = -1
        """Where the element under way begins in the buffer; -1 outside one."""
        self._depth = 0
        self._is_dropped = False

    @property
    def position(self) -> int:
        """How far the file was scanned."""
        return self._base + self._scanned

    @property
    def rest(self) -> bytes:
        """The element that has begun and not ended."""
        return self._buffer

    @property
    def is_inside(self) -> bool:
        """Whether an element has begun and not ended."""
        return self._depth > 0

    def take(self, data: bytes) -> Iterator[tuple[bytes | str, int]]:
        """Scan another block."""
        self._buffer += data
        while (open_quote := (yield from self._scan())) >= 0:
            line_end = self._buffer.find(b"\n", open_quote)
            if line_end < 0:
                # The string ends in a later block, where it is looked at again.
                self._scanned = open_quote
                break
            # No string goes over a line end: what follows it is whole again.
            self._scanned = line_end + 1
            yield "not JSON", self.position
            self._start, self._depth, self._is_dropped = -1, 0, False
        if self._start >= 0 and len(self._buffer) - self._start > MAX_RECORD_BYTES:
            self._is_dropped, self._start = True, -1
        self._forget()

    def _scan(self) -> Generator[tuple[bytes | str, int], None, int]:
        """Give the elements that end in the buffer; returns where a string does not end, or -1."""
        for token in _TOKEN.finditer(self._buffer, self._scanned):
            start, end = token.span()
            mark = self._buffer[start]
            if mark == _QUOTE:
                if end - start == 1:
                    return start
                continue
            self._scanned = end
            if self._ends_element(mark, start):
                yield self._element(end), self.position
        self._scanned = len(self._buffer)
        return -1

    def _ends_element(self, mark: int, start: int) -> bool:
        if mark == _BRACE or (mark == _BRACKET and self._depth):
            if not self._depth:
                self._start = start
            self._depth += 1
        elif mark != _BRACKET and self._depth:
            self._depth -= 1
            return not self._depth
        return False

    def _element(self, end: int) -> bytes | str:
        element = self._buffer[self._start : end]
        is_dropped, self._start, self._is_dropped = self._is_dropped, -1, False
        return "too long" if is_dropped else element

    def _forget(self) -> None:
        keep_from = self._start if self._start >= 0 else self._scanned
        self._buffer = self._buffer[keep_from:]
        self._base += keep_from
        self._scanned -= keep_from
        self._start = 0 if self._start >= 0 else -1
