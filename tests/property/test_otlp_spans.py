"""Spans from their bytes, held against the parser of protobuf."""

import random

from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import example, given, settings, strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from halo_daemon.proto.otlp_spans import read_span
from tests.property.test_otlp import SPANS, TEXTS

LENGTHS = st.one_of(
    st.integers(0, 6), st.integers(120, 135), st.integers(16_370, 16_390), st.just(2**21)
)
LONG_SPANS = st.builds(
    Span,
    trace_id=LENGTHS.map("t".__mul__).map(str.encode),
    name=LENGTHS.map("é".__mul__),
    trace_state=LENGTHS.map("x".__mul__),
    status=st.builds(Status, message=LENGTHS.map("x".__mul__)),
    dropped_events_count=st.integers(0, 2),
)


def by_parser(raw):
    """Every field as the parser reads it; None for no span."""
    try:
        span = Span.FromString(raw)
    except ProtobufDecodeError:
        return None
    return (
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        (span.trace_state, span.name, span.kind, span.flags),
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (span.status.code, span.status.message),
        [pair.SerializeToString() for pair in span.attributes],
        [event.SerializeToString() for event in span.events],
        [link.SerializeToString() for link in span.links],
        (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
    )


def by_bytes(raw):
    """The same as `read_span` gives it; None for no span."""
    try:
        span = read_span(raw)
    except ProtobufDecodeError:
        return None
    return (
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        (span.trace_state, span.name, span.kind, span.flags),
        (span.start_unix_ns, span.end_unix_ns),
        (span.status_code, span.status_message),
        list(span.attributes),
        [event.SerializeToString() for event in span.events],
        [link.SerializeToString() for link in span.links],
        tuple(span.dropped),
    )


@given(SPANS | LONG_SPANS)
@example(Span())
@settings(max_examples=200, deadline=None)
def test_bytes_give_what_the_parser_gives(span):
    """Every field, whatever its length, and nothing where nothing was sent."""
    raw = span.SerializeToString()

    assert by_bytes(raw) == by_parser(raw)


@given(SPANS, st.integers(0, 2**32))
@settings(max_examples=400, deadline=None)
def test_bytes_that_are_cut_or_changed_are_refused_as_the_parser_refuses_them(span, seed):
    """A span is refused by both or by none, and then both read the same text and numbers."""
    span.ClearField("attributes")  # left as bytes, they are refused later
    span.ClearField("events")
    span.ClearField("links")
    raw = bytearray(span.SerializeToString())
    dice = random.Random(seed)
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(raw) + 1)
        raw[place : place + dice.randrange(2)] = bytes([dice.randrange(256)] * dice.randrange(2))
    if dice.random() < 0.3:
        del raw[dice.randrange(len(raw) + 1) :]

    found, expected = by_bytes(bytes(raw)), by_parser(bytes(raw))
    if expected is None and found is not None:
        # Bytes that became an attribute or are part of an event: those are refused when read.
        assert found[6] or found[7] or found[8]
    elif not (expected and (expected[6] or expected[7] or expected[8])):
        assert found == expected


@given(st.lists(SPANS | st.builds(Span, name=TEXTS), min_size=2, max_size=3))
@settings(max_examples=100, deadline=None)
def test_fields_that_come_twice_are_merged_as_the_parser_merges_them(spans):
    """Spans one after the other are one span by the parser's rules."""
    raw = b"".join(span.SerializeToString() for span in spans)

    assert by_bytes(raw) == by_parser(raw)


def test_fields_may_come_in_any_order():
    """A sender that writes the last field first is understood."""
    parts = [
        Span(status=Status(code=2)),
        Span(name="n"),
        Span(flags=1),
        Span(start_time_unix_nano=5),
        Span(kind=3),
        Span(span_id=b"12345678"),
        Span(trace_id=b"1234567812345678"),
    ]
    raw = b"".join(part.SerializeToString() for part in parts)

    assert by_bytes(raw) == by_parser(raw)
    assert by_bytes(raw)[0] == b"1234567812345678".hex()
