"""Requests are counted before they are parsed."""

import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.proto.batch import MESSAGE_PARTS, DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_bounds import Bounds
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.otlp_json_bounds import check_json_parts
from halo_daemon.proto.otlp_pieces import RUN_BYTES
from halo_daemon.proto.otlp_wire import field_bytes, varint_bytes
from halo_daemon.proto.project import Project
from halo_daemon.proto.value import DROPPED_SURPLUS

LIMITS = DecodeLimits(max_spans=1_000, max_parts=2_000, max_items=1_000_000)
KEPT = DecodeLimits(max_items=2)
MANY = 5_000
IDS = b"\x0a\x10" + b"\1" * 16 + b"\x12\x08" + b"\2" * 8


def _within(*tags, inner):
    """*inner* as the field of the last tag, that as the field of the one before it, and so on."""
    for tag in reversed(tags):
        inner = field_bytes(tag, inner)
    return inner


def _span(inner):
    return _within(0x0A, 0x12, 0x12, inner=IDS + inner)


FLOODS = [
    pytest.param(_within(0x0A, 0x12, inner=b"\x12\0" * MANY), "spans", id="spans"),
    pytest.param(b"\x0a\0" * MANY, "parts", id="resources"),
    pytest.param(_within(0x0A, inner=b"\x12\0" * MANY), "parts", id="scopes"),
    pytest.param(_span(b"\x4a\0" * MANY), "parts", id="attributes"),
    pytest.param(_span(b"\x5a\0" * MANY), "parts", id="events"),
    pytest.param(_span(b"\x6a\0" * MANY), "parts", id="links"),
    pytest.param(_span(_within(0x5A, inner=b"\x1a\0" * MANY)), "parts", id="event-attributes"),
    pytest.param(_span(_within(0x4A, 0x12, 0x2A, inner=b"\x0a\0" * MANY)), "parts", id="values"),
    pytest.param(
        _span(_within(0x4A, 0x12, 0x2A, inner=b"\x0a\0" * 200) * 20), "parts", id="short-lists"
    ),
    pytest.param(
        _span(_within(0x4A, 0x12, 0x32, inner=b"\x0a\0" * 200) * 20), "parts", id="short-maps"
    ),
    pytest.param(
        _within(0x0A, inner=_within(0x0A, 0x1A, inner=b"\x1a\0" * MANY)), "parts", id="entity-keys"
    ),
    pytest.param(
        _within(0x0A, inner=b"\x8a\0\0" * MANY + b"\x92\0\0" * MANY), "parts", id="long-tags"
    ),
]


@pytest.mark.parametrize("in_pieces", [False, True], ids=["whole", "pieces"])
@pytest.mark.parametrize(("body", "setting"), FLOODS)
def test_a_flood_is_refused_by_its_setting(body, setting, in_pieces):
    """Whatever a request repeats too often, and however it is encoded, it is refused."""
    padding = _within(0x7A, inner=b"x" * RUN_BYTES) if in_pieces else b""

    with pytest.raises(LimitError, match=f"receivers.max_{setting}_per_request"):
        decode_protobuf(padding + body, project_of=_project_of, limits=LIMITS)


HIDDEN = [
    pytest.param(b"\x7b" + b"\x4a\0" * 30_000 + b"\x7c", id="in-a-group"),
    pytest.param(b"\x7a\0" * 30_000, id="unknown-fields"),
    pytest.param(b"\x78\1" * 30_000, id="unknown-numbers"),
    pytest.param(_within(0x4A, inner=b"\xff" * 600) + b"\x5a\0" * 3_000, id="behind-broken-ones"),
]


@pytest.mark.parametrize("inner", HIDDEN)
def test_what_is_hidden_in_a_large_span_is_counted(inner):
    """Before a large span is parsed all of its fields are counted, known, well-formed or not."""
    with pytest.raises(LimitError, match=r"receivers\.max_parts_per_request"):
        Bounds(LIMITS).count(IDS + inner, Span.DESCRIPTOR)


def test_texts_to_repair_are_counted_before_they_are_repaired():
    """Bad texts in more attributes than a request may have are refused, not repaired."""
    bad = _within(0x4A, 0x0A, inner=b"\xff")

    assert _decoded(_span(bad * 100), LIMITS).warnings["invalid_utf8"] == 1
    with pytest.raises(LimitError, match="max_parts"):
        _decoded(_span(bad * (LIMITS.max_parts + 1)), LIMITS)


def test_parts_up_to_the_limit_are_taken():
    """A request with as many attributes as are allowed is not refused; one more is too many."""
    attributes = LIMITS.max_parts - 2 * MESSAGE_PARTS  # its resource and scope are parts, too

    answer = _decoded(_span(b"\x4a\0" * attributes), LIMITS)
    assert answer.received_spans == 1
    with pytest.raises(LimitError, match="max_parts"):
        _decoded(_span(b"\x4a\0" * (attributes + 1)), LIMITS)


