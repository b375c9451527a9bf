"""Requests to send: the base span, and ways to vary it."""

import itertools
import json
import os
from base64 import b64decode
from collections.abc import Iterator

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE_ID = "5b8efff798038103d269b633813fc60c"
SPAN_ID = "eee19b7ec3c1b174"
START_UNIX_NS = 1_544_712_660_000_000_000
END_UNIX_NS = START_UNIX_NS + 10**9
START_TEXT = "2018-12-13T14:51:00.000000000Z"

_ID_KEYS = frozenset({"traceId", "spanId", "parentSpanId"})
_numbers = itertools.count(int.from_bytes(os.urandom(4)) << 16)


def new_span_id() -> str:
    """A span id that no other call gave."""
    return f"{next(_numbers):016x}"


def base_span(**changes: object) -> Span:
    """The base span T1; *changes* set fields of it."""
    fields: dict[str, object] = {
        "trace_id": bytes.fromhex(TRACE_ID),
        "span_id": bytes.fromhex(SPAN_ID),
        "name": "s",
        "kind": 1,
        "start_time_unix_nano": START_UNIX_NS,
        "end_time_unix_nano": END_UNIX_NS,
        **changes,
    }
    return Span(**fields)


def request_of(*spans: Span) -> ExportTraceServiceRequest:
    """One resource and one scope around *spans*."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    return request


def body_of(*spans: Span) -> bytes:
    """A serialised request around *spans*."""
    return request_of(*spans).SerializeToString()


def t1(**changes: object) -> bytes:
    """A serialised request with the base span."""
    return body_of(base_span(**changes))


def json_object(**changes: object) -> dict[str, object]:
    """The base span in OTLP/JSON; *changes* set or, with None, remove keys of the span."""
    span: dict[str, object] = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "name": "s",
        "kind": 1,
        "startTimeUnixNano": str(START_UNIX_NS),
        "endTimeUnixNano": str(END_UNIX_NS),
        **changes,
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def json_body(**changes: object) -> bytes:
    """`json_object` as bytes."""
    return json.dumps(json_object(**changes)).encode()


def as_json(request: ExportTraceServiceRequest) -> bytes:
    """The same request in OTLP/JSON: hex ids, enums as numbers."""
    return json.dumps(_with_hex_ids(MessageToDict(request, use_integers_for_enums=True))).encode()


def _with_hex_ids(value: object, key: str = "") -> object:
    if isinstance(value, dict):
        return {name: _with_hex_ids(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if key in _ID_KEYS:
        return b64decode(str(value)).hex()
    return value


def prefixes(body: bytes) -> Iterator[bytes]:
    """Every proper prefix of *body*, the empty one included."""
    return (body[:length] for length in range(len(body)))
