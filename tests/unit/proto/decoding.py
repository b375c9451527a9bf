"""Decoding a request in both encodings at once, for tests."""

from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.proto.batch import DecodedRequest, DecodeLimits
from halo_daemon.proto.json_value import Attributes
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.project import Project, project_named
from halo_daemon.testing.canonical_line import check_lines
from tests.conformance.requests import as_json, request_of

LIMITS = DecodeLimits()
_SCALARS = {
    str: "string_value",
    bool: "bool_value",
    int: "int_value",
    float: "double_value",
    bytes: "bytes_value",
}


def project_of(attributes: Attributes) -> Project:
    """The project by OpenInference's resource attribute, else `default`."""
    return project_named(str(attributes.get("openinference.project.name") or "default"))


class Decoded(NamedTuple):
    """A request's answer, and the objects of its lines in order of the batches."""

    request: DecodedRequest
    spans: list[dict[str, Any]]


def from_protobuf(body: bytes, limits: DecodeLimits = LIMITS) -> Decoded:
    """Decode protobuf and hold every line against the format."""
    return _checked(decode_protobuf(body, project_of=project_of, limits=limits))


def from_json(body: bytes, limits: DecodeLimits = LIMITS) -> Decoded:
    """Decode JSON and hold every line against the format."""
    return _checked(decode_json(body, project_of=project_of, limits=limits))


def from_both(request: ExportTraceServiceRequest) -> Decoded:
    """Decode one request in both encodings, which must agree byte for byte."""
    decoded = from_protobuf(request.SerializeToString())

    assert from_json(as_json(request)).request == decoded.request

    return decoded


def decoded_span(span: Span) -> dict[str, Any]:
    """The line's object of one good span, decoded in both encodings."""
    (line,) = from_both(request_of(span)).spans
    return line


def attribute(key: str, value: object) -> KeyValue:
    """An attribute; None stands for a value that is not set."""
    return KeyValue(key=key, value=any_value(value))


def attributes(values: dict[str, Any]) -> list[KeyValue]:
    """Attributes in the order of *values*."""
    return [attribute(key, value) for key, value in values.items()]


def any_value(value: object) -> AnyValue:
    """A Python value as OTLP says it."""
    if value is None:
        return AnyValue()
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[any_value(item) for item in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(value)))
    return AnyValue(**{_SCALARS[type(value)]: value})


def _checked(request: DecodedRequest) -> Decoded:
    spans = [span for batch in request.batches for span in check_lines(batch.lines)]
    assert [batch.spans for batch in request.batches] == [
        batch.lines.count(b"\n") for batch in request.batches
    ]
    return Decoded(request, spans)
