"""
Telling a sender that it posted another signal than traces.

The three export requests share their outer field numbers, so metrics and logs may parse
as traces, with names for ids and zero for times.
"""

from typing import Final

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from halo_daemon.errors import DecodeError
from halo_daemon.proto.json_value import JsonObject

METRICS: Final = "metrics"
LOGS: Final = "logs"

_JSON_KEYS: Final = {
    METRICS: ("resourceMetrics", "resource_metrics"),
    LOGS: ("resourceLogs", "resource_logs"),
}
_EARLIEST_UNIX_NS: Final = 946_684_800 * 10**9
"""The year 2000: bytes that are no times rarely give a later one."""

_ENCODED_VALUE_TAGS: Final = ("\x0a", "\x32", "\x2a")


def hint(signal: str) -> str:
    """What to tell a sender whose traces are *signal*."""
    name = signal.upper()
    return (
        f"this looks like OTLP {signal} on the traces path: set "
        f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT, or turn them off with OTEL_{name}_EXPORTER=none"
    )


def hint_of_json(request: JsonObject) -> str:
    """The hint for a JSON request that holds another signal; ``""`` for none."""
    for signal, keys in _JSON_KEYS.items():
        if any(key in request for key in keys):
            return hint(signal)
    return ""


def may_be_foreign(span_name: str) -> bool:
    """Whether a span without times and with this name may be a metric or a log record."""
    return not span_name or span_name.startswith(_ENCODED_VALUE_TAGS)


def refuse_foreign(body: bytes) -> None:
    """
    Refuse a protobuf request that is metrics or logs.

    Raises:
        DecodeError: *body* is one of them; the message is the hint.
    """
    for signal, is_signal in ((METRICS, _is_metrics), (LOGS, _is_logs)):
        if is_signal(body):
            raise DecodeError(
                f"cannot decode {len(body)} bytes as OTLP traces: {hint(signal)}",
                hint="halo-daemon stores traces",
            )


def _is_metrics(body: bytes) -> bool:
    try:
        request = ExportMetricsServiceRequest.FromString(body)
    except ProtobufDecodeError:
        return False
    return any(
        metric.name and _has_timed_point(metric)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def _has_timed_point(metric: Metric) -> bool:
    data = metric.WhichOneof("data")
    return data is not None and any(
        point.time_unix_nano > _EARLIEST_UNIX_NS for point in getattr(metric, data).data_points
    )


def _is_logs(body: bytes) -> bool:
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except ProtobufDecodeError:
        return False
    return any(
        max(record.time_unix_nano, record.observed_time_unix_nano) > _EARLIEST_UNIX_NS
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    )
