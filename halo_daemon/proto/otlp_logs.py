"""
Log events of coding agents and models, as spans.

Theory of operation
===================

Some agents tell what they do in log records rather than in spans: Claude Code and Codex
write one event for each prompt, request and tool call, and the GenAI conventions have
events for messages. Each such record becomes a span, and the request that holds them is
decoded like any other trace request.

Rule 1: a record that carries a trace and a span becomes a child of that span. One of the
GenAI conventions, or of an exception, is told of that span: all that it says stands in an
event, which readers see on the span itself (`semconv.told_of_spans`).

Rule 2: one without belongs to its session: the trace id is derived from the session's
id, and within it the events of one prompt hang under that prompt.

Rule 3: ids depend on the record alone, not on its encoding, so a record that is delivered
twice is one span.
"""

import hashlib
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, cast

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs

from halo_daemon.errors import DecodeError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.otlp_bounds import Bounds
from halo_daemon.proto.otlp_pieces import ResourcePiece, Run, split_others
from halo_daemon.proto.otlp_records import json_request
from halo_daemon.proto.otlp_signals import LOGS, refuse_foreign
from halo_daemon.proto.otlp_wire import MalformedError
from halo_daemon.proto.semconv.targets import EVENT_OF_SPAN

_AGENT: Final = r"(?:claude_code|codex|gemini_cli|qwen-code|gen_ai)\."
_EVENT: Final = re.compile(_AGENT + r"[\w.]+|(?:[\w.]+\.)?exception")
_MAY_BE_EVENT: Final = re.compile((_AGENT + "|exception").encode("ascii"))
_OF_SPANS: Final = re.compile(r"gen_ai\.[\w.]+|(?:[\w.]+\.)?exception")
_OF_AGENTS: Final = re.compile(_AGENT)
_SESSION_KEYS: Final = (
    "session.id",
    "conversation.id",
    "conversation_id",
    "gen_ai.conversation.id",
)
_PROMPT_KEYS: Final = ("prompt.id", "prompt_id")
_ID_KEYS: Final = ("traceId", "spanId")
_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}")
_SEVERITY_ERROR: Final = 17
_STATUS_ERROR: Final = 2
_NANOS_PER_MILLI: Final = 10**6
_MAX_UNIX_NS: Final = 2**64 - 1

_KINDS: Final = {
    "claude_code.user_prompt": "AGENT",
    "claude_code.api_request": "LLM",
    "claude_code.api_error": "LLM",
    "claude_code.tool_result": "TOOL",
    "codex.user_prompt": "AGENT",
    "codex.api_request": "LLM",
    "codex.sse_event": "LLM",
    "codex.tool_result": "TOOL",
    "gemini_cli.user_prompt": "AGENT",
    "gemini_cli.api_response": "LLM",
    "gemini_cli.api_error": "LLM",
    "gemini_cli.tool_call": "TOOL",
    "qwen-code.user_prompt": "AGENT",
    "qwen-code.api_response": "LLM",
    "qwen-code.api_error": "LLM",
    "qwen-code.tool_call": "TOOL",
}
_CLAUDE_SPAN_TYPES: Final = {"AGENT": "interaction", "LLM": "llm_request", "TOOL": "tool"}


_Moments = dict[tuple[str, str, int], int]
"""How many records of a request told of a span at a time: by trace, span and time."""


class LogSpans(NamedTuple):
    """A logs request, taken apart."""

    request: bytes
    """A trace request in OTLP/JSON with a span for each event; ``b""`` when there is none."""

    events: int
    """Records that became spans."""

    others: int
    """Records that are no such event."""


def spans_of_logs(body: bytes, limits: DecodeLimits) -> LogSpans:
    """
    Take a serialised ``ExportLogsServiceRequest`` apart.

    Only records that name such an event are parsed; of the others it is enough that they
    are there.

    Raises:
        DecodeError: *body* is no such request.
        LimitError: It holds more than *limits* allow.
    """
    refuse_foreign(body, LOGS)
    try:
        return _taken_apart(body, split_others(body, limits), Bounds(limits))
    except (ProtobufDecodeError, MalformedError) as exc:
        raise DecodeError(
            f"cannot decode {len(body)} bytes as an OTLP logs request",
            hint="this endpoint takes logs; traces go to /v1/traces",
        ) from exc


def _taken_apart(body: bytes, pieces: Iterable[ResourcePiece], bounds: Bounds) -> LogSpans:
    resources: list[JsonValue] = []
    moments: _Moments = {}
    events = records = 0
    for piece in pieces:
        scopes: list[JsonValue] = []
        for scope in piece.scopes:
            records += scope.records
            spans: list[JsonValue] = list(_spans_of_runs(body, scope.runs, bounds, moments))
            events += len(spans)
            if spans:
                head = _fields_of(scope.head, ScopeLogs, bounds)
                scopes.append({"scope": head.get("scope"), "spans": spans})
        if scopes:
            head = _fields_of(piece.head, ResourceLogs, bounds)
            resources.append({"resource": head.get("resource"), "scopeSpans": scopes})
    return _log_spans(resources, events, records)


