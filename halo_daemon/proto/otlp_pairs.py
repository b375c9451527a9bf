"""
Attributes of protobuf requests, pair by pair, from their bytes.

Theory of operation
===================

A message object for each key and for each value is most of what decoding costs. So
requests are parsed with attributes left as the bytes of each pair, and the pairs of a
request are remembered by these bytes, short ones: most name things (a model, an
operation, a service), and repeat.

A pair that was not seen before is taken apart by hand when it is a short key with a
text, a double or a count of a few bytes and encoded in the usual way, byte for byte as
expected. Every other pair goes to the parser of protobuf.

Rule 1: a pair gives what the parser gives for it, errors included: what is decided by
hand is decided on the whole of the bytes.

Rule 2: only plain values and absent ones are remembered, because lists and objects may be
changed.
"""

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final, cast

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.otlp_wire import varint_bytes
from halo_daemon.proto.value import json_double

Pair = tuple[str, Any]
"""Key and value, which is a `JsonValue`; checking that for each would cost more than reading it."""

MAX_REMEMBERED: Final = 1024
"""Pairs remembered of one request, the first ones."""

MAX_REMEMBERED_BYTES: Final = 128
"""Longer pairs are mostly what somebody said, and nobody says it twice."""

_KEPT: Final = frozenset({"attributes", "spans"})
_PLAIN: Final = frozenset({"string_value", "int_value", "bool_value"})
_MAX_KEYS: Final = 4096
_MAX_TEXT_BYTES: Final = 4096
_KEY_TAG: Final = 0x0A
_MORE: Final = 0x80
"""The bit of a byte that says that its number goes on."""

_SHORT_COUNT: Final = b"\x12\x02\x18"
_COUNT: Final = b"\x12\x03\x18"
_COUNT_BYTES: Final = 2
_LONG_COUNT: Final = b"\x12\x04\x18"
_LONG_COUNT_BYTES: Final = 3
_DOUBLE: Final = b"\x12\x09\x21"
_DOUBLE_BYTES: Final = 8
_HEAD_BYTES: Final = 3
_double_at: Final = Struct("<d").unpack_from
_NEVER: Final = b"\xff"
"""No tag of a field of a pair."""


