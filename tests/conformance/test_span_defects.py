"""Rows C43 to C53 and C56 to C62: defects of single spans."""

import json
import time

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from halo_daemon.proto.otlp_wire import field_bytes
from halo_daemon.store.reader import LocalTraceReader
from tests.conformance.receiver import JSON
from tests.conformance.requests import (
    SPAN_ID,
    START_TEXT,
    TRACE_ID,
    base_span,
    body_of,
    json_body,
    new_span_id,
    request_of,
    t1,
)

GOOD = "00000000000000aa"


def _good():
    return base_span(span_id=bytes.fromhex(GOOD), name="good")


def _stored_ids(receiver, project):
    return [span["span_id"] for span in receiver.spans(project)]


BAD_IDS = [
    pytest.param({"trace_id": b"\1" * 15}, "invalid_trace_id", id="trace-id-15"),
    pytest.param({"trace_id": b"\1" * 17}, "invalid_trace_id", id="trace-id-17"),
    pytest.param({"trace_id": b""}, "invalid_trace_id", id="trace-id-0"),
    pytest.param({"span_id": b"\1" * 7}, "invalid_span_id", id="span-id-7"),
    pytest.param({"span_id": b"\1" * 9}, "invalid_span_id", id="span-id-9"),
    pytest.param({"span_id": b""}, "invalid_span_id", id="span-id-0"),
]
ZERO_IDS = [
    pytest.param({"trace_id": b"\0" * 16}, "invalid_trace_id", id="trace-id-zero"),
    pytest.param({"span_id": b"\0" * 8}, "invalid_span_id", id="span-id-zero"),
]


def _check_refused(receiver, project, changes, reason):
    bad = base_span(name="bad", **changes)

    answer = receiver.post(body_of(bad, _good()), project=project)

    success = ExportTraceServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, success.rejected_spans) == (200, 1)
    assert reason in success.error_message
    assert "bad" in success.error_message
    assert _stored_ids(receiver, project) == [GOOD]


@pytest.mark.parametrize(("changes", "reason"), BAD_IDS)
def test_c43_an_id_of_the_wrong_length_costs_its_own_span(ours, project, changes, reason):
    """A span with a wrong id is refused by name and reason; the good one is stored."""
    _check_refused(ours, project, changes, reason)


@pytest.mark.parametrize(("changes", "reason"), ZERO_IDS)
def test_c44_an_id_of_zeros_costs_its_own_span(ours, project, changes, reason):
    """An id that is all zero is none."""
    _check_refused(ours, project, changes, reason)


def test_c44_when_every_span_is_bad_the_answer_is_still_partial(receiver, project):
    """All spans refused is a success that says so, over gRPC as well."""
    body = t1(span_id=b"")

    over_grpc = receiver.export(body, project=project)

    assert receiver.post(body, project=project).rejected == 1
    assert over_grpc.code is grpc.StatusCode.OK
    success = ExportTraceServiceResponse.FromString(over_grpc.body).partial_success
    assert success.rejected_spans == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"traceId": "zz" * 16},
        {"traceId": TRACE_ID[:-1]},
        {"traceId": "W47/95gDgQPSabYzgT/GDA=="},
        {"spanId": "7uGbfsPBsXQ="},
    ],
    ids=["not-hex", "odd-length", "base64-trace-id", "base64-span-id"],
)
def test_c45_a_json_id_that_is_no_hex_costs_its_own_span(receiver, project, changes):
    """An id in another notation is refused with its span, never read as something else."""
    assert receiver.post(json_body(**changes), JSON, project=project).rejected == 1


PARENTS = [
    pytest.param(b"\0" * 8, "", None, id="zero-is-a-root"),
    pytest.param(b"\1" * 7, "", "invalid_parent_span_id", id="wrong-length"),
    pytest.param(bytes.fromhex(SPAN_ID), "", "self_parent", id="its-own-id"),
    pytest.param(b"\1" * 8, "01" * 8, None, id="good"),
]


