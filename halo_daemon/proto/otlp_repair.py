"""
The second look at protobuf bytes that the parser refused.

The parser refuses a whole request for one string that is not UTF-8. Here the same bytes
are parsed as the same messages with every string declared as bytes, which takes any; then
the bad bytes of each string become U+FFFD. One bad span so costs its own bytes and not the
spans beside it, and a request of nothing but bad strings about what a good one costs.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError as ProtobufDecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from halo_daemon.proto.otlp_wire import LENGTH, MalformedError, fields
from halo_daemon.proto.value import nesting_error


class _Holds(Enum):
    """What a field has to be looked at for."""

    NOTHING = 0
    TEXT = 1
    TEXTS = 2
    MESSAGE = 3
    MESSAGES = 4
    PAIRS = 5
    VALUES = 6


def repaired(body: bytes, message: Descriptor, *, max_depth: int) -> bytes:
    """
    Repair the strings in *body* that are not UTF-8.

    Linear in the length of *body*.

    Args:
        body: A serialised message of a trace request.
        message: What it is.
        max_depth: Nesting of attribute values that is still taken.

    Returns:
        Bytes that parse; *body* itself when it does.

    Raises:
        MalformedError: *body* is not such a message.
        DecodeError: It is nested too deep.
    """
    if _parses(body, GetMessageClass(message)):
        return body
    lenient = GetMessageClass(_LENIENT.FindMessageTypeByName(message.full_name))()
    try:
        lenient.ParseFromString(body)
    except ProtobufDecodeError:
        if _is_too_deep(body, message, max_depth=max_depth):
            raise nesting_error(max_depth) from None
        raise MalformedError from None
    _mend(lenient)
    return lenient.SerializeToString()


def _parses(body: bytes, message_class: type[Message]) -> bool:
    try:
        message_class.FromString(body)
    except ProtobufDecodeError:
        return False
    return True


def _mend(message: Message) -> None:  # noqa: C901, PLR0912 -- one hot loop
    """Make every string of *message* valid; as deep as the parser reads."""
    for field, value in message.ListFields():
        holds = _HOLDS.get(field)
        if holds is None:
            holds = _HOLDS[field] = _holds(field)
        if holds is _Holds.PAIRS:
            for pair in value:
                _mend_pair(pair)
        elif holds is _Holds.VALUES:
            for item in value:
                _mend_value(item)
        elif holds is _Holds.MESSAGES:
            for item in value:
                _mend(item)
        elif holds is _Holds.MESSAGE:
            _mend(value)
        elif holds is _Holds.TEXT and not value.isascii():
            setattr(message, field.name, _valid(value))
        elif holds is _Holds.TEXTS:
            value[:] = map(_valid, value)


# Nearly all of a request is pairs and values: these two ask for their fields by name.
def _mend_pair(pair: Any) -> None:
    if not pair.key.isascii():
        pair.key = _valid(pair.key)
    if pair.HasField("value"):
        _mend_value(pair.value)


def _mend_value(value: Any) -> None:
    which = value.WhichOneof("value")
    if which == "string_value":
        if not value.string_value.isascii():
            value.string_value = _valid(value.string_value)
    elif which in _NESTED:
        _mend(getattr(value, which))


def _valid(text: bytes) -> bytes:
    return text.decode("utf-8", "replace").encode()


def _holds(field: FieldDescriptor) -> _Holds:
    if field.message_type is not None:
        several = _REPEATED.get(field.message_type.full_name, _Holds.MESSAGES)
        return several if field.is_repeated else _Holds.MESSAGE
    if field.full_name in _TEXTS:
        return _Holds.TEXTS if field.is_repeated else _Holds.TEXT
    return _Holds.NOTHING


def _is_too_deep(body: bytes, message: Descriptor, *, max_depth: int) -> bool:
    """Whether a value has more levels than are taken, as far as *body* is readable."""
    # The value itself is one level, and so is each array or list around it.
    waiting = [(0, len(body), message, max_depth + 1)]
    try:
        while waiting:
            start, end, within, left = waiting.pop()
            if within is AnyValue.DESCRIPTOR:
                left -= 1
            if left < 0:
                return True
            waiting += (
                (begin, stop, inner, left)
                for begin, stop, inner in _inner(body, start, end, within)
            )
    except MalformedError:
        pass
    return False


def _inner(
    body: bytes, start: int, end: int, message: Descriptor
) -> Iterator[tuple[int, int, Descriptor]]:
    """The messages directly in the one that stands in ``body[start:end]``."""
    for tag, _, content, stop in fields(body, start, end):
        field = message.fields_by_number.get(tag >> 3)
        if tag & 7 == LENGTH and field is not None and field.message_type is not None:
            yield content, stop, field.message_type


def _lenient_pool() -> tuple[DescriptorPool, frozenset[str]]:
    """The messages of traces with strings as bytes, and the full names of these fields."""
    pool = DescriptorPool()
    texts: list[str] = []
    for module in (common_pb2, resource_pb2, trace_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            texts += _take_any_bytes(message, file.package)
        pool.Add(file)
    return pool, frozenset(texts)


def _take_any_bytes(message: descriptor_pb2.DescriptorProto, parent: str) -> Iterator[str]:
    name = f"{parent}.{message.name}"
    for field in message.field:
        if field.type == descriptor_pb2.FieldDescriptorProto.TYPE_STRING:
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
            yield f"{name}.{field.name}"
    for nested in message.nested_type:
        yield from _take_any_bytes(nested, name)


_NESTED: Final = frozenset({"array_value", "kvlist_value"})
_REPEATED: Final = {
    KeyValue.DESCRIPTOR.full_name: _Holds.PAIRS,
    AnyValue.DESCRIPTOR.full_name: _Holds.VALUES,
}
_LENIENT, _TEXTS = _lenient_pool()
_HOLDS: Final[dict[FieldDescriptor, _Holds]] = {}
"""By the field of the lenient message, as they are met."""
