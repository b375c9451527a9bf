"""Requests that are too many, cut, no protobuf, or hold text that is none."""

import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from tests.conformance.requests import (
    base_span,
    body_of,
    prefixes,
    request_of,
    t1,
)
from tests.unit.proto.decoding import (
    attribute,
    attributes,
    from_protobuf,
    project_of,
)


def test_too_many_spans_fail_the_request():
    """The limit counts all resources together and names its setting."""
    request = request_of(base_span())
    request.resource_spans.add().scope_spans.add().spans.append(base_span())

    with pytest.raises(LimitError, match=r"2 spans.*`receivers.max_spans_per_request`"):
        decode_protobuf(
            request.SerializeToString(), project_of=project_of, limits=DecodeLimits(max_spans=1)
        )


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        pytest.param({"name": "B\1D"}, lambda span: span["name"], id="name"),
        pytest.param({"trace_state": "B\1D"}, lambda span: span["trace_state"], id="state"),
        pytest.param(
            {"attributes": [attribute("a", "B\1D")]},
            lambda span: span["attributes"]["a"],
            id="value",
        ),
        pytest.param(
            {"attributes": [attribute("B\1D", 1)]},
            lambda span: next(iter(span["attributes"])),
            id="key",
        ),
        pytest.param(
            {"attributes": [attribute("a", [{"b": ["B\1D"]}])]},
            lambda span: span["attributes"]["a"][0]["b"][0],
            id="nested",
        ),
        pytest.param(
            {"events": [Span.Event(name="B\1D")]},
            lambda span: span["events"][0]["name"],
            id="event",
        ),
        pytest.param(
            {"status": Status(message="B\1D")}, lambda span: span["status"]["message"], id="status"
        ),
    ],
)
def test_bad_utf8_costs_its_own_bytes(broken, repaired):
    """C56: one bad string becomes U+FFFD and a warning; the spans beside it are untouched."""
    body = body_of(base_span(name="before"), base_span(**broken), base_span(name="after"))

    decoded = from_protobuf(body.replace(b"B\1D", b"B\xffD"))

    before, bad, after = decoded.spans
    assert repaired(bad) == "B\ufffdD"
    assert bad["attributes"]["halo.ingest.warning"] == ["invalid_utf8"]
    assert (before["name"], after["name"]) == ("before", "after")
    assert "halo.ingest.warning" not in before["attributes"] | after["attributes"]


@pytest.mark.parametrize("place", ["resource", "scope", "schema"])
def test_bad_utf8_around_spans_is_named_on_each_of_them(place):
    """C56: every span of a repaired resource or scope carries the warning."""
    request = request_of(base_span(), base_span())
    if place == "resource":
        request.resource_spans[0].resource.attributes.append(attribute("k", "B\1D"))
    elif place == "scope":
        request.resource_spans[0].scope_spans[0].scope.name = "B\1D"
    else:
        request.resource_spans[0].schema_url = "B\1D"

    decoded = from_protobuf(request.SerializeToString().replace(b"B\1D", b"B\xc3D"))

    assert [span["attributes"]["halo.ingest.warning"] for span in decoded.spans] == [
        ["invalid_utf8"]
    ] * 2
    assert "B\ufffdD" in json.dumps(decoded.spans[0], ensure_ascii=False)


@pytest.mark.parametrize(
    "body", [b"\xff" * 64, b"\x0a", b"\x0a\x05ab", b"\x00", b"not protobuf at all"]
)
def test_garbage_is_refused(body):
    """C19: what is not protobuf is one `DecodeError`."""
    with pytest.raises(DecodeError, match="cannot decode"):
        from_protobuf(body)


def test_every_prefix_is_decoded_or_refused():
    """C20: a request cut anywhere is a smaller request or a `DecodeError`."""
    body = t1(attributes=attributes({"a": [1, {"b": "c"}]}))

    for prefix in prefixes(body):
        try:
            from_protobuf(prefix)
        except DecodeError:
            continue
