import json

import pytest

from halo_daemon.errors import DecodeError
from halo_daemon.proto.batch import DecodeLimits
from tests.conformance.requests import SPAN_ID, TRACE_ID, json_body, json_object, t1
from tests.unit.proto.decoding import attribute, from_json, from_protobuf

SPAN_PATH = "resourceSpans[0].scopeSpans[0].spans[0]"
OPTIONAL_FIELDS = [
    "parentSpanId", "traceState", "attributes", "events", "links", "status", "flags", "kind",
    "droppedAttributesCount", "droppedEventsCount", "droppedLinksCount",
]  # fmt: skip


def with_value(value: object) -> bytes:
    """The base span with one attribute `a` of that JSON value."""
    return json_body(attributes=[{"key": "a", "value": value}])


def stored_value(value: object) -> object:
    """What stands on the line for it."""
    return from_json(with_value(value)).spans[0]["attributes"]["a"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"traceId": TRACE_ID.upper(), "spanId": SPAN_ID.upper()}, id="upper-case"),
        pytest.param({"startTimeUnixNano": 1544712660000000000}, id="time-as-number"),
        pytest.param({"startTimeUnixNano": 1.54471266e18}, id="time-with-exponent"),
        pytest.param({"kind": "1"}, id="enum-as-text"),
        pytest.param({"unknown": {"deep": [1]}, "attributes": []}, id="unknown-field"),
        pytest.param(dict.fromkeys(OPTIONAL_FIELDS) | {"kind": 1}, id="null-is-absent"),
    ],
)
def test_spellings_of_one_request_give_one_line(changes):
    """C9: however the request is spelt, the bytes are those of protobuf."""
    request = json_object()
    request["resourceSpans"][0]["scopeSpans"][0]["spans"][0].update(changes)

    assert from_json(json.dumps(request).encode()).request == from_protobuf(t1()).request


def test_snake_case_and_enum_names_are_read():
    """C9: what exporters send against the specification is read, and counted."""
    span = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "name": "s",
        "kind": "SPAN_KIND_INTERNAL",
        "start_time_unix_nano": "1544712660000000000",
        "end_time_unix_nano": "1544712661000000000",
    }
    body = json.dumps({"resource_spans": [{"scope_spans": [{"spans": [span]}]}]}).encode()

    decoded = from_json(body).request

    assert decoded.batches == from_protobuf(t1()).request.batches
    assert decoded.warnings == {"enum_name": 1}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"stringValue": "x"}, "x"),
        ({"string_value": "x"}, "x"),
        ({"intValue": "42"}, 42),
        ({"intValue": 42}, 42),
        ({"intValue": 9223372036854775807}, 2**63 - 1),
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"boolValue": False}, False),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "2.5"}, 2.5),
        ({"doubleValue": "-Infinity"}, "-Infinity"),
        ({"bytesValue": "--_-"}, "++/+"),
        ({"bytesValue": "AP8"}, "AP8="),
        ({"bytesValue": ""}, ""),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": None}}, []),
        ({"arrayValue": {"values": [{}, None, {"intValue": 1}]}}, [None, None, 1]),
        ({"kvlistValue": {}}, {}),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}, {"k": True}),
        ({}, None),
        (None, None),
        ({"futureValue": 1}, None),
        ({"stringValue": None, "intValue": 3}, 3),
    ],
)
def test_values_in_json(value, stored):
    """C9, C51, C52: every spelling of a value, and absence in each form."""
    found = stored_value(value)

    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"resourceSpans": {}}, "resourceSpans"),
        ({"resourceSpans": ["x"]}, "resourceSpans[0]"),
        ({"resourceSpans": [{"scopeSpans": [{"spans": "x"}]}]}, "scopeSpans[0].spans"),
        (json_object(kind={}), f"{SPAN_PATH}.kind"),
        (json_object(attributes={"a": 1}), f"{SPAN_PATH}.attributes"),
        (json_object(attributes=[{"key": 1}]), f"{SPAN_PATH}.attributes[0].key"),
        (json_object(traceId=5), f"{SPAN_PATH}.traceId"),
        (json_object(name=["s"]), f"{SPAN_PATH}.name"),
        (json_object(startTimeUnixNano=-1), f"{SPAN_PATH}.startTimeUnixNano"),
        (json_object(startTimeUnixNano="18446744073709551616"), "startTimeUnixNano"),
        (json_object(startTimeUnixNano=1.5), "startTimeUnixNano"),
        (json_object(flags=2**32), f"{SPAN_PATH}.flags"),
        (json_object(status={"code": True}), f"{SPAN_PATH}.status.code"),
        (json_object(events=[{"name": 1}]), f"{SPAN_PATH}.events[0].name"),
        (json_object(links=[{}, {"attributes": 1}]), f"{SPAN_PATH}.links[1].attributes"),
    ],
)
def test_a_wrong_type_names_its_path(body, path):
    """C22, C52: the sender is told which value is wrong."""
    with pytest.raises(DecodeError) as failure:
        from_json(json.dumps(body).encode())

    assert path in str(failure.value)