@pytest.mark.parametrize(("parent", "stored", "warning"), PARENTS)
def test_c46_a_wrong_parent_makes_a_root(ours, project, parent, stored, warning):
    """A parent that cannot be one is dropped with a warning; the span is stored."""
    answer = ours.post(t1(parent_span_id=parent), project=project)

    [span] = ours.spans(project)
    assert answer.is_empty_success
    assert span["parent_span_id"] == stored
    assert span["attributes"].get("halo.ingest.warning") == (warning and [warning])


def test_c46_a_cycle_of_parents_can_be_read(ours, project):
    """Two spans that are each other's parent are a trace that loads."""
    one, two = b"\1" * 8, b"\2" * 8
    ours.post(
        body_of(
            base_span(span_id=one, parent_span_id=two), base_span(span_id=two, parent_span_id=one)
        ),
        project=project,
    )
    reader = LocalTraceReader(ours.data, project, settle_s=0.0, now_unix_ns=time.time_ns)

    trace = reader.load_trace(TRACE_ID)

    reader.close()
    assert len(trace.spans) == 2


def test_c47_an_empty_name_is_stored(receiver, project):
    """A span needs no name."""
    assert receiver.post(t1(name=""), project=project).is_empty_success


TIMES = [
    pytest.param({"start_time_unix_nano": 0}, "1970-01-01T00:00:00.000000000Z", id="start-0"),
    pytest.param({"end_time_unix_nano": 0}, START_TEXT, id="end-0"),
    pytest.param({"end_time_unix_nano": 1}, START_TEXT, id="end-before-start"),
    pytest.param(
        {"start_time_unix_nano": 2**63, "end_time_unix_nano": 2**63},
        "2262-04-11T23:47:16.854775808Z",
        id="year-2262",
    ),
    pytest.param(
        {"start_time_unix_nano": 2**64 - 1, "end_time_unix_nano": 2**64 - 1},
        "2554-07-21T23:34:33.709551615Z",
        id="largest",
    ),
]


@pytest.mark.parametrize(("changes", "start_text"), TIMES)
def test_c48_any_time_is_stored_in_fixed_width(ours, project, changes, start_text):
    """No time overflows, and all have thirty characters."""
    answer = ours.post(t1(**changes), project=project)

    [span] = ours.spans(project)
    assert answer.is_empty_success
    assert span["start_time"] == start_text
    assert len(span["end_time"]) == 30


@pytest.mark.parametrize(
    ("kind", "name", "raw"),
    [
        (0, "SPAN_KIND_UNSPECIFIED", None),
        (3, "SPAN_KIND_CLIENT", None),
        (6, "SPAN_KIND_UNSPECIFIED", 6),
        (99, "SPAN_KIND_UNSPECIFIED", 99),
        (-1, "SPAN_KIND_UNSPECIFIED", -1),
    ],
)
def test_c49_an_unknown_kind_is_kept_as_a_number(ours, project, kind, name, raw):
    """A kind that has no name is unspecified, with its number beside it."""
    ours.post(t1(kind=kind), project=project)

    [span] = ours.spans(project)
    assert (span["kind"], span.get("kind_raw")) == (name, raw)


@pytest.mark.parametrize(
    ("code", "name", "raw"),
    [(0, "STATUS_CODE_UNSET", None), (2, "STATUS_CODE_ERROR", None), (3, "STATUS_CODE_UNSET", 3)],
)
def test_c49_an_unknown_status_is_kept_as_a_number(ours, project, code, name, raw):
    """A status code that has no name is unset, with its number beside it."""
    ours.post(t1(status=Status(code=code)), project=project)

    [span] = ours.spans(project)
    assert (span["status"]["code"], span.get("status_code_raw")) == (name, raw)


def test_c50_what_is_absent_is_written_empty(ours, project):
    """A span without status, resource and scope has the empty form of each."""
    ours.post(t1(), project=project)

    [span] = ours.spans(project)
    assert span["status"] == {"code": "STATUS_CODE_UNSET", "message": ""}
    assert span["resource"] == {"attributes": {}}
    assert span["scope"] == {"name": "", "version": ""}


