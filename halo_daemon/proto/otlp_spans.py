"""
Spans of protobuf requests, one by one, from their bytes.

Theory of operation
===================

A message object for each span, and a step from C into Python for each of its fields, is
most of what decoding costs once attributes are read from their bytes (`proto.otlp_pairs`).
So spans are left as bytes too, and one walk takes the fields out of them.

Rule 1: a span gives what the parser gives for it, errors included: a span with anything
in it that is not read here, or not encoded in the usual way, is parsed as a whole.

Rule 2: attributes stay bytes, so that they are counted before they cost anything.
"""

import struct
from collections.abc import Sequence
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from halo_daemon.proto.otlp_pairs import RawEvent, RawLink, RawSpan
from halo_daemon.proto.otlp_wire import LENGTH, MalformedError, varint

_MORE: Final = 0x80
"""The bit of a byte that says that its number goes on."""

_TRACE_ID: Final = 0x0A
_SPAN_ID: Final = 0x12
_TRACE_STATE: Final = 0x1A
_PARENT_SPAN_ID: Final = 0x22
_NAME: Final = 0x2A
_KIND: Final = 0x30
_START_TIME: Final = 0x39
_END_TIME: Final = 0x41
_ATTRIBUTE: Final = 0x4A
_EVENT: Final = 0x5A
_LINK: Final = 0x62
_STATUS: Final = 0x7A
_FLAGS: Final = (0x85, 0x01)
_STATUS_CODE: Final = 0x18
_CODE_BYTES: Final = 2
NONE_DROPPED: Final = (0, 0, 0)
_fixed64_at: Final = struct.Struct("<Q").unpack_from
_fixed32_at: Final = struct.Struct("<I").unpack_from


class SpanFields:
    """
    The fields of one span; what was not sent is empty or 0.

    Attributes:
        trace_id: Hex of any length; so are the other ids.
        attributes: The bytes of each pair.
        events: In wire order, and so are `links`; their attributes are bytes as well.
        dropped: How many attributes, events and links the sender left out.
    """

    def __init__(self) -> None:
        self.trace_id = ""
        self.span_id = ""
        self.parent_span_id = ""
        self.trace_state = ""
        self.name = ""
        self.kind = 0
        self.start_unix_ns = 0
        self.end_unix_ns = 0
        self.status_code = 0
        self.status_message = ""
        self.flags = 0
        self.attributes: Sequence[object] = []
        self.events: list[Span.Event] = []
        self.links: list[Span.Link] = []
        self.dropped: tuple[int, int, int] = NONE_DROPPED


def read_span(raw: bytes) -> SpanFields:
    """
    The fields of the serialised ``Span`` in *raw*.

    Raises:
        google.protobuf.message.DecodeError: It is none.
    """
    found = SpanFields()
    try:
        if _walk(raw, found):
            return found
    except (IndexError, UnicodeDecodeError, MalformedError, struct.error):
        # Cut off, or text that is none: the parser says so.
        pass
    return _parsed(raw)


def _walk(raw: bytes, found: SpanFields) -> bool:
    """Take the fields of *raw*; False, with some of them taken, where the parser must."""
    attributes: list[bytes] = []
    size = len(raw)
    end = 0
    while end < size:
        tag = raw[end]
        if tag & 7 == LENGTH:
            length = raw[end + 1]
            start = end + 2
            if length >= _MORE:
                second = raw[start]
                if second < _MORE:
                    length += _MORE * (second - 1)
                    start += 1
                else:
                    length, start = varint(raw, end + 1)
            end = start + length
            if end > size:
                return False
            if tag == _ATTRIBUTE:
                attributes.append(raw[start:end])
            elif not _take(tag, raw[start:end], found):
                return False
        else:
            end = _take_number(tag, raw, end, found)
            if not end:
                return False
    found.attributes = attributes
    return True


def _take(tag: int, content: bytes, found: SpanFields) -> bool:
    """Take a field that has a length; False for one that is not known here."""
    if tag == _TRACE_ID:
        found.trace_id = content.hex()
    elif tag == _SPAN_ID:
        found.span_id = content.hex()
    elif tag == _PARENT_SPAN_ID:
        found.parent_span_id = content.hex()
    elif tag == _NAME:
        found.name = content.decode()
    elif tag == _STATUS:
        return _take_status(content, found)
    elif tag == _TRACE_STATE:
        found.trace_state = content.decode()
    elif tag == _EVENT:
        found.events.append(RawEvent.FromString(content))
    elif tag == _LINK:
        found.links.append(RawLink.FromString(content))
    else:
        return False
    return True


def _take_status(raw: bytes, found: SpanFields) -> bool:
    if found.status_code or found.status_message:
        # The second of two is merged into the first.
        return False
    if len(raw) == _CODE_BYTES and raw[0] == _STATUS_CODE and raw[1] < _MORE:
        found.status_code = raw[1]
    elif raw:
        status = Status.FromString(raw)
        found.status_code, found.status_message = status.code, status.message
    return True


def _take_number(tag: int, raw: bytes, start: int, found: SpanFields) -> int:
    """Take a field that is a number, and return where it ends; 0 for one that is not known here."""
    if tag == _START_TIME:
        found.start_unix_ns = _fixed64_at(raw, start + 1)[0]
        return start + 9
    if tag == _END_TIME:
        found.end_unix_ns = _fixed64_at(raw, start + 1)[0]
        return start + 9
    if tag == _KIND and raw[start + 1] < _MORE:
        found.kind = raw[start + 1]
        return start + 2
    if tag == _FLAGS[0] and raw[start + 1] == _FLAGS[1]:
        found.flags = _fixed32_at(raw, start + 2)[0]
        return start + 6
    return 0


def _parsed(raw: bytes) -> SpanFields:
    span = RawSpan.FromString(raw)
    found = SpanFields()
    found.trace_id = span.trace_id.hex()
    found.span_id = span.span_id.hex()
    found.parent_span_id = span.parent_span_id.hex()
    found.trace_state = span.trace_state
    found.name = span.name
    found.kind = span.kind
    found.start_unix_ns = span.start_time_unix_nano
    found.end_unix_ns = span.end_time_unix_nano
    found.status_code = span.status.code
    found.status_message = span.status.message
    found.flags = span.flags
    found.attributes = span.attributes[:]
    found.events = list(span.events)
    found.links = list(span.links)
    found.dropped = (
        span.dropped_attributes_count,
        span.dropped_events_count,
        span.dropped_links_count,
    )
    return found