SURPLUS = [
    pytest.param(_span(b"\x4a\0" * 5), "attributes", 3, id="attributes"),
    pytest.param(_span(b"\x5a\0" * 5), "events", 3, id="events"),
    pytest.param(_span(b"\x6a\0" * 5), "links", 3, id="links"),
    pytest.param(_span(b"\x5a\0" * 5 + b"\x60\7"), "events", 10, id="beside-what-sdks-dropped"),
    pytest.param(
        _span(b"\x60" + varint_bytes(2**32 - 1) + b"\x5a\0" * 5), "events", 2**32 - 1, id="no-wrap"
    ),
]


@pytest.mark.parametrize(("body", "what", "count"), SURPLUS)
def test_the_surplus_of_one_span_is_dropped_and_counted(body, what, count):
    """What one span has too much of is left out, counted on its line, and warned of."""
    line = _line(body, KEPT)

    assert line[f"dropped_{what}_count"] == count
    assert len(line.get("events", line.get("links", []))) in {0, 2}
    assert line["attributes"]["halo.ingest.warning"][0] == DROPPED_SURPLUS


def test_the_surplus_inside_an_event_is_counted_on_the_event():
    """An event with too many attributes keeps the first ones, and its own count of the rest."""
    line = _line(_span(_within(0x5A, inner=b"\x1a\0" * 7)), KEPT)

    assert line["events"][0]["dropped_attributes_count"] == 5


def test_the_surplus_of_a_resource_is_named_on_its_spans():
    """A resource with too many attributes keeps the first ones; its spans carry the warning."""
    resource = _within(0x0A, inner=b"\x0a\0" * 7)
    line = _line(_within(0x0A, inner=resource + _within(0x12, 0x12, inner=IDS)), KEPT)

    assert line["resource_dropped_attributes_count"] == 5
    assert line["attributes"]["halo.ingest.warning"] == [DROPPED_SURPLUS]


def _line(body, limits):
    (batch,) = _decoded(body, limits).batches
    return json.loads(batch.lines)


def _decoded(body, limits):
    return decode_protobuf(body, project_of=_project_of, limits=limits)


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_what_is_cut_off_is_a_bad_request(size):
    """A large body that breaks the wire format is a bad request, not one with too many parts."""
    body = _within(0x0A, 0x12, 0x12, inner=_within(0x2A, inner=b"x" * RUN_BYTES))

    with pytest.raises(DecodeError):
        _decoded(body[:-size], LIMITS)


JSON_LIMITS = DecodeLimits(max_spans=10, max_parts=1_000)


@pytest.mark.parametrize(
    "body", [b"{}," * 10_000, b"[" * 10_000, b"1," * 10_000, b'"\\"",' * 10_000, b'"a":[0,' * 9_000]
)
def test_a_flood_of_json_values_is_refused(body):
    """What JSON repeats too often is refused before it is parsed, valid or not."""
    with pytest.raises(LimitError, match="max_parts_per_request"):
        check_json_parts(body, JSON_LIMITS)


@pytest.mark.parametrize("text", ["{[," * 10_000, '"{,' * 10_000, "\\{" * 10_000])
def test_marks_in_json_texts_do_not_count(text):
    """A text of braces and commas is one value, however it is escaped."""
    check_json_parts(json.dumps({"a": text}).encode(), JSON_LIMITS)
    check_json_parts(json.dumps({"a": text}).encode()[:-2], JSON_LIMITS)


@pytest.mark.parametrize("decode", [decode_protobuf, decode_json])
def test_copies_of_a_large_resource_are_bounded(decode):
    """Spans that would each store a large resource are refused before they fill the memory."""
    attribute = {"key": "k", "value": {"stringValue": "x" * 10_000}}
    spans = [{"traceId": "1" * 32, "spanId": f"{n:016x}", "name": "s"} for n in range(1, 101)]
    body = json.dumps(
        {
            "resourceSpans": [
                {"resource": {"attributes": [attribute]}, "scopeSpans": [{"spans": spans}]}
            ]
        }
    ).encode()
    if decode is decode_protobuf:
        value = _within(0x0A, inner=b"k") + _within(0x12, 0x0A, inner=b"x" * 10_000)
        span = _within(0x0A, inner=b"\1" * 16) + _within(0x12, inner=b"\2" * 8)
        scope = _within(0x12, inner=span) * 100
        body = _within(0x0A, inner=_within(0x0A, 0x0A, inner=value) + _within(0x12, inner=scope))

    assert decode(body, project_of=_project_of, limits=LIMITS).received_spans == 100
    with pytest.raises(LimitError, match=r"storage\.max_pending"):
        decode(body, project_of=_project_of, limits=DecodeLimits(max_line_bytes=500_000))


def _project_of(_):
    return Project("p", "p")