def test_c51_odd_attributes_are_stored(ours, project):
    """A missing value is null, an empty key is a key, of duplicate keys the last wins."""
    span = base_span()
    span.attributes.add(key="none")
    span.attributes.add(key="").value.string_value = "empty key"
    span.attributes.add(key="twice").value.int_value = 1
    span.attributes.add(key="after").value.int_value = 1
    span.attributes.add(key="twice").value.int_value = 2

    answer = ours.post(body_of(span), project=project)

    attributes = ours.spans(project)[0]["attributes"]
    assert answer.is_empty_success
    assert (attributes["none"], attributes[""], attributes["twice"]) == (None, "empty key", 2)
    assert list(attributes).index("twice") < list(attributes).index("after")


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63)])
def test_c52_integers_of_64_bits_are_exact(ours, project, number):
    """The largest and the smallest integer come back digit by digit, from both encodings."""
    body = json_body(attributes=[{"key": "k", "value": {"intValue": str(number)}}])
    span = base_span()
    span.attributes.add(key="k").value.int_value = number

    ours.post(body, JSON, project=project)
    ours.post(body_of(span), project=project)

    assert [stored["attributes"]["k"] for stored in ours.spans(project)] == [number, number]


@pytest.mark.parametrize("number", ["1e30", "1.5", "9" * 5000, '"9223372036854775808"', '"x"'])
def test_c52_json_integers_out_of_range_are_a_bad_request(receiver, number):
    """What is no 64-bit integer gets 400, never a defect."""
    body = json_body(attributes=[{"key": "k", "value": {"intValue": 0}}])

    answer = receiver.post(body.replace(b'"intValue": 0', f'"intValue": {number}'.encode()), JSON)

    assert answer.status == 400


