"""
Telling a sender that it posted another signal than the path takes.

The three export requests share their outer field numbers, so metrics and logs may parse
as traces, with names for ids and zero for times. What a request is, its first records
tell: they are looked at one by one, so that asking costs little, however large it is.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.errors import DecodeError
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.otlp_wire import MalformedError, fields

TRACES: Final = "traces"
METRICS: Final = "metrics"
LOGS: Final = "logs"

_JSON_KEYS: Final = {
    TRACES: ("resourceSpans", "resource_spans"),
    METRICS: ("resourceMetrics", "resource_metrics"),
    LOGS: ("resourceLogs", "resource_logs"),
}
_FIRST_JSON_KEY: Final = re.compile(rb'\s{0,100}\{\s{0,100}"(\w{1,100})"')
_EARLIEST_UNIX_NS: Final = 946_684_800 * 10**9
"""The year 2000: bytes that are no times rarely give a later one."""

_ENCODED_VALUE_TAGS: Final = ("\x0a", "\x32", "\x2a")
_RESOURCES, _SCOPES, _RECORDS = 0x0A, 0x12, 0x12
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_LOOKED_AT: Final = 100
_LOOKED_AT_BYTES: Final = 4 * 1024 * 1024
_MAX_RECORD_BYTES: Final = 1024 * 1024


def hint(signal: str, path: str = TRACES) -> str:
    """What to tell a sender whose *signal* came in on the path of another one."""
    name = signal.upper()
    remedy = (
        "send them to /v1/traces"
        if signal == TRACES
        else f"set OTEL_EXPORTER_OTLP_{name}_ENDPOINT, or turn them off with "
        f"OTEL_{name}_EXPORTER=none"
    )
    return f"this looks like OTLP {signal} on the {path} path: {remedy}"


def hint_of_json(request: JsonObject, path: str = TRACES) -> str:
    """The hint for a JSON request that holds another signal than *path*; ``""`` for none."""
    for signal, keys in _JSON_KEYS.items():
        if signal != path and any(key in request for key in keys):
            return hint(signal, path)
    return ""


def refuse_foreign_json(body: bytes, path: str = TRACES) -> None:
    """
    Refuse a JSON request, by its first key, that holds another signal than *path*.

    Raises:
        DecodeError: It does; the message is the hint.
    """
    if first := _FIRST_JSON_KEY.match(body):
        _refuse(len(body), hint_of_json({first[1].decode("ascii", "replace"): None}, path), path)


def may_be_foreign(span_name: str) -> bool:
    """Whether a span without times and with this name may be a metric or a log record."""
    return not span_name or span_name.startswith(_ENCODED_VALUE_TAGS)


def refuse_foreign(body: bytes, path: str = TRACES) -> None:
    """
    Refuse a protobuf request that holds another signal than *path*.

    Raises:
        DecodeError: *body* is one of them; the message is the hint.
    """
    records = list(_first_records(body))
    for signal, is_signal in _RECOGNISED.items():
        if signal != path and any(map(is_signal, records)):
            _refuse(len(body), hint(signal, path), path)


def _refuse(size_bytes: int, reason: str, path: str) -> None:
    if reason:
        raise DecodeError(
            f"cannot decode {size_bytes} bytes as OTLP {path}: {reason}",
            hint="halo-daemon stores traces",
        )


def _first_records(body: bytes) -> Iterator[bytes]:
    """The first metrics, log records or spans of a request, without what is very large."""
    left_bytes = _LOOKED_AT_BYTES
    with suppress(MalformedError):
        for record in islice(_fields_to_records(body), _LOOKED_AT):
            if record and len(record) <= left_bytes:
                left_bytes -= len(record)
                yield record


def _fields_to_records(body: bytes) -> Iterator[bytes | None]:
    """Each record; None for each other field on the way, so that these are bounded, too."""
    for resource in fields(body):
        yield None
        if resource.tag != _RESOURCES:
            continue
        for scope in fields(body, resource.content, resource.end):
            yield None
            if scope.tag != _SCOPES:
                continue
            for record in fields(body, scope.content, scope.end):
                size_bytes = record.end - record.content
                is_one = record.tag == _RECORDS and size_bytes <= _MAX_RECORD_BYTES
                yield body[record.content : record.end] if is_one else None


def _is_span(record: bytes) -> bool:
    try:
        span = Span.FromString(record)
    except ProtobufDecodeError:
        return False
    return (
        len(span.trace_id) == _TRACE_ID_BYTES
        and len(span.span_id) == _SPAN_ID_BYTES
        and max(span.start_time_unix_nano, span.end_time_unix_nano) > _EARLIEST_UNIX_NS
    )


def _is_metric(record: bytes) -> bool:
    try:
        metric = Metric.FromString(record)
    except ProtobufDecodeError:
        return False
    data = metric.WhichOneof("data")
    return (
        bool(metric.name)
        and data is not None
        and any(
            point.time_unix_nano > _EARLIEST_UNIX_NS for point in getattr(metric, data).data_points
        )
    )


def _is_log_record(record: bytes) -> bool:
    try:
        found = LogRecord.FromString(record)
    except ProtobufDecodeError:
        return False
    return max(found.time_unix_nano, found.observed_time_unix_nano) > _EARLIEST_UNIX_NS


_RECOGNISED: Final[dict[str, Callable[[bytes], bool]]] = {
    TRACES: _is_span,
    METRICS: _is_metric,
    LOGS: _is_log_record,
}