def _spans_of_runs(
    body: bytes, runs: Iterable[Run], bounds: Bounds, moments: _Moments
) -> Iterator[JsonObject]:
    """A span for each event; a run is the scope that holds one record."""
    for start, end in runs:
        if not _MAY_BE_EVENT.search(body, start, end):
            continue
        for record in _objects(_fields_of(body[start:end], ScopeLogs, bounds), "logRecords"):
            for key in _ID_KEYS:
                # The library's JSON writes bytes in base64, ids included.
                if isinstance(written := record.get(key), str):
                    record[key] = b64decode(written).hex()
            if span := _span_of(record, moments):
                yield span


def _fields_of(
    raw: bytes, message: type[ResourceLogs] | type[ScopeLogs], bounds: Bounds
) -> JsonObject:
    raw = bounds.trimmed(raw, message.DESCRIPTOR)
    bounds.count(raw, message.DESCRIPTOR)
    fields = MessageToDict(message.FromString(raw), use_integers_for_enums=True)
    return cast("JsonObject", fields)


def spans_of_json_logs(body: bytes, limits: DecodeLimits) -> LogSpans:
    """
    Take a logs request in OTLP/JSON apart.

    Raises:
        DecodeError: *body* is not a JSON object, or one of another signal.
        LimitError: It holds more than *limits* allow.
    """
    request = json_request(body, LOGS, limits)
    resources: list[JsonValue] = []
    moments: _Moments = {}
    events = records = 0
    for resource_logs in _objects(request, "resourceLogs"):
        scopes: list[JsonValue] = []
        for scope_logs in _objects(resource_logs, "scopeLogs"):
            spans: list[JsonValue] = []
            for record in _objects(scope_logs, "logRecords"):
                records += 1
                for key in _ID_KEYS:
                    if isinstance(written := record.get(key), str):
                        record[key] = written.lower()
                if span := _span_of(record, moments):
                    spans.append(span)
            events += len(spans)
            if spans:
                scopes.append({"scope": scope_logs.get("scope"), "spans": spans})
        if scopes:
            resources.append({"resource": resource_logs.get("resource"), "scopeSpans": scopes})
    return _log_spans(resources, events, records)


def _log_spans(resources: list[JsonValue], events: int, records: int) -> LogSpans:
    body = orjson.dumps({"resourceSpans": resources}) if resources else b""
    return LogSpans(body, events, records - events)


def _span_of(record: JsonObject, moments: _Moments) -> JsonObject | None:
    """The span of a record, in OTLP/JSON both; None for one that is no event."""
    attributes: JsonObject = {
        str(pair.get("key")): pair.get("value") for pair in _objects(record, "attributes")
    }
    name = _event_name(record, attributes)
    if not name:
        return None
    trace_id, parent_id = _valid_ids(record)
    identity = orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
    if parent_id and _OF_SPANS.fullmatch(name):
        return {
            "traceId": trace_id,
            "spanId": _digest(trace_id.encode() + identity, "event", digits=16),
            "parentSpanId": parent_id,
            **_told_of_span(name, record, _moment_of(record, (trace_id, parent_id), moments)),
        }
    if not _OF_AGENTS.match(name):
        return None
    prompt = next(filter(None, (_text(attributes.get(key)) for key in _PROMPT_KEYS)), "")
    if not trace_id:
        session = next(filter(None, (_text(attributes.get(key)) for key in _SESSION_KEYS)), "")
        trace_id = _digest(session.encode() or identity, "session", digits=32)
        parent_id = (
            _digest(trace_id.encode() + prompt.encode(), "prompt", digits=16) if prompt else ""
        )
    span_id = _digest(trace_id.encode() + identity, "event", digits=16)
    if parent_id and name.endswith(".user_prompt"):
        span_id, parent_id = parent_id, ""
    end_unix_ns = _time_of(record)
    duration_ns = _integer(_scalar(attributes.get("duration_ms"))) * _NANOS_PER_MILLI
    return {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent_id,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(max(0, end_unix_ns - duration_ns)),
        "endTimeUnixNano": str(end_unix_ns),
        "attributes": [*_objects(record, "attributes"), *_added(name, attributes, record)],
        "events": _message_events(name, record, str(end_unix_ns)),
        "status": _status(record, attributes),
    }


def _told_of_span(name: str, record: JsonObject, moment_unix_ns: int) -> JsonObject:
    """What a record tells of the span that it names, as a moment with one event."""
    time_unix_ns = str(moment_unix_ns)
    body = record.get("body")
    said: JsonObject = {"key": "content", "value": body}
    event: JsonObject = {
        "name": "exception" if name.endswith("exception") else name,
        "timeUnixNano": time_unix_ns,
        "attributes": [
            *_objects(record, "attributes"),
            *(_fields_of_body(body) or ([said] if _text(body) not in {"", name} else [])),
        ],
    }
    return {
        "name": name,
        "kind": 1,
        "startTimeUnixNano": time_unix_ns,
        "endTimeUnixNano": time_unix_ns,
        "attributes": [{"key": EVENT_OF_SPAN, "value": {"boolValue": True}}],
        "events": [event],
    }


