"""What a decoded request leaves behind."""

import gc

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.conformance.requests import as_json, base_span, request_of
from tests.unit.proto.decoding import attribute, from_json, from_protobuf


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_decoded_request_is_gone_without_the_garbage_collector(encoding):
    """Lines are megabytes: nothing of a request refers to itself, so that they go at once."""
    values = [attribute("list", [1, {"a": 2.5}]), attribute("text", "x"), attribute("none", None)]
    span = base_span(attributes=values, events=[Span.Event(name="e", attributes=values)])
    request = request_of(span)
    decode, body = (
        (from_protobuf, request.SerializeToString())
        if encoding == "protobuf"
        else (from_json, as_json(request))
    )
    decode(body)
    gc.collect()
    gc.disable()
    try:
        decode(body)
        assert gc.collect() == 0
    finally:
        gc.enable()
