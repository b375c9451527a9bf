"""Requests are counted before they are parsed."""

import json

import pytest

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_bounds import CHECKED_FROM_BYTES, check_parts
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.otlp_json_bounds import check_json_parts
from halo_daemon.proto.otlp_repair import varint_bytes
from halo_daemon.proto.project import Project

LIMITS = DecodeLimits(max_spans=1_000, max_parts=2_000)
EMPTY = CHECKED_FROM_BYTES // 2


def _within(*tags, inner):
    """*inner* as the field of the last tag, that as the field of the one before it, and so on."""
    for tag in reversed(tags):
        inner = bytes([tag]) + varint_bytes(len(inner)) + inner
    return inner


FLOODS = [
    pytest.param(_within(0x0A, 0x12, inner=b"\x12\0" * EMPTY), "spans", id="spans"),
    pytest.param(b"\x0a\0" * EMPTY, "parts", id="resources"),
    pytest.param(_within(0x0A, inner=b"\x12\0" * EMPTY), "parts", id="scopes"),
    pytest.param(_within(0x0A, 0x12, 0x12, inner=b"\x4a\0" * EMPTY), "parts", id="attributes"),
    pytest.param(_within(0x0A, 0x12, 0x12, inner=b"\x5a\0" * EMPTY), "parts", id="events"),
    pytest.param(_within(0x0A, 0x12, 0x12, inner=b"\x6a\0" * EMPTY), "parts", id="links"),
    pytest.param(
        _within(0x0A, 0x12, 0x12, 0x4A, 0x12, 0x2A, inner=b"\x0a\0" * EMPTY), "parts", id="values"
    ),
    pytest.param(_within(0x0A, 0x0A, 0x1A, inner=b"\x1a\0" * EMPTY), "parts", id="entity-keys"),
    pytest.param(b"\x8a\0\0" * EMPTY, "parts", id="tags-of-two-bytes"),
    pytest.param(b"\x7b" + b"\x0a\0" * EMPTY + b"\x7c", "parts", id="in-a-group"),
    pytest.param(b"\x7a\0" * EMPTY, "parts", id="unknown-fields"),
    pytest.param(b"\x78\1" * EMPTY, "parts", id="unknown-numbers"),
    pytest.param(
        _within(0x0A, 0x12, 0x12, inner=_within(0x4A, inner=b"\xff" * 600) + b"\x5a\0" * EMPTY),
        "parts",
        id="events-behind-a-broken-attribute",
    ),
]


@pytest.mark.parametrize(("body", "setting"), FLOODS)
def test_a_flood_is_refused_by_its_setting(body, setting):
    """Whatever a request repeats too often, and however it is encoded, it is refused."""
    with pytest.raises(LimitError, match=f"receivers.max_{setting}_per_request"):
        check_parts(body, LIMITS)


def test_parts_up_to_the_limit_are_taken():
    """A large request with as many events as are allowed is not refused."""
    filler = _within(0x2A, inner=b"x" * CHECKED_FROM_BYTES)  # a span's name
    events = LIMITS.max_parts - 2  # the resource and the scope are parts, too

    check_parts(_within(0x0A, 0x12, 0x12, inner=filler + b"\x5a\0" * events), LIMITS)
    with pytest.raises(LimitError, match="max_parts"):
        check_parts(_within(0x0A, 0x12, 0x12, inner=filler + b"\x5a\0" * (events + 1)), LIMITS)


@pytest.mark.parametrize("size", [1, 3, 7, 40])
def test_what_is_cut_off_is_left_to_the_parser(size):
    """A body that breaks the wire format is a bad request, not one with too many parts."""
    body = _within(0x0A, 0x12, 0x12, inner=_within(0x2A, inner=b"x" * CHECKED_FROM_BYTES))

    with pytest.raises(DecodeError):
        decode_protobuf(body[:-size], project_of=_project_of, limits=LIMITS)


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