@pytest.mark.parametrize(
    "value",
    [
        {"intValue": 1.5},
        {"intValue": 1e30},
        {"intValue": "x"},
        {"intValue": 9223372036854775808},
        {"intValue": "99999999999999999999"},
        {"intValue": True},
        {"boolValue": "true"},
        {"doubleValue": "wide"},
        {"bytesValue": "%"},
        {"bytesValue": 1},
        {"stringValue": 1},
        {"arrayValue": []},
        {"arrayValue": {"values": [1]}},
        {"kvlistValue": {"values": [1]}},
        {"stringValue": "a", "intValue": 1},
    ],
)
def test_values_that_cannot_be_read_fail_the_request(value):
    """C52: out of range, of the wrong type or ambiguous is a 400, never a guess."""
    with pytest.raises(DecodeError, match=r"attributes\[0\].value"):
        from_json(with_value(value))


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "x",
        {"kind": {}},
        {"name": 5},
        {"traceId": 5},
        {"status": "x"},
        {"events": [None]},
        {"attributes": {"a": 1}},
        {"attributes": [{"key": "a", "value": {"boolValue": "true"}}]},
    ],
)
def test_a_malformed_span_costs_no_good_one(malformed):
    """A span with a value of the wrong type is refused alone, and its path is told."""
    body = json_object()
    (good,) = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    bad = (
        good | malformed | {"spanId": "00000000000000ff"}
        if isinstance(malformed, dict)
        else malformed
    )
    body["resourceSpans"][0]["scopeSpans"][0]["spans"] = [bad, good]

    found = from_json(json.dumps(body).encode())

    assert found.request.rejected == {"malformed_span": 1}
    assert "resourceSpans[0].scopeSpans[0].spans[0]" in found.request.error_message
    assert [span["span_id"] for span in found.spans] == [good["spanId"]]


@pytest.mark.parametrize(
    ("begin", "end", "name", "warnings"),
    [(b"\xef\xbb\xbf", b"s", "s", {}), (b"", b"\xffs\xfe", "\ufffds\ufffd", {"invalid_utf8": 1})],
)
def test_text_that_is_not_utf8_costs_its_own_bytes(begin, end, name, warnings):
    """A byte order mark is passed over, and a bad byte becomes U+FFFD."""
    body = json.dumps(json_object(name="NAME")).encode().replace(b"NAME", end)

    found = from_json(begin + body)

    assert [span["name"] for span in found.spans] == [name]
    assert found.request.warnings == warnings


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not json", b"{", b"[]", b'"x"', b"123", b"null", b'{"a":NaN}', b"\xff\xfe",
        b'{"resourceSpans":[],}', b'{"a":\xff}', b'{"a":' + b"1" * 5000 + b"}", b'{"a":1e999}',
    ],
)  # fmt: skip
def test_what_is_not_a_json_request_is_refused(body):
    """C21, C52: no JSON, or JSON that is no request, is one `DecodeError`."""
    with pytest.raises(DecodeError, match="cannot decode"):
        from_json(body)


