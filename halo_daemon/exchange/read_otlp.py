"""OTLP files: JSON by line or as one document, and the Collector's framed records."""

from collections.abc import Iterator
from io import BufferedReader
from typing import cast

import orjson

from halo_daemon.exchange.draft import span_id, trace_id
from halo_daemon.exchange.files import document, framed_records, is_framed
from halo_daemon.exchange.incoming import Incoming, Request, Skipped, numbered_lines
from halo_daemon.exchange.otlp_form import request_form
from halo_daemon.proto.json_value import JsonObject

_SIGNALS = (("resourceMetrics", "metrics"), ("resourceLogs", "logs"))
_LINES_A_REQUEST = 500
_HALO = "halo"


def read_otlp(stream: BufferedReader, _name: str) -> Iterator[Incoming]:
    """Read what the Collector's file exporter or any OTLP/JSON writer leaves."""
    if is_framed(stream):
        for number, record in enumerate(framed_records(stream), start=1):
            where = f"record {number}"
            if record is None:
                yield Skipped("cut or damaged", where)
            elif record.lstrip()[:1] == b"{":
                yield _json_request(record, where)
            else:
                yield Request(record, is_protobuf=True)
        return
    first_line = stream.peek(2**16)[: 2**16].lstrip().partition(b"\n")[0].strip()
    if first_line.startswith(b"[") or b'"' not in first_line:
        yield from _whole_document(stream)
        return
    for where, line in numbered_lines(stream):
        yield Skipped("too long", where) if line is None else _json_request(line, where)


def read_halo(stream: BufferedReader, _name: str) -> Iterator[Incoming]:
    """Read HALO's JSONL: one canonical span a line."""
    waiting = []
    for where, line in numbered_lines(stream):
        if line is None:
            yield Skipped("too long", where)
            continue
        try:
            fields = _with_ids(orjson.loads(line))
            request_form([fields])
        except (ValueError, KeyError, TypeError, AttributeError):
            yield Skipped("not a HALO span", where)
            continue
        waiting.append(fields)
        if len(waiting) == _LINES_A_REQUEST:
            yield Request(orjson.dumps(request_form(waiting)))
            waiting = []
    if waiting:
        yield Request(orjson.dumps(request_form(waiting)))


def _with_ids(fields: JsonObject) -> JsonObject:
    """A line with ids that OTLP allows; others are derived, and kept as attributes."""
    trace, span = str(fields["trace_id"]), str(fields["span_id"])
    parent = str(fields.get("parent_span_id") or "")
    own_trace = trace_id(_HALO, trace)
    own_span = span_id(_HALO, trace, span)
    attributes = dict(cast("JsonObject", fields["attributes"]))
    if own_trace != trace:
        attributes["import.halo.trace_id"] = trace
    if own_span != span:
        attributes["import.halo.span_id"] = span
    return {
        **fields,
        "trace_id": own_trace,
        "span_id": own_span,
        "parent_span_id": span_id(_HALO, trace, parent) if parent else "",
        "attributes": attributes,
    }


def _whole_document(stream: BufferedReader) -> Iterator[Incoming]:
    data = document(stream)
    if data is None:
        yield Skipped("too long", "document")
        return
    try:
        found = orjson.loads(data)
    except ValueError:
        yield Skipped("not JSON", "document")
        return
    for number, one in enumerate(found if isinstance(found, list) else [found], start=1):
        yield _checked(one, orjson.dumps(one), f"request {number}")


def _json_request(body: bytes, where: str) -> Incoming:
    try:
        return _checked(orjson.loads(body), body, where)
    except ValueError:
        return Skipped("not JSON", where)


def _checked(found: object, body: bytes, where: str) -> Incoming:
    if not isinstance(found, dict):
        return Skipped("not an OTLP request", where)
    if "resourceSpans" in found or "resource_spans" in found:
        return Request(body)
    signal = next((signal for key, signal in _SIGNALS if key in found), "")
    return Skipped(f"{signal}, not traces" if signal else "not an OTLP request", where)
