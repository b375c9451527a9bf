"""
What one message of a request holds, counted and cut on the wire before it is parsed.

Theory of operation
===================

A message of the wire costs a multiple of its bytes once it is parsed. Short messages are
parsed and then counted; those that could hold more than is kept of one are first looked at
here, where tags and lengths are walked without a message object: `Bounds.trimmed` leaves
out what one message has too much of, and `Bounds.count` refuses what is too much for the
whole request.

Rule 1: what the parser takes is counted, however it is encoded: tags with more bytes
than they need, and fields inside of groups. What breaks the wire format is left to the
parser, which refuses it.

Rule 2: what is dropped is counted in the message's own field for it.
"""

import sys
from dataclasses import dataclass
from typing import Final, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from halo_daemon.proto.batch import MESSAGE_PARTS, DecodeLimits, too_many_parts
from halo_daemon.proto.otlp_wire import (
    LENGTH,
    VARINT,
    MalformedError,
    field_bytes,
    fields,
    varint,
    varint_bytes,
)
from halo_daemon.proto.value import MAX_DROPPED

_MAX_DEPTH: Final = 128
"""Messages in messages; the parser refuses less."""

_STEPS_PER_SPAN: Final = 16
_STEPS_PER_PART: Final = 5
"""Fields on the wire of a usual span and of a usual attribute, which bound the walk's time."""

_LOOKS_PER_PART: Final = 2
"""Fields of large messages that are looked at for what they have too much of."""

_MORE: Final = 0x80
_FIXED64, _FIXED32 = 1, 5
_GROUPS: Final = frozenset({3, 4})
_SMALLEST_BYTES: Final = 2
"""What an empty message takes on the wire, with its tag."""


class _Field(NamedTuple):
    """A field worth looking at, by its tag."""

    parts: int
    """What one of it counts for; 0 for a field that is not repeated."""

    inner: "_Shape"
    walked_from_bytes: int
    dropped_tag: int
    """The field of the same message that counts what was left out; 0 for none."""


@dataclass
class _Shape:
    """A kind of message."""

    fields: dict[int, _Field]
    """By tag: those that may repeat something, themselves or inside."""

    has_limits: bool = False
    """Whether something is dropped of it, or of a message in it, where it has too much."""


def largest_harmless_bytes(limits: DecodeLimits) -> int:
    """The largest size of a message that cannot have too much of anything."""
    return _SMALLEST_BYTES * limits.max_items


