"""Attributes from their bytes, held against the parser of protobuf."""

import random

from google.protobuf.message import DecodeError as ProtobufDecodeError
from hypothesis import example, given, settings, strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.errors import IngestError
from halo_daemon.proto.otlp_pairs import MAX_REMEMBERED, Pairs, RawSpan, RawTraceRequest
from halo_daemon.proto.value import json_double
from tests.conformance.requests import request_of
from tests.property.test_otlp import ATTRIBUTES, REQUESTS, TEXTS
from tests.unit.proto.decoding import attribute, from_protobuf

LENGTHS = st.one_of(
    st.integers(0, 6), st.integers(120, 135), st.integers(16_370, 16_390), st.integers(4080, 4100)
)
COUNTS = st.one_of(
    st.integers(0, 300),
    st.integers(16_380, 16_390),
    st.integers(2**21 - 5, 2**21 + 5),
    st.integers(-2, 2**63 - 1),
)
PAIRS = st.builds(
    attribute,
    st.one_of(TEXTS, LENGTHS.map("k".__mul__)),
    st.one_of(
        TEXTS,
        LENGTHS.map("x".__mul__),
        LENGTHS.map("é".__mul__),
        COUNTS,
        st.booleans(),
        st.floats(),
    ),
)


def by_parser(raw):
    """The key and the value's bytes as the parser reads them; None for no pair."""
    try:
        pair = KeyValue.FromString(raw)
    except ProtobufDecodeError:
        return None
    which = pair.value.WhichOneof("value")
    if which == "double_value":
        return pair.key, json_double(pair.value.double_value)
    plain = which in {"string_value", "int_value", "bool_value"}
    return pair.key, getattr(pair.value, which) if plain else f"other: {pair.value}"


def by_bytes(raw, pairs):
    """What *pairs* give for the bytes; None for no pair."""
    try:
        return taken(pairs, raw)
    except ProtobufDecodeError:
        return None


def taken(pairs, raw):
    """The key and the value of one pair."""
    ((key, value),) = pairs.taken([raw]).items()
    return key, value


def new_pairs():
    """Pairs that give other values than plain ones and doubles as the text of their message."""
    return Pairs(
        lambda value: (
            json_double(value.double_value)
            if value.WhichOneof("value") == "double_value"
            else f"other: {value}"
        )
    )


@given(PAIRS, st.integers(0, 2**32), st.integers(0, 3))
@example(KeyValue(), 0, 0)
@settings(max_examples=400, deadline=None)
def test_bytes_give_what_the_parser_gives(pair, seed, changes):
    """Whole, cut or changed: the same key and value of the same type, or both refuse."""
    raw = bytearray(pair.SerializeToString())
    dice = random.Random(seed)
    for _ in range(changes):
        place = dice.randrange(min(len(raw), 16) + 1)
        raw[place : place + dice.randrange(2)] = bytes([dice.randrange(256)] * dice.randrange(2))
    pairs = new_pairs()

    expected = by_parser(bytes(raw))
    first = by_bytes(bytes(raw), pairs)
    again = by_bytes(bytes(raw), pairs)

    assert first == again == expected
    assert expected is None or type(first[1]) is type(expected[1])


@given(st.lists(PAIRS | st.sampled_from([b"", b"\n", b"\x12\0", b"\n\0\n\1k"]), max_size=4))
@settings(max_examples=100, deadline=None)
def test_fields_that_come_twice_are_merged_as_the_parser_merges_them(parts):
    """Pairs one after the other in one field are one pair, by the parser's rules."""
    raw = b"".join(part if isinstance(part, bytes) else part.SerializeToString() for part in parts)

    assert by_bytes(raw, new_pairs()) == by_parser(raw)


@given(REQUESTS, st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_odd_encodings_give_the_lines_of_the_usual_one(request, seed):
    """Whatever parses as a request gives the same lines when written anew by the parser."""
    mutated = bytearray(request.SerializeToString())
    dice = random.Random(seed)
    for _ in range(dice.randint(0, 4)):
        if mutated:
            mutated[dice.randrange(len(mutated))] = dice.randrange(256)
    body = bytes(mutated)
    try:
        usual = ExportTraceServiceRequest.FromString(body).SerializeToString()
    except ProtobufDecodeError:
        usual = body

    assert outcome(body) == outcome(usual)


def outcome(body):
    """The lines and counts, or the class of the refusal."""
    try:
        return from_protobuf(body)
    except IngestError as exc:
        return type(exc)


@given(ATTRIBUTES)
@settings(max_examples=40, deadline=None)
def test_a_request_keeps_the_bytes_of_its_pairs(pairs):
    """Attributes come out as the bytes of each pair, in order, wherever they stand."""
    event, link = Span.Event(attributes=pairs), Span.Link(attributes=pairs)
    request = request_of(Span(attributes=pairs, events=[event], links=[link]))
    raw = RawTraceRequest.FromString(request.SerializeToString())
    span = RawSpan.FromString(raw.resource_spans[0].scope_spans[0].spans[0])

    written = [pair.SerializeToString() for pair in pairs]
    for found in (span, span.events[0], span.links[0]):
        assert list(found.attributes) == written


def test_what_is_remembered_has_a_bound():
    """Pairs beyond the bound, long ones and lists are decoded each time they come."""
    pairs = new_pairs()
    for number in range(2 * MAX_REMEMBERED):
        pairs.taken([attribute("k", f"value {number}").SerializeToString()])
    assert len(pairs) == MAX_REMEMBERED

    pairs = new_pairs()
    pairs.taken([attribute("k", "x" * 1000).SerializeToString()])
    pairs.taken([attribute("k", [1]).SerializeToString()])
    assert len(pairs) == 0


def test_a_list_of_one_span_is_not_that_of_another():
    """Two spans with the same list have a list each, so that what changes one spares the other."""
    pairs = Pairs(lambda value: [item.int_value for item in value.array_value.values])
    raw = KeyValue(key="k", value=AnyValue(array_value={"values": [{"int_value": 1}]}))

    first, second = (taken(pairs, raw.SerializeToString())[1] for _ in range(2))

    assert first == second == [1]
    assert first is not second
