import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.conformance.requests import (
    END_UNIX_NS,
    SPAN_ID,
    START_UNIX_NS,
    TRACE_ID,
    base_span,
    request_of,
    t1,
)
from tests.unit.proto.decoding import (
    attribute,
    attributes,
    decoded_span,
    from_both,
    from_protobuf,
)

ID = bytes.fromhex(SPAN_ID)
OTHER_ID = bytes.fromhex("00f067aa0ba902b7")


def test_the_base_span_becomes_its_line():
    """One span gives the twelve fields in order, with nothing known but its project."""
    span = decoded_span(base_span())

    assert (span["trace_id"], span["span_id"], span["name"]) == (TRACE_ID, SPAN_ID, "s")
    assert span["kind"] == "SPAN_KIND_INTERNAL"
    assert span["start_time"] == "2018-12-13T14:51:00.000000000Z"
    assert span["end_time"] == "2018-12-13T14:51:01.000000000Z"
    assert span["attributes"]["inference.project_id"] == "default"
    assert span["attributes"]["inference.observation_kind"] == "SPAN"
    assert "openinference.span.kind" not in span["attributes"]


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(ExportTraceServiceRequest(), id="no-resource"),
        pytest.param(request_of(), id="no-span"),
    ],
)
def test_an_empty_request_is_an_empty_success(request_):
    """Nothing in, nothing out, and nothing to say about it."""
    decoded = from_both(request_).request

    assert decoded.batches == ()
    assert (decoded.received_spans, decoded.rejected, decoded.error_message) == (0, {}, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"trace_id": b""}, "invalid_trace_id", id="no-trace-id"),
        pytest.param({"trace_id": b"\1" * 15}, "invalid_trace_id", id="short-trace-id"),
        pytest.param({"trace_id": b"\1" * 17}, "invalid_trace_id", id="long-trace-id"),
        pytest.param({"trace_id": bytes(16)}, "invalid_trace_id", id="zero-trace-id"),
        pytest.param({"span_id": b""}, "invalid_span_id", id="no-span-id"),
        pytest.param({"span_id": b"\1" * 7}, "invalid_span_id", id="short-span-id"),
        pytest.param({"span_id": b"\1" * 9}, "invalid_span_id", id="long-span-id"),
        pytest.param({"span_id": bytes(8)}, "invalid_span_id", id="zero-span-id"),
    ],
)
def test_a_bad_id_costs_its_own_span_only(changes, reason):
    """C43, C44: the bad span is refused with its reason, the others are stored."""
    decoded = from_both(request_of(base_span(), base_span(name="bad", **changes)))

    assert [span["name"] for span in decoded.spans] == ["s"]
    assert decoded.request.rejected == {reason: 1}
    assert decoded.request.received_spans == 2
    assert reason in decoded.request.error_message
    assert "`bad`" in decoded.request.error_message


def test_the_message_about_bad_spans_is_bounded():
    """However long a span's name, what is said about it fits 1 KiB of UTF-8."""
    decoded = from_both(request_of(base_span(span_id=b"", name="ü" * 5000)))

    assert 0 < len(decoded.request.error_message.encode()) <= 1024


@pytest.mark.parametrize(
    ("parent", "stored", "warnings"),
    [
        pytest.param(b"", "", None, id="root"),
        pytest.param(bytes(8), "", None, id="zero"),
        pytest.param(OTHER_ID, OTHER_ID.hex(), None, id="good"),
        pytest.param(b"\1" * 7, "", ["invalid_parent_span_id"], id="short"),
        pytest.param(b"\1" * 16, "", ["invalid_parent_span_id"], id="long"),
        pytest.param(ID, "", ["self_parent"], id="itself"),
    ],
)
def test_parents_are_repaired(parent, stored, warnings):
    """C46: a parent that cannot be one makes a root, and the repair is named."""
    span = decoded_span(base_span(parent_span_id=parent))

    assert span["parent_span_id"] == stored
    assert span["attributes"].get("halo.ingest.warning") == warnings


@pytest.mark.parametrize(
    ("start", "end", "texts", "warnings"),
    [
        (0, 0, ("1970-01-01T00:00:00.000000000Z", "1970-01-01T00:00:00.000000000Z"), None),
        (1, 0, ("1970-01-01T00:00:00.000000001Z", "1970-01-01T00:00:00.000000000Z"), None),
        (
            2**63 + 1,
            2**64 - 1,
            ("2262-04-11T23:47:16.854775809Z", "2554-07-21T23:34:33.709551615Z"),
            None,
        ),
        (
            2,
            1,
            ("1970-01-01T00:00:00.000000002Z", "1970-01-01T00:00:00.000000001Z"),
            ["end_before_start"],
        ),
    ],
)
def test_odd_times_are_stored_as_sent(start, end, texts, warnings):
    """C48: every uint64 is a time; an end before the start is kept and named."""
    span = decoded_span(base_span(start_time_unix_nano=start, end_time_unix_nano=end))

    assert (span["start_time"], span["end_time"]) == texts
    assert span["attributes"].get("halo.ingest.warning") == warnings


@pytest.mark.parametrize(
    ("number", "name", "raw"),
    [
        (0, "SPAN_KIND_UNSPECIFIED", None),
        (5, "SPAN_KIND_CONSUMER", None),
        (6, "SPAN_KIND_UNSPECIFIED", 6),
        (99, "SPAN_KIND_UNSPECIFIED", 99),
        (-1, "SPAN_KIND_UNSPECIFIED", -1),
    ],
)
def test_unknown_kinds_keep_their_number(number, name, raw):
    """C49: a kind that OTLP does not know yet is not lost."""
    span = decoded_span(base_span(kind=number))

    assert (span["kind"], span.get("kind_raw")) == (name, raw)


