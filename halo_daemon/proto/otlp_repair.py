"""
The second look at protobuf bytes that the parser refused.

The parser refuses a whole request for one string that is not UTF-8. Here the wire
format is taken apart along the message types, and only what does not parse by
itself is taken apart further, down to the strings, whose bad bytes become U+FFFD.
One bad span so costs its own bytes and not the spans beside it.
"""

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError as ProtobufDecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from halo_daemon.proto.otlp_wire import LENGTH, field_bytes, fields
from halo_daemon.proto.value import nesting_error


def repaired(body: bytes, message: Descriptor, *, max_depth: int) -> bytes:
    """
    Repair the strings in *body* that are not UTF-8.

    Args:
        body: A serialised message.
        message: What it is.
        max_depth: Nesting of attribute values that is still taken.

    Returns:
        Bytes that parse; *body* itself when it does.

    Raises:
        MalformedError: *body* is not such a message.
        DecodeError: It is nested too deep.
    """
    # The value itself is one level, and so is each array or list around it.
    found = _repaired(body, message, values_left=max_depth + 1, max_depth=max_depth)
    if found is not body and not _parses(found, message):
        # Every part parses by itself, so the whole can only be nested too deep.
        raise nesting_error(max_depth)
    return found


def _repaired(body: bytes, message: Descriptor, *, values_left: int, max_depth: int) -> bytes:
    if _parses(body, message):
        return body
    if message is AnyValue.DESCRIPTOR:
        values_left -= 1
        if values_left < 0:
            raise nesting_error(max_depth)
    by_number = message.fields_by_number
    parts: list[bytes] = []
    for tag, start, content, end in fields(body):
        field = by_number.get(tag >> 3)
        if tag & 7 != LENGTH or field is None:
            parts.append(body[start:end])
            continue
        payload = body[content:end]
        if field.message_type is not None:
            payload = _repaired(
                payload, field.message_type, values_left=values_left, max_depth=max_depth
            )
        elif field.type == FieldDescriptor.TYPE_STRING:
            payload = payload.decode("utf-8", "replace").encode("utf-8")
        parts.append(field_bytes(tag, payload))
    return b"".join(parts)


def _parses(body: bytes, message: Descriptor) -> bool:
    message_class: type[Message] = GetMessageClass(message)
    try:
        message_class.FromString(body)
    except ProtobufDecodeError:
        return False
    return True