def _raw_classes() -> dict[str, type[Message]]:
    """The classes of requests and their parts with every attribute and span as bytes."""
    pool = DescriptorPool()
    for module in (common_pb2, resource_pb2, trace_pb2, trace_service_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            _keep_bytes(message)
        pool.Add(file)
    return {
        message.DESCRIPTOR.name: GetMessageClass(
            pool.FindMessageTypeByName(message.DESCRIPTOR.full_name)
        )
        for message in (
            ExportTraceServiceRequest,
            ResourceSpans,
            ScopeSpans,
            Span,
            Span.Event,
            Span.Link,
            # Not asked for by name: a class that nobody holds is made anew for each request.
            Status,
            Resource,
            EntityRef,
            InstrumentationScope,
        )
    }


def _keep_bytes(message: descriptor_pb2.DescriptorProto) -> None:
    for field in message.field:
        if field.name in _KEPT:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")
    for nested in message.nested_type:
        _keep_bytes(nested)


_CLASSES: Final = _raw_classes()

# They are the messages they are said to be but for the items of `_KEPT`, which `Pairs` and
# `proto.otlp_spans` take as any object.
RawTraceRequest: Final = cast(
    "type[ExportTraceServiceRequest]", _CLASSES["ExportTraceServiceRequest"]
)
RawResourceSpans: Final = cast("type[ResourceSpans]", _CLASSES["ResourceSpans"])
RawScopeSpans: Final = cast("type[ScopeSpans]", _CLASSES["ScopeSpans"])
RawSpan: Final = cast("type[Span]", _CLASSES["Span"])
RawEvent: Final = cast("type[Span.Event]", _CLASSES["Event"])
RawLink: Final = cast("type[Span.Link]", _CLASSES["Link"])
"""The same messages on the same wire, except that spans and attributes are left as bytes."""


class Pairs:
    """
    The pairs of one request, those that repeat remembered by their bytes.

    Args:
        value_of: Reads a value that is not plain: neither text nor a number or a boolean.
    """

    def __init__(self, value_of: Callable[[AnyValue], JsonValue]) -> None:
        self._value_of = value_of
        self._remembered: dict[bytes, Pair] = {}

    def __len__(self) -> int:
        """How many pairs are remembered."""
        return len(self._remembered)

    def taken(self, raw_pairs: Sequence[bytes]) -> JsonObject:
        """
        The attributes in *raw_pairs*; of equal keys the last wins, at the place of the first.

        Raises:
            google.protobuf.message.DecodeError: One of them is no pair.
        """
        found: JsonObject = {}
        remembered = self._remembered
        for raw in raw_pairs:
            # Text that is too long to be remembered need not be hashed.
            pair = remembered.get(raw) if len(raw) <= MAX_REMEMBERED_BYTES else None
            key, value = self._read(raw) if pair is None else pair
            found[key] = value
        return found

    def _read(self, raw: bytes) -> Pair:
        try:
            end = raw[1] + 2
            key = _KEYS[raw[:end]]
            if key is None:
                return self._parsed(raw)
            head = _TEXT_HEADS[len(raw) - end]
            start = end + len(head)
            if raw[end:start] == head:
                pair: Pair = key, raw[start:].decode()
            elif (number := _number(raw, end)) is not None:
                pair = key, number
            else:
                return self._parsed(raw)
        except (IndexError, UnicodeDecodeError):
            return self._parsed(raw)
        self._remember(raw, pair)
        return pair

    def _parsed(self, raw: bytes) -> Pair:
        message = KeyValue.FromString(raw)
        value = message.value
        which = value.WhichOneof("value")
        if which in _PLAIN:
            pair: Pair = message.key, getattr(value, which)
        else:
            pair = message.key, self._value_of(value)
            if which is not None:
                return pair
        self._remember(raw, pair)
        return pair

    def _remember(self, raw: bytes, pair: Pair) -> None:
        if len(raw) <= MAX_REMEMBERED_BYTES and len(self._remembered) < MAX_REMEMBERED:
            self._remembered[raw] = pair


def _number(raw: bytes, start: int) -> JsonValue:
    """
    What stands for the number in the field of a value, from *start* to the end of *raw*.

    None when it is none, when it has another number of bytes than those read here, or when
    it is not encoded in the usual way.
    """
    content = start + _HEAD_BYTES
    head = raw[start:content]
    last = raw[-1]
    if head == _COUNT:
        # Tokens of most calls.
        if len(raw) - content == _COUNT_BYTES and last < _MORE <= raw[content]:
            return raw[content] - _MORE + _MORE * last
    elif head == _SHORT_COUNT:
        if len(raw) - content == 1 and last < _MORE:
            return last
    elif head == _LONG_COUNT:
        if len(raw) - content == _LONG_COUNT_BYTES and last < _MORE <= min(raw[content:-1]):
            return raw[content] - _MORE + _MORE * (raw[content + 1] - _MORE + _MORE * last)
    elif head == _DOUBLE and len(raw) - content == _DOUBLE_BYTES:
        return json_double(_double_at(raw, content)[0])
    return None


class _Keys(dict[bytes, str | None]):
    """
    Keys by their field: its tag, one byte of length, and the key; None for other bytes.

    One object for a key wherever it comes in makes all that is looked up by keys quick.
    """

    def __missing__(self, field: bytes) -> str | None:
        if field[0] != _KEY_TAG or field[1] >= _MORE or len(field) != field[1] + 2:
            return None
        key = field[2:].decode("utf-8")
        if len(self) >= _MAX_KEYS:
            self.clear()
        self[field] = key
        return key


def _text_heads() -> tuple[bytes, ...]:
    """What stands before a text, by the length of both; what never occurs where none does."""
    heads = [_NEVER] * _MAX_TEXT_BYTES
    for length in range(_MAX_TEXT_BYTES):
        text = b"\x0a" + varint_bytes(length)
        head = b"\x12" + varint_bytes(len(text) + length) + text
        if len(head) + length < _MAX_TEXT_BYTES:
            heads[len(head) + length] = head
    return tuple(heads)


_KEYS: Final = _Keys()
_TEXT_HEADS: Final = _text_heads()