@pytest.mark.parametrize(
    ("number", "name", "raw"),
    [
        (0, "STATUS_CODE_UNSET", None),
        (2, "STATUS_CODE_ERROR", None),
        (3, "STATUS_CODE_UNSET", 3),
        (-7, "STATUS_CODE_UNSET", -7),
    ],
)
def test_unknown_status_codes_keep_their_number(number, name, raw):
    """C49: so is a status code."""
    span = decoded_span(base_span(status=Status(code=number, message="m")))

    assert span["status"] == {"code": name, "message": "m"}
    assert span.get("status_code_raw") == raw


def test_what_is_absent_has_its_empty_form():
    """C50: no status, resource or scope still gives all three fields."""
    span = decoded_span(base_span())

    assert span["status"] == {"code": "STATUS_CODE_UNSET", "message": ""}
    assert span["resource"] == {"attributes": {}}
    assert span["scope"] == {"name": "", "version": ""}


def test_extras_stand_at_top_level():
    """C62: what OTLP has besides is kept in its order, and never inside scope or resource."""
    request = request_of(
        base_span(
            trace_state="k=v",
            flags=257,
            events=[
                Span.Event(
                    time_unix_nano=START_UNIX_NS,
                    name="e",
                    attributes=[attribute("x", 1)],
                    dropped_attributes_count=4,
                ),
                Span.Event(),
            ],
            links=[
                Span.Link(
                    trace_id=b"\2" * 16,
                    span_id=b"\3" * 8,
                    trace_state="t",
                    attributes=[attribute("y", 2)],
                    dropped_attributes_count=5,
                    flags=1,
                )
            ],
            dropped_attributes_count=1,
            dropped_events_count=2,
            dropped_links_count=3,
        )
    )
    resource_spans = request.resource_spans[0]
    resource_spans.schema_url = "https://r"
    resource_spans.resource.dropped_attributes_count = 6
    ref = resource_spans.resource.entity_refs.add()
    ref.type = "service"
    ref.id_keys.append("service.name")
    scope_spans = resource_spans.scope_spans[0]
    scope_spans.schema_url = "https://s"
    scope_spans.scope.name = "lib"
    scope_spans.scope.version = "2"
    scope_spans.scope.attributes.append(attribute("z", 3))
    scope_spans.scope.dropped_attributes_count = 7

    (span,) = from_both(request).spans

    assert list(span.items())[12:] == [
        ("flags", 257),
        (
            "events",
            [
                {
                    "time": "2018-12-13T14:51:00.000000000Z",
                    "name": "e",
                    "attributes": {"x": 1},
                    "dropped_attributes_count": 4,
                },
                {"time": "1970-01-01T00:00:00.000000000Z", "name": "", "attributes": {}},
            ],
        ),
        (
            "links",
            [
                {
                    "trace_id": "02" * 16,
                    "span_id": "03" * 8,
                    "trace_state": "t",
                    "attributes": {"y": 2},
                    "dropped_attributes_count": 5,
                    "flags": 1,
                }
            ],
        ),
        ("dropped_attributes_count", 1),
        ("dropped_events_count", 2),
        ("dropped_links_count", 3),
        ("scope_attributes", {"z": 3}),
        ("scope_dropped_attributes_count", 7),
        ("scope_schema_url", "https://s"),
        ("resource_dropped_attributes_count", 6),
        ("resource_schema_url", "https://r"),
        (
            "resource_entity_refs",
            [
                {
                    "schema_url": "",
                    "type": "service",
                    "id_keys": ["service.name"],
                    "description_keys": [],
                }
            ],
        ),
    ]
    assert span["trace_state"] == "k=v"
    assert span["scope"] == {"name": "lib", "version": "2"}


def test_a_link_with_a_bad_id_is_kept_with_a_warning():
    """Links are not worth losing a span for."""
    link = Span.Link(trace_id=b"\1", span_id=b"\2" * 8)

    span = decoded_span(base_span(links=[link]))

    assert (span["links"][0]["trace_id"], span["links"][0]["span_id"]) == ("01", "02" * 8)
    assert span["attributes"]["halo.ingest.warning"] == ["invalid_link_id"]


def test_every_line_has_its_own_resource_and_scope():
    """C10: two resources with two scopes of three spans are twelve whole lines."""
    request = ExportTraceServiceRequest()
    for i in range(2):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.append(attribute("r", i))
        for j in range(2):
            scope_spans = resource_spans.scope_spans.add()
            scope_spans.scope.name = f"scope {j}"
            scope_spans.spans.extend(base_span(name=f"{i}{j}{k}") for k in range(3))

    spans = from_both(request).spans

    assert [
        f"{span['resource']['attributes']['r']}{span['scope']['name'][-1]}" for span in spans
    ] == [span["name"][:2] for span in spans]
    assert len({span["name"] for span in spans}) == 12


def test_projects_are_split_by_resource():
    """C11: each project's lines stand in a batch of their own, in order of appearance."""
    request = ExportTraceServiceRequest()
    for name in ("Second One", "a", "Second One"):
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.append(attribute("openinference.project.name", name))
        resource_spans.scope_spans.add().spans.append(base_span(name=name))

    decoded = from_both(request)

    assert [(batch.project, batch.spans) for batch in decoded.request.batches] == [
        (("second-one", "Second One"), 2),
        (("a", "a"), 1),
    ]
    assert [span["attributes"]["inference.project_id"] for span in decoded.spans] == [
        "second-one",
        "second-one",
        "a",
    ]


def test_identical_requests_give_identical_bytes():
    """Decoding has no memory and no clock."""
    body = t1(
        attributes=attributes({"gen_ai.operation.name": "chat"}), end_time_unix_nano=END_UNIX_NS
    )

    assert from_protobuf(body).request == from_protobuf(body).request
