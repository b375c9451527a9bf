"""
Counting what a protobuf request holds before it is parsed.

Theory of operation
===================

An empty message takes two bytes on the wire and a hundred in memory, and empty lines on
disk: a small request can ask for gigabytes. Tags and lengths are walked here without a
message object, depth first, and the walk stops at the first bound that is passed.

The walk is Python, so small bodies, texts and short attributes are left out of it.

Rule 1: what the parser takes is counted, however it is encoded: tags with more bytes
than they need, and fields inside of groups. What breaks the wire format is left to the
parser, which refuses it.

Rule 2: spans are counted by their own bound; every other repeated field is a *part*.
"""

import sys
from typing import Final, NamedTuple

from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from halo_daemon.proto.batch import DecodeLimits, too_many_parts, too_many_spans

CHECKED_FROM_BYTES: Final = 1024 * 1024
"""Smaller bodies cannot cost much more than the limits allow for anyway."""

_MAX_DEPTH: Final = 128
"""Messages in messages; the parser refuses less."""
_WALKED_PAIR_BYTES: Final = 512
"""Shorter attributes are not looked into: they are read one by one, and hold little each."""

_STEPS_PER_SPAN: Final = 16
_STEPS_PER_PART: Final = 5
"""Fields on the wire of a usual span and of a usual attribute, which bound the walk's time."""

_MORE: Final = 0x80
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_GROUPS: Final = frozenset({3, 4})
_MAX_VARINT_BYTES: Final = 10


class _Field(NamedTuple):
    """A field worth looking at, by its tag."""

    is_span: bool
    is_part: bool
    inner: "_Fields"
    """Those of the message in it; empty when there is nothing to look for."""
    walked_from_bytes: int


_Fields = dict[int, _Field]


def check_parts(body: bytes, limits: DecodeLimits) -> None:
    """
    Refuse *body* when parsing it would make too many spans or parts.

    Raises:
        LimitError: It holds more than `DecodeLimits.max_spans` or `DecodeLimits.max_parts`.
    """
    if len(body) >= CHECKED_FROM_BYTES:
        _walk(body, limits)


def _walk(body: bytes, limits: DecodeLimits) -> None:  # noqa: C901, PLR0912, PLR0915 -- one hot loop
    spans, parts = limits.max_spans, limits.max_parts
    steps = _STEPS_PER_SPAN * spans + _STEPS_PER_PART * parts
    outer: list[tuple[int, int, _Fields]] = []
    position, end, fields = 0, len(body), _REQUEST
    while True:
        try:
            while position < end:
                steps -= 1
                if steps < 0:
                    raise too_many_parts(limits.max_parts)
                tag = body[position]
                position += 1
                if tag >= _MORE:
                    tag, position = _varint(body, position - 1)
                wire_type = tag & 7
                if wire_type == _LENGTH:
                    length = body[position]
                    position += 1
                    if length >= _MORE:
                        length, position = _varint(body, position - 1)
                    start, position = position, position + length
                    field = fields.get(tag)
                    if field is None:
                        continue
                    is_span, is_part, inner, walked_from_bytes = field
                    if is_part:
                        parts -= 1
                        if parts < 0:
                            raise too_many_parts(limits.max_parts)
                    elif is_span:
                        spans -= 1
                        if spans < 0:
                            raise too_many_spans(limits.max_spans)
                    if length >= walked_from_bytes and len(outer) < _MAX_DEPTH:
                        outer.append((position, end, fields))
                        position, end, fields = start, min(position, end), inner
                elif wire_type == _VARINT:
                    while body[position] >= _MORE:
                        position += 1
                    position += 1
                elif wire_type == _FIXED64:
                    position += 8
                elif wire_type == _FIXED32:
                    position += 4
                elif wire_type not in _GROUPS:
                    break
        except IndexError:
            pass  # the message is cut off or no message; those around it may still be read
        if not outer:
            return
        position, end, fields = outer.pop()


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = body[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < _MORE:
            return value, position + index + 1
    raise IndexError


def _fields(descriptor: Descriptor, known: dict[str, _Fields]) -> _Fields:
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    found: _Fields = {}
    known[descriptor.full_name] = found
    span_field = ScopeSpans.DESCRIPTOR.fields_by_name["spans"].full_name
    for field in descriptor.fields:
        is_repeated = field.is_repeated
        message = field.message_type
        if message is None and not is_repeated:
            continue
        is_span = field.full_name == span_field
        found[field.number << 3 | _LENGTH] = _Field(
            is_span=is_span,
            is_part=is_repeated and not is_span,
            inner={} if message is None else _fields(message, known),
            walked_from_bytes=_walked_from_bytes(message),
        )
    return found


def _walked_from_bytes(message: Descriptor | None) -> int:
    if message is None:
        return sys.maxsize
    return _WALKED_PAIR_BYTES if message is KeyValue.DESCRIPTOR else 1


_REQUEST: Final = _fields(ExportTraceServiceRequest.DESCRIPTOR, {})