@pytest.mark.parametrize("levels", [32, 200, 10_000])
def test_deep_json_fails_the_request(levels):
    """C54: deep nesting is refused before anything recurses."""
    value = b'{"arrayValue":{"values":[' * levels + b"{}" + b"]}}" * levels
    body = json_body(attributes=[{"key": "a", "value": "V"}]).replace(b'"V"', value)

    with pytest.raises(DecodeError, match="nesting too deep"):
        from_json(body)


def test_the_nesting_limit_is_the_same_in_both_encodings():
    """C54: a limit of one level takes one level, in JSON as in protobuf."""
    limits = DecodeLimits(max_depth=1)
    one = t1(attributes=[attribute("a", [1])])
    two = t1(attributes=[attribute("a", [[1]])])

    assert len(from_protobuf(one, limits).spans) == 1
    assert len(from_json(with_value({"arrayValue": {"values": [{}]}}), limits).spans) == 1
    for refused in (
        lambda: from_protobuf(two, limits),
        lambda: from_json(with_value({"arrayValue": {"values": [{"arrayValue": {}}]}}), limits),
    ):
        with pytest.raises(DecodeError, match="more than 1 levels"):
            refused()


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        pytest.param({"traceId": "z" * 32}, "invalid_trace_id", id="not-hex"),
        pytest.param({"traceId": TRACE_ID[:-1]}, "invalid_trace_id", id="odd"),
        pytest.param({"traceId": "W47/95gDgQPSabYzgT/GDA=="}, "invalid_trace_id", id="base64"),
        pytest.param({"traceId": TRACE_ID + "00"}, "invalid_trace_id", id="long"),
        pytest.param({"traceId": " " + TRACE_ID[1:]}, "invalid_trace_id", id="space"),
        pytest.param({"traceId": None}, "invalid_trace_id", id="null"),
        pytest.param({"spanId": "7uGbfsPBsXQ="}, "invalid_span_id", id="base64-span"),
        pytest.param({"spanId": "é" * 16}, "invalid_span_id", id="not-ascii"),
    ],
)
def test_an_id_that_is_not_hex_costs_its_own_span(ids, reason):
    """C45: the span is refused, the request is not."""
    request = json_object()
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({**spans[0], **ids})

    decoded = from_json(json.dumps(request).encode())

    assert len(decoded.spans) == 1
    assert decoded.request.rejected == {reason: 1}


def test_a_parent_that_is_not_hex_makes_a_root():
    """C46: in JSON as in protobuf."""
    (span,) = from_json(json_body(parentSpanId="xyz")).spans

    assert span["parent_span_id"] == ""
    assert span["attributes"]["halo.ingest.warning"] == ["invalid_parent_span_id"]


@pytest.mark.parametrize(
    ("escaped", "stored"),
    [
        (r"a\ud800b", "a\ufffdb"),
        (r"\udc00\ud83d\ude00\ud83d", "\ufffd\U0001f600\ufffd"),
        (r"\\ud800", r"\ud800"),
        (r"\u0000\u2028", "\0\u2028"),
        (r"\ud800\\", "\ufffd\\"),
    ],
)
def test_lone_surrogates_become_the_replacement_character(escaped, stored):
    """C57: half a character is replaced, whole ones and escaped backslashes are not."""
    body = with_value({"stringValue": "X"}).replace(b"X", escaped.encode())

    assert from_json(body).spans[0]["attributes"]["a"] == stored


def test_the_last_of_duplicate_keys_wins():
    """C23: duplicate keys of a JSON object are decided, not refused."""
    body = json_body().replace(b'"name": "s"', b'"name": "first", "name": "last"')

    assert from_json(body).spans[0]["name"] == "last"


@pytest.mark.parametrize(
    ("key", "signal"), [("resourceMetrics", "metrics"), ("resourceLogs", "logs")]
)
def test_another_signal_is_an_empty_request_with_a_hint(key, signal):
    """C66, C67: nothing is stored, and the sender learns which setting to change."""
    decoded = from_json(json.dumps({key: [{}]}).encode()).request

    assert (decoded.batches, decoded.rejected) == ((), {})
    assert f"OTLP {signal}" in decoded.error_message
    assert f"OTEL_{signal.upper()}_EXPORTER" in decoded.error_message
