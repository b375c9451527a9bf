"""
Protobuf's wire format, field by field, without a message object.

Read as the parser reads it: tags of at most five bytes, lengths of at most ten, groups
as one field. What the parser refuses in a field's own content is left to it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5
_GROUP: Final = 3
_END_GROUP: Final = 4

_MORE: Final = 0x80
_MAX_TAG_BYTES: Final = 5
_MAX_TAG: Final = 2**32 - 1
_MAX_VARINT_BYTES: Final = 10
_MAX_GROUPS: Final = 100
_FIXED_BYTES: Final = {FIXED64: 8, FIXED32: 4}


class MalformedError(Exception):
    """The bytes break the wire format itself."""


class Field(NamedTuple):
    """One field, by its place in the bytes that hold it."""

    tag: int
    """Number and wire type, as they stand on the wire."""

    start: int
    content: int
    """Where its content starts: behind the tag, and behind the length where it has one."""

    end: int


def fields(body: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """
    The fields of the message in ``body[start:end]``, in wire order; none for no bytes.

    Raises:
        MalformedError: While iterating, at the first field that is none.
    """
    end = len(body) if end is None else end
    while start < end:
        tag, content, after = field_at(body, start, end)
        yield Field(tag, start, content, after)
        start = after


def field_at(body: bytes, start: int, end: int) -> tuple[int, int, int]:
    """
    Tag, start of the content and end of the field at *start*, in a message that ends at *end*.

    Raises:
        MalformedError: There is none.
    """
    tag, position = body[start], start + 1
    if tag >= _MORE:
        tag, position = _tag(body, start)
    if tag & 7 == LENGTH:
        if position + 1 >= end:
            length, content = varint(body, position)
        elif (length := body[position]) < _MORE:
            content = position + 1
        elif (second := body[position + 1]) < _MORE:
            length, content = length - _MORE + _MORE * second, position + 2
        else:
            length, content = varint(body, position)
        after = content + length
    else:
        content, after = position, _end_of_scalar(body, position, tag)
    if after > end or tag < _MIN_TAG:
        raise MalformedError
    return tag, content, after


_MIN_TAG: Final = 8
"""That of the first field; there is no field 0."""


def varint(body: bytes, position: int, *, max_bytes: int = _MAX_VARINT_BYTES) -> tuple[int, int]:
    """
    The number at *position*, and where it ends.

    Raises:
        MalformedError: It is cut off, or has more than *max_bytes*.
    """
    value = 0
    for index, byte in enumerate(body[position : position + max_bytes]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < _MORE:
            return value, position + index + 1
    raise MalformedError


def varint_bytes(value: int) -> bytes:
    """Write *value*, which is not negative, in the fewest bytes."""
    parts = bytearray()
    while value >= _MORE:
        parts.append(value & 0x7F | _MORE)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def field_bytes(tag: int, content: bytes) -> bytes:
    """Write a field of wire type `LENGTH`."""
    return b"".join((varint_bytes(tag), varint_bytes(len(content)), content))


def _tag(body: bytes, position: int) -> tuple[int, int]:
    tag, position = varint(body, position, max_bytes=_MAX_TAG_BYTES)
    if tag > _MAX_TAG:
        raise MalformedError
    return tag, position


def _end_of_scalar(body: bytes, position: int, tag: int) -> int:
    wire_type = tag & 7
    if wire_type == VARINT:
        return varint(body, position)[1]
    if wire_type in _FIXED_BYTES:
        return position + _FIXED_BYTES[wire_type]
    if wire_type == _GROUP:
        return _end_of_group(body, position, tag)
    raise MalformedError


def _end_of_group(body: bytes, position: int, tag: int) -> int:
    """Where the group ends that *tag* opened; groups may stand in groups."""
    opened = [tag]
    while opened:
        inner, position = _tag(body, position)
        wire_type = inner & 7
        if wire_type == _END_GROUP:
            if inner >> 3 != opened.pop() >> 3:
                raise MalformedError
        elif wire_type == _GROUP:
            opened.append(inner)
            if len(opened) > _MAX_GROUPS:
                raise MalformedError
        elif wire_type == LENGTH:
            length, position = varint(body, position)
            position += length
        else:
            position = _end_of_scalar(body, position, inner)
    return position
