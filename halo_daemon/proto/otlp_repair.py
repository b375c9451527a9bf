"""
The second look at protobuf bytes that the parser refused.

The parser refuses a whole request for one string that is not UTF-8. Here the wire
format is taken apart along the message types, and only what does not parse by
itself is taken apart further, down to the strings, whose bad bytes become U+FFFD.
One bad span so costs its own bytes and not the spans beside it.
"""

from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError as ProtobufDecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from halo_daemon.errors import DecodeError
from halo_daemon.proto.value import nesting_error

Repairs = frozenset[tuple[int, ...]]
"""Where text was repaired: ``(i,)`` the i-th resource, ``(i, j)`` the j-th scope of it,
``(i, j, k)`` the k-th span of that."""

NO_REPAIRS: Final[Repairs] = frozenset()

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10
_ANY_VALUE: Final = AnyValue.DESCRIPTOR.full_name
_COUNTED: Final = frozenset(
    message.DESCRIPTOR.full_name for message in (ResourceSpans, ScopeSpans, Span)
)


def repair_trace_request(
    body: bytes, *, cause: ProtobufDecodeError, max_depth: int
) -> tuple[bytes, Repairs]:
    """
    Repair the strings in *body* that are not UTF-8.

    Args:
        body: What the parser refused.
        cause: What the parser said.
        max_depth: Nesting of attribute values that is still taken.

    Returns:
        The request's bytes, which parse, and where they were repaired.

    Raises:
        DecodeError: *body* is not an export request, or is nested too deep.
    """
    repair = _Repair(max_depth)
    try:
        repaired = repair.message(body, ExportTraceServiceRequest.DESCRIPTOR, (), depth=0)
    except _MalformedError:
        raise DecodeError(
            f"cannot decode {len(body)} bytes as an OTLP trace export request: {cause}",
            hint="send an ExportTraceServiceRequest as application/x-protobuf",
        ) from cause
    if not _parses(repaired, ExportTraceServiceRequest.DESCRIPTOR):
        # Every part parses by itself, so the whole can only be nested too deep.
        raise nesting_error(max_depth) from cause
    return repaired, frozenset(repair.places)


class _MalformedError(Exception):
    """The bytes break the wire format itself."""


class _Repair:
    """
    One repair of one request.

    Attributes:
        places: Where text was repaired.
    """

    def __init__(self, max_depth: int) -> None:
        self.places: set[tuple[int, ...]] = set()
        # The value itself is one level, and so is each array or list around it.
        self._max_values = max_depth + 1

    def message(
        self, body: bytes, descriptor: Descriptor, place: tuple[int, ...], *, depth: int
    ) -> bytes:
        """The same message with its strings repaired; *body* itself when it parses."""
        if _parses(body, descriptor):
            return body
        if descriptor.full_name == _ANY_VALUE:
            depth += 1
            if depth > self._max_values:
                raise nesting_error(self._max_values - 1)
        fields = descriptor.fields_by_number
        parts: list[bytes] = []
        children = 0
        position = 0
        while position < len(body):
            start = position
            tag, position = _varint(body, position)
            position, payload = _payload(body, position, tag & 7)
            field = fields.get(tag >> 3)
            if payload is None or field is None:
                parts.append(body[start:position])
                continue
            inner = place
            if field.message_type is not None and field.message_type.full_name in _COUNTED:
                inner = (*place, children)
                children += 1
            fixed = self._field(payload, field, inner, depth)
            parts += (varint_bytes(tag), varint_bytes(len(fixed)), fixed)
        return b"".join(parts)

    def _field(
        self, payload: bytes, field: FieldDescriptor, place: tuple[int, ...], depth: int
    ) -> bytes:
        if field.message_type is not None:
            return self.message(payload, field.message_type, place, depth=depth)
        if field.type != FieldDescriptor.TYPE_STRING:
            return payload
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            self.places.add(place)
            return payload.decode("utf-8", "replace").encode("utf-8")
        return payload


def _parses(body: bytes, descriptor: Descriptor) -> bool:
    message_class: type[Message] = GetMessageClass(descriptor)
    try:
        message_class.FromString(body)
    except ProtobufDecodeError:
        return False
    return True


def _payload(body: bytes, position: int, wire_type: int) -> tuple[int, bytes | None]:
    """The position after a field, and its bytes when it is length-delimited."""
    if wire_type == _LENGTH:
        length, position = _varint(body, position)
        end = position + length
        if end > len(body):
            raise _MalformedError
        return end, body[position:end]
    if wire_type == _VARINT:
        return _varint(body, position)[1], None
    size = _FIXED_BYTES.get(wire_type)
    if size is None or position + size > len(body):
        raise _MalformedError
    return position + size, None


def _varint(body: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index, byte in enumerate(body[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 -- the continuation bit
            return value, position + index + 1
    raise _MalformedError


def varint_bytes(value: int) -> bytes:
    """Write *value*, which is not negative, in the fewest bytes."""
    parts = bytearray()
    while value > 0x7F:  # noqa: PLR2004 -- seven bits a byte
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
