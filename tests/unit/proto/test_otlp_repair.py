import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.project import project_named

_MARK, _BAD, _SHOWN = "\x01\x02\x03", b"\xff\xc3\xfe", "\ufffd\ufffd\ufffd"


def _request(text: str) -> ExportTraceServiceRequest:
    """One span with *text* in every string that OTLP has a place for."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add(schema_url=text)
    resource.resource.attributes.add(key=text).value.string_value = text
    resource.resource.entity_refs.add(
        schema_url=text, type=text, id_keys=[text, "b"], description_keys=[text]
    )
    scope = resource.scope_spans.add(schema_url=text)
    scope.scope.name = scope.scope.version = text
    scope.scope.attributes.add(key=text).value.string_value = text
    span = scope.spans.add(
        trace_id=b"t" * 16, span_id=b"s" * 8, name=text, trace_state=text, end_time_unix_nano=9
    )
    span.status.message = text
    span.attributes.add(key=text).value.string_value = text
    items = span.attributes.add(key="list").value.array_value.values
    items.add(string_value=text)
    items.add().kvlist_value.values.add(key=text).value.string_value = text
    items.add(bytes_value=b"\xff")
    event = span.events.add(name=text)
    event.attributes.add(key=text).value.string_value = text
    link = span.links.add(trace_id=b"t" * 16, span_id=b"o" * 8, trace_state=text)
    link.attributes.add(key=text).value.string_value = text
    return request


def _decoded(body: bytes, **limits: int):
    return decode_protobuf(
        body, project_of=lambda _: project_named("p"), limits=DecodeLimits(**limits)
    )


def _fields(body: bytes):
    (batch,) = _decoded(body).batches
    return orjson.loads(batch.lines)


def test_every_string_of_a_request_can_be_repaired():
    """Bad bytes in any string become what the same text with U+FFFD becomes; bytes stay."""
    broken = _request(_MARK).SerializeToString().replace(_MARK.encode(), _BAD)

    fields = _fields(broken)

    assert fields["attributes"].pop("halo.ingest.warning")
    assert fields == _fields(_request(_SHOWN).SerializeToString())


def test_many_bad_strings_count_against_the_bound_of_parts():
    """A flood of bad strings is refused by the same bound as one of good strings."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    )
    for _ in range(200):
        span.attributes.add(key="k").value.array_value.values.add(string_value=_MARK)
    body = request.SerializeToString().replace(_MARK.encode(), _BAD)

    assert _decoded(body).received_spans == 1
    with pytest.raises(LimitError, match="max_parts"):
        _decoded(body, max_parts=300)


def test_depth_is_told_also_where_text_is_bad():
    """A value nested too deep is refused as such, not as bytes that cannot be read."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    )
    value = span.attributes.add(key="k").value
    for _ in range(46):
        value = value.array_value.values.add()
    value.string_value = _MARK
    body = request.SerializeToString().replace(_MARK.encode(), _BAD)

    with pytest.raises(DecodeError, match="nesting too deep"):
        _decoded(body)