def _moment_of(record: JsonObject, told_of: tuple[str, str], moments: _Moments) -> int:
    """
    The record's time, a nanosecond later for each that told of the span at that time before.

    A clock of milliseconds stamps all messages of a model call alike, and their order in
    the request is all that tells which was said first. 0 when the record has no time.
    """
    time_unix_ns = _time_of(record)
    if not time_unix_ns:
        return 0
    before = moments.get((*told_of, time_unix_ns), 0)
    moments[*told_of, time_unix_ns] = before + 1
    return min(time_unix_ns + before, _MAX_UNIX_NS)


def _time_of(record: JsonObject) -> int:
    return _integer(record.get("timeUnixNano")) or _integer(record.get("observedTimeUnixNano"))


def _event_name(record: JsonObject, attributes: JsonObject) -> str:
    """The event that the record is; ``""`` for an ordinary log line."""
    body = record.get("body")
    candidates = (
        record.get("eventName"),
        _text(attributes.get("event.name")),
        _text(body) if isinstance(body, dict) else "",
    )
    for candidate in candidates:
        if isinstance(candidate, str) and _EVENT.fullmatch(candidate):
            return candidate
    return ""


def _added(name: str, attributes: JsonObject, record: JsonObject) -> Iterator[JsonObject]:
    """Attributes that say in a span's words what the event's name says."""
    kind = _KINDS.get(name)
    if kind and "openinference.span.kind" not in attributes:
        yield {"key": "openinference.span.kind", "value": {"stringValue": kind}}
    if kind and name.startswith("claude_code.") and "span.type" not in attributes:
        yield {"key": "span.type", "value": {"stringValue": _CLAUDE_SPAN_TYPES[kind]}}
    body = record.get("body")
    if isinstance(body, dict) and _text(body) != name and not _message_fields(name, record):
        yield {"key": "event.body", "value": body}


def _message_events(name: str, record: JsonObject, time: str) -> list[JsonValue]:
    """The message in the body of a GenAI event, as a span event holds it."""
    fields = _message_fields(name, record)
    return [{"name": name, "timeUnixNano": time, "attributes": fields}] if fields else []


def _message_fields(name: str, record: JsonObject) -> list[JsonValue]:
    return _fields_of_body(record.get("body")) if name.startswith("gen_ai.") else []


def _fields_of_body(body: JsonValue) -> list[JsonValue]:
    """The pairs of a map; empty for any other value."""
    values = body.get("kvlistValue") if isinstance(body, dict) else None
    fields = values.get("values") if isinstance(values, dict) else None
    return fields if isinstance(fields, list) else []


def _status(record: JsonObject, attributes: JsonObject) -> JsonObject:
    reason = _text(attributes.get("error")) or _text(attributes.get("error.message"))
    has_failed = (
        bool(reason)
        or _integer(record.get("severityNumber")) >= _SEVERITY_ERROR
        or _text(attributes.get("success")).lower() == "false"
    )
    return {"code": _STATUS_ERROR, "message": reason} if has_failed else {}


def _valid_ids(record: JsonObject) -> tuple[str, str]:
    """Trace and span id of the record; both ``""`` unless it has a valid trace."""
    trace_id, span_id = (record.get(key) for key in _ID_KEYS)
    if not isinstance(trace_id, str) or not _TRACE_ID.fullmatch(trace_id):
        return "", ""
    is_span_id = isinstance(span_id, str) and _SPAN_ID.fullmatch(span_id)
    return trace_id, cast("str", span_id) if is_span_id else ""


def _digest(content: bytes, purpose: str, *, digits: int) -> str:
    return hashlib.sha256(purpose.encode() + b"\0" + content).hexdigest()[:digits]


def _objects(parent: JsonObject, key: str) -> Iterator[JsonObject]:
    items = parent.get(key)
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def _scalar(value: JsonValue) -> JsonValue:
    """What stands inside an AnyValue; None for lists, maps and nothing."""
    if not isinstance(value, dict):
        return None
    return next(
        (
            value[key]
            for key in ("stringValue", "intValue", "doubleValue", "boolValue")
            if key in value
        ),
        None,
    )


def _text(value: JsonValue) -> str:
    scalar = _scalar(value)
    return "" if scalar is None else str(scalar)


def _integer(value: JsonValue) -> int:
    """A number or its text, cut to the range of a time; 0 for anything else."""
    try:
        number = int(float(value)) if isinstance(value, str) and "." in value else int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    return min(max(number, 0), _MAX_UNIX_NS)
