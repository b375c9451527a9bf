"""OTLP files: JSON by line or as one document, framed records, and single requests."""

from collections.abc import Iterator
from typing import Final

from halo_daemon.exchange.files import (
    MAX_RECORD_BYTES,
    framed_records,
    is_framed,
    is_lone_request,
    peek,
)
from halo_daemon.exchange.incoming import START, Incoming, Input, Place, Request, Skipped
from halo_daemon.exchange.json_records import dumped, json_records, parse_json
from halo_daemon.exchange.values import items, objects
from halo_daemon.proto.json_value import JsonObject

CUT_OFF_RECORD: Final = "cut off record"

_TRACES: Final = ("resourceSpans", "resource_spans")
_LIBRARY_SPANS: Final = "instrumentationLibrarySpans"
_OTHER_SIGNALS: Final = (
    ("resourceMetrics", "metrics"),
    ("resource_metrics", "metrics"),
    ("resourceLogs", "logs"),
    ("resource_logs", "logs"),
    ("resourceProfiles", "profiles"),
)


def read_otlp(source: Input) -> Iterator[Incoming]:
    """Read what the Collector's file exporter or any OTLP/JSON writer leaves."""
    head = peek(source.stream)
    if source.start == START and is_lone_request(head):
        yield _lone_request(source)
        return
    if not is_framed(head):
        for record in json_records(source):
            if record.value is None:
                yield Skipped(record.reason, record.where)
            else:
                yield _checked(record.value, record.body, record.where, record.end)
        return
    for framed in framed_records(source):
        if framed.body is None:
            yield Skipped(CUT_OFF_RECORD if framed.is_torn else "damaged record", framed.where)
        elif framed.body.lstrip()[:1] == b"{":
            yield _json_request(framed.body, framed.where, framed.end)
        else:
            yield Request(framed.body, is_protobuf=True, resume=framed.end)


def _lone_request(source: Input) -> Incoming:
    body = source.stream.read(MAX_RECORD_BYTES + 1)
    if len(body) > MAX_RECORD_BYTES:
        return Skipped(f"larger than {MAX_RECORD_BYTES} bytes", "1")
    return Request(body, is_protobuf=True, resume=Place(len(body), 1))


def _json_request(body: bytes, where: str, end: Place) -> Incoming:
    try:
        found = parse_json(body)
    except ValueError:
        return Skipped("not JSON", where)
    if not isinstance(found, dict):
        return Skipped("not an OTLP request", where)
    return _checked(found, body, where, end)


def _checked(found: JsonObject, body: bytes, where: str, end: Place | None) -> Incoming:
    if any(key in found for key in _TRACES):
        return Request(_with_scopes(found, body), resume=end)
    signal = next((signal for key, signal in _OTHER_SIGNALS if key in found), "")
    return Skipped(f"{signal}, not traces" if signal else "not an OTLP request", where)


def _with_scopes(request: JsonObject, body: bytes) -> bytes:
    """The request with scopes where it has libraries, as they were called before OTLP 0.15."""
    if _LIBRARY_SPANS.encode() not in body:
        return body
    for resource in objects(request.get("resourceSpans")):
        for group in objects(resource.get(_LIBRARY_SPANS)):
            scope: JsonObject = {"scope": group.get("instrumentationLibrary"), **group}
            resource["scopeSpans"] = [*items(resource.get("scopeSpans")), scope]
    return dumped(request)