@pytest.mark.parametrize(
    ("number", "stored"),
    [(float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity")],
)
def test_c53_doubles_that_json_lacks_are_text(ours, project, number, stored):
    """The line stays JSON as RFC 8259 has it."""
    span = base_span()
    span.attributes.add(key="k").value.double_value = number

    ours.post(body_of(span), project=project)

    assert ours.spans(project)[0]["attributes"]["k"] == stored


def _with_bad_text(where):
    span = base_span(name="QQQQ" if where == "name" else "s")
    key = "QQQQ" if where == "key" else "k"
    span.attributes.add(key=key).value.string_value = "QQQQ" if where == "value" else "v"
    return body_of(span, _good()).replace(b"QQQQ", b"a\xff\xfeb")


@pytest.mark.parametrize("where", ["name", "key", "value"])
def test_c56_text_that_is_not_utf_8_costs_only_itself(ours, project, where):
    """Bad bytes are replaced and named in a warning; the good span is stored untouched."""
    answer = ours.post(_with_bad_text(where), project=project)

    repaired, good = ours.spans(project)
    assert answer.status == 200
    assert "\ufffd" in json.dumps(repaired, ensure_ascii=False)
    assert repaired["attributes"]["halo.ingest.warning"]
    assert "halo.ingest.warning" not in good["attributes"]


def test_c57_lone_surrogates_are_replaced(ours, project):
    """A surrogate without its other half becomes U+FFFD; NUL is kept."""
    body = json_body(attributes=[{"key": "k", "value": {"stringValue": "X"}}])

    answer = ours.post(body.replace(b'"X"', rb'"a\ud800b\u0000"'), JSON, project=project)

    [line] = ours.lines(project)
    assert answer.status == 200
    assert line.decode("utf-8")
    assert ours.spans(project)[0]["attributes"]["k"] == "a\ufffdb\x00"


def test_c58_one_span_is_one_line(ours, project):
    """No character inside a text ends a line."""
    text = "a\nb\rc\u2028d\u2029e\x85f"
    span = base_span(name=text)
    span.attributes.add(key=text).value.string_value = text

    ours.post(body_of(span), project=project)

    [line] = ours.lines(project)
    assert json.loads(line)["attributes"][text] == text


def test_c58_separators_in_indexed_names_are_replaced(ours, project):
    """Names that other readers split lines on are written with spaces."""
    request = request_of(base_span())
    attribute = request.resource_spans[0].resource.attributes.add(key="service.name")
    attribute.value.string_value = "a\u2028b"

    ours.post(request.SerializeToString(), project=project)

    [span] = ours.spans(project)
    assert span["resource"]["attributes"]["service.name"] == "a b"
    assert span["attributes"]["halo.ingest.warning"]


def test_c59_unknown_protobuf_fields_are_ignored(receiver, project):
    """A field number of the future costs nothing."""
    unknown = b"\xfa\xf0\x04\x03abc"

    assert receiver.post(t1() + unknown, project=project).is_empty_success


def test_c59_unknown_json_fields_are_ignored(receiver, project):
    """A JSON field of the future costs nothing."""
    assert receiver.post(json_body(futureField={"a": [1]}), JSON, project=project).is_empty_success


def test_c60_string_table_references_are_not_fatal(receiver, project):
    """A reference into a profile's string table leaves its attribute without a value."""
    keyed = field_bytes(0x4A, field_bytes(0x0A, b"k") + field_bytes(0x12, b"\x40\x05"))
    span = base_span().SerializeToString() + keyed

    answer = receiver.post(
        field_bytes(0x0A, field_bytes(0x12, field_bytes(0x12, span))), project=project
    )

    assert answer.status == 200
    if receiver.is_ours:
        assert receiver.spans(project)[0]["attributes"]["k"] is None


def test_c61_keys_that_look_like_ours_touch_nothing_else(ours, project):
    """A client's keys stay inside the attributes; its project id decides nothing."""
    span = base_span()
    for key in ("__proto__", "constructor", "trace_id", "inference.project_id"):
        span.attributes.add(key=key).value.string_value = "client"

    ours.post(body_of(span), project=project)

    [stored] = ours.spans(project)
    assert stored["trace_id"] == TRACE_ID
    assert stored["attributes"]["__proto__"] == "client"
    assert stored["attributes"]["inference.project_id"] == project
    assert stored["attributes"]["halo.client.inference.project_id"] == "client"


def test_c62_everything_else_of_a_span_is_kept_at_top_level(ours, project):
    """Links, events, counts, flags and schema addresses are kept beside the twelve fields."""
    span = base_span(trace_state="k=v", flags=257, dropped_attributes_count=3)
    span.events.add(name="e", time_unix_nano=5, dropped_attributes_count=1)
    span.links.add(trace_id=b"\1" * 16, span_id=b"\2" * 8, trace_state="l=1", flags=1)
    request = request_of(span)
    request.resource_spans[0].schema_url = "https://a.example/1"
    request.resource_spans[0].scope_spans[0].schema_url = "https://a.example/2"
    ref = request.resource_spans[0].resource.entity_refs.add(type="service")
    ref.id_keys.append("service.name")

    ours.post(request.SerializeToString(), project=project)

    [stored] = ours.spans(project)
    assert (stored["trace_state"], stored["flags"]) == ("k=v", 257)
    assert stored["events"][0]["name"] == "e"
    assert stored["links"][0]["span_id"] == "02" * 8
    assert stored["dropped_attributes_count"] == 3
    assert stored["resource_schema_url"] == "https://a.example/1"
    assert stored["scope_schema_url"] == "https://a.example/2"
    assert stored["resource_entity_refs"][0]["type"] == "service"
    assert set(stored["resource"]) == {"attributes"}
    assert set(stored["scope"]) == {"name", "version"}


def test_every_id_in_this_module_is_its_own():
    """Span ids that tests make up do not collide."""
    assert len({new_span_id() for _ in range(100)}) == 100
