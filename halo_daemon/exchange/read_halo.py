"""HALO's JSONL: one canonical span a line, of this program or of others."""

from collections.abc import Iterator
from typing import Final, cast

import orjson

from halo_daemon.exchange.draft import span_id, trace_id
from halo_daemon.exchange.incoming import Incoming, Input, Place, Request, Skipped
from halo_daemon.exchange.json_records import json_records
from halo_daemon.exchange.otlp_form import request_form
from halo_daemon.exchange.record_files import UNREADABLE
from halo_daemon.proto.json_value import JsonObject

SOURCE: Final = "halo"

_MAX_LINES = 500
_MAX_BYTES = 8 * 1024**2


def read_halo(source: Input) -> Iterator[Incoming]:
    """Read spans; a line that is none costs only itself."""
    waiting: list[JsonObject] = []
    size_bytes = 0
    resume: Place | None = None
    for record in json_records(source):
        resume = record.end
        if record.value is None:
            yield Skipped(record.reason, record.where)
            continue
        try:
            fields = _with_ids(record.value)
            size_bytes += len(orjson.dumps(request_form([fields])))
        except (*UNREADABLE, RecursionError):
            yield Skipped("not a HALO span", record.where)
            continue
        waiting.append(fields)
        if len(waiting) >= _MAX_LINES or size_bytes >= _MAX_BYTES:
            yield Request(orjson.dumps(request_form(waiting)), resume=resume)
            waiting, size_bytes = [], 0
    if waiting:
        yield Request(orjson.dumps(request_form(waiting)), resume=resume)


def _with_ids(fields: JsonObject) -> JsonObject:
    """A line with ids that OTLP allows; others are derived, and kept as attributes."""
    trace, span = str(fields["trace_id"]), str(fields["span_id"])
    parent = str(fields.get("parent_span_id") or "")
    own_trace = trace_id(SOURCE, trace)
    own_span = span_id(SOURCE, own_trace, span)
    attributes = dict(cast("JsonObject", fields["attributes"]))
    if own_trace != trace:
        attributes["import.halo.trace_id"] = trace
    if own_span != span:
        attributes["import.halo.span_id"] = span
    return {
        **fields,
        "trace_id": own_trace,
        "span_id": own_span,
        "parent_span_id": span_id(SOURCE, own_trace, parent) if parent else "",
        "attributes": attributes,
    }
