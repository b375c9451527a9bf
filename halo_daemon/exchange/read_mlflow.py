"""Traces of MLflow, in the three shapes that its spans had so far."""

import base64
import binascii
from collections.abc import Iterator
from typing import Final

import orjson

from halo_daemon.exchange.draft import Draft, DraftEvent, leftovers, request_of
from halo_daemon.exchange.incoming import Incoming, Input, Request, Skipped
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.json_records import Record, json_records
from halo_daemon.exchange.record_files import UNREADABLE
from halo_daemon.exchange.values import as_text, count, mapping, needed, objects, text
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "mlflow"

_KINDS: Final = {"CHAT_MODEL": "LLM", "PARSER": "CHAIN", "MEMORY": "CHAIN"}
_KNOWN: Final = frozenset(
    [
        "name",
        "context",
        "trace_id",
        "otel_trace_id",
        "span_id",
        "parent_id",
        "parent_span_id",
        "start_time",
        "end_time",
        "start_time_unix_nano",
        "end_time_unix_nano",
        "status",
        "status_code",
        "status_message",
        "attributes",
        "events",
        "mlflow_version",
        "version",
    ]
)
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_SESSION_KEYS: Final = ("mlflow.trace.session", "session_id")
_USER_KEYS: Final = ("mlflow.trace.user", "user_id")


def read_mlflow(source: Input) -> Iterator[Incoming]:
    """Read whole traces, one document or one a line; a bad span costs only itself."""
    for record in json_records(source, _unwrap):
        if record.value is None:
            yield Skipped(record.reason, record.where)
        else:
            yield from _trace(source, record, record.value)


def _unwrap(value: JsonObject) -> JsonValue:
    inner = value.get("traces")
    return inner if isinstance(inner, list) else value


def _trace(source: Input, record: Record, trace: JsonObject) -> Iterator[Incoming]:
    info = mapping(trace.get("info"))
    data = mapping(trace.get("data"))
    spans = data.get("spans") if "spans" in data else trace.get("spans")
    if not isinstance(spans, list):
        yield Skipped("not a trace", record.where)
        return
    shared = _shared(info)
    drafts: list[Draft] = []
    for number, span in enumerate(spans, start=1):
        try:
            drafts.append(_draft(mapping(span), shared))
        except UNREADABLE:
            yield Skipped("not a span", f"{record.where}, span {number}")
    resource: JsonObject = {"service.name": source.name}
    if drafts:
        yield Request(request_of(SOURCE, drafts, resource=resource), resume=record.end)


def _shared(info: JsonObject) -> JsonObject:
    """What a trace says of all its spans."""
    told = {**mapping(info.get("tags")), **mapping(info.get("trace_metadata"))}
    return {
        "session.id": next((told[key] for key in _SESSION_KEYS if told.get(key)), None),
        "user.id": next((told[key] for key in _USER_KEYS if told.get(key)), None),
        "import.mlflow.state": info.get("state") or info.get("status"),
        "import.mlflow.assessments": as_text(info.get("assessments"))
        if info.get("assessments")
        else None,
    }


def _draft(span: JsonObject, shared: JsonObject) -> Draft:
    context = mapping(span.get("context"))
    attributes = {key: _unquoted(value) for key, value in mapping(span.get("attributes")).items()}
    told_kind = text(attributes.get("mlflow.spanType")).upper()
    code, message = _status(span)
    usage = mapping(attributes.get("mlflow.chat.tokenUsage"))
    is_root = not _parent(span)
    return Draft(
        trace=_trace_of(span, context),
        span=_hex(context.get("span_id") or needed(span, "span_id"), _SPAN_BYTES),
        parent=_parent(span),
        name=text(span.get("name")),
        kind=_KINDS.get(told_kind, told_kind),
        start_unix_ns=_time(span, "start_time"),
        end_unix_ns=_time(span, "end_time"),
        error=message if code == "ERROR" else None,
        is_ok=code == "OK",
        events=tuple(map(_event, objects(span.get("events")))),
        attributes={
            **(shared if is_root else {key: shared[key] for key in ("session.id", "user.id")}),
            "input.value": as_text(attributes.get("mlflow.spanInputs")),
            "output.value": as_text(attributes.get("mlflow.spanOutputs")),
            "llm.model_name": text(attributes.get("mlflow.llm.model")) or None,
            "llm.token_count.prompt": count(usage.get("input_tokens")),
            "llm.token_count.completion": count(usage.get("output_tokens")),
            "llm.token_count.total": count(usage.get("total_tokens")),
            "tool.name": text(span.get("name")) if told_kind == "TOOL" else None,
            **{
                key: value if _is_plain(value) else as_text(value)
                for key, value in attributes.items()
            },
            **dict(leftovers(SOURCE, span, _KNOWN)),
        },
    )


def _trace_of(span: JsonObject, context: JsonObject) -> str:
    # The newest shape has MLflow's own id beside OpenTelemetry's.
    own = span.get("otel_trace_id") or context.get("trace_id") or needed(span, "trace_id")
    return _hex(own, _TRACE_BYTES)


def _parent(span: JsonObject) -> str:
    parent = span.get("parent_span_id") or span.get("parent_id")
    return _hex(parent, _SPAN_BYTES) if parent else ""


def _hex(value: JsonValue, size_bytes: int) -> str:
    """An id as hex digits, whether it came as such, as base64 of its bytes, or as neither."""
    given = text(value).removeprefix("0x")
    if not given:
        raise KeyError("id")
    if len(given) == size_bytes * 2:
        return given
    try:
        raw = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return given
    return raw.hex() if len(raw) == size_bytes else given


def _unquoted(value: JsonValue) -> JsonValue:
    """Attribute values are JSON text, so that text arrives quoted twice."""
    if not isinstance(value, str):
        return value
    try:
        found: JsonValue = orjson.loads(value)
    except ValueError:
        return value
    return found


def _is_plain(value: JsonValue) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))


def _status(span: JsonObject) -> tuple[str, str]:
    status = span.get("status")
    told = status if isinstance(status, dict) else {"code": span.get("status_code") or status}
    code = text(told.get("code")).upper().removeprefix("STATUS_CODE_")
    return code, text(told.get("message")) or text(span.get("status_message"))


def _time(span: JsonObject, key: str) -> int | None:
    value = span.get(f"{key}_unix_nano", span.get(key))
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, value)
    return iso_unix_ns(value)


def _event(event: JsonObject) -> DraftEvent:
    stamp = event.get("time_unix_nano", event.get("timestamp"))
    nanos = count(int(stamp) if isinstance(stamp, str) and stamp.isdecimal() else stamp)
    # Older files have microseconds here.
    if nanos is not None and "timestamp" in event and nanos < 10**17:
        nanos *= 1_000
    attributes = {key: _unquoted(value) for key, value in mapping(event.get("attributes")).items()}
    return DraftEvent(text(event.get("name")), nanos or 0, attributes)