class Bounds:
    """
    The bounds of one request, while its messages are looked at.

    Attributes:
        has_dropped: Whether the last message that was trimmed had too much of something.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._harmless_bytes = largest_harmless_bytes(limits)
        self._free_parts = limits.max_parts
        self._free_looks = _LOOKS_PER_PART * limits.max_parts
        self._free_steps = _STEPS_PER_SPAN * limits.max_spans + _STEPS_PER_PART * limits.max_parts
        self.has_dropped = False

    def trimmed(self, body: bytes, message: Descriptor) -> bytes:
        """
        *body* without what one message has too much of; *body* itself when all is well.

        Args:
            body: A serialised message, in order or not.
            message: What it is.

        Raises:
            LimitError: It takes more steps to look at than a request may.
        """
        self.has_dropped = False
        if not self.may_exceed(len(body)):
            return body
        try:
            trimmed = self._trimmed(body, 0, len(body), _shape(message))
        except MalformedError:
            return body
        return body if trimmed is None else trimmed

    def may_exceed(self, size_bytes: int) -> bool:
        """Whether a message of that size can have too much of anything."""
        return size_bytes > self._harmless_bytes

    def _trimmed(self, body: bytes, start: int, end: int, shape: _Shape) -> bytes | None:  # noqa: C901, PLR0912 -- one hot loop
        """The message anew; None where nothing has to be left out of it."""
        limit, harmless_bytes = self._limits.max_items, self._harmless_bytes
        kept: list[bytes] = []
        seen: dict[int, int] = {}
        copied = start
        for tag, at, content, after in fields(body, start, end):
            self._free_looks -= 1
            if self._free_looks < 0:
                raise too_many_parts(self._limits.max_parts)
            field = shape.fields.get(tag)
            if field is None:
                if tag & 7 == VARINT:
                    seen[tag] = varint(body, content)[0] & MAX_DROPPED
                continue
            inner = None
            if field.dropped_tag:
                count = seen[tag] = seen.get(tag, 0) + 1
                if count > limit:
                    if copied < at:
                        kept.append(body[copied:at])
                    copied = after
                    continue
            if after - content > harmless_bytes and field.inner.has_limits:
                inner = self._trimmed(body, content, after, field.inner)
            if inner is not None:
                kept += (body[copied:at], field_bytes(tag, inner))
                copied = after
        dropped = [
            (field.dropped_tag, seen[tag] - limit)
            for tag, field in shape.fields.items()
            if field.dropped_tag and seen.get(tag, 0) > limit
        ]
        if not kept and not dropped:
            return None
        self.has_dropped = True
        kept.append(body[copied:end])
        for tag, count in dropped:
            # Behind the message's own number, which it so replaces.
            kept += (varint_bytes(tag), varint_bytes(min(seen.get(tag, 0) + count, MAX_DROPPED)))
        return b"".join(kept)

    def count(self, body: bytes, message: Descriptor) -> None:  # noqa: C901, PLR0912, PLR0915 -- one hot loop
        """
        Count all that the message in *body* repeats, however deep, before it is parsed.

        Raises:
            LimitError: With all that was counted before, it is more than
                `DecodeLimits.max_parts`, or takes too many steps to count.
        """
        parts, steps = self._free_parts, self._free_steps
        outer: list[tuple[int, int, dict[int, _Field]]] = []
        position, end, shape = 0, len(body), _shape(message).fields
        while True:
            try:
                while position < end:
                    steps -= 1
                    if steps < 0:
                        raise too_many_parts(self._limits.max_parts)
                    tag = body[position]
                    position += 1
                    if tag >= _MORE:
                        tag, position = varint(body, position - 1)
                    wire_type = tag & 7
                    if wire_type == LENGTH:
                        length = body[position]
                        position += 1
                        if length >= _MORE:
                            length, position = varint(body, position - 1)
                        start, position = position, position + length
                        field = shape.get(tag)
                        if field is None:
                            continue
                        parts -= field.parts
                        if parts < 0:
                            raise too_many_parts(self._limits.max_parts)
                        if length >= field.walked_from_bytes and len(outer) < _MAX_DEPTH:
                            outer.append((position, end, shape))
                            position, end, shape = start, min(position, end), field.inner.fields
                    elif wire_type == VARINT:
                        while body[position] >= _MORE:
                            position += 1
                        position += 1
                    elif wire_type == _FIXED64:
                        position += 8
                    elif wire_type == _FIXED32:
                        position += 4
                    elif wire_type not in _GROUPS:
                        break
            except (IndexError, MalformedError):
                pass  # the message is cut off or no message; those around it may still be read
            if not outer:
                break
            position, end, shape = outer.pop()
        self._free_parts, self._free_steps = parts, steps


def _shape(message: Descriptor) -> _Shape:
    if message.full_name in _SHAPES:
        return _SHAPES[message.full_name]
    found = _SHAPES[message.full_name] = _Shape({})
    for field in message.fields:
        if field.message_type is None and not field.is_repeated:
            continue
        inner = _Shape({}) if field.message_type is None else _shape(field.message_type)
        dropped = message.fields_by_name.get(f"dropped_{field.name}_count")
        found.fields[field.number << 3 | LENGTH] = _Field(
            parts=_parts(field),
            inner=inner,
            walked_from_bytes=sys.maxsize if field.message_type is None else 1,
            dropped_tag=dropped.number << 3 | VARINT if dropped else 0,
        )
        found.has_limits = found.has_limits or dropped is not None or inner.has_limits
    return found


def _parts(field: FieldDescriptor) -> int:
    if not field.is_repeated or field.name == "spans":
        return 0  # spans have a bound of their own
    is_plain = field.message_type in {None, KeyValue.DESCRIPTOR} or field.name == "values"
    return 1 if is_plain else MESSAGE_PARTS


_SHAPES: Final[dict[str, _Shape]] = {}
"""By the name of the message, as they are asked for."""
