"""Counting the data points of OTLP metrics requests."""

from collections.abc import Iterator
from typing import Final

import orjson
from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from halo_daemon.errors import DecodeError
from halo_daemon.proto.json_value import JsonObject, JsonValue

_POINT_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_POINT_KEYS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def count_data_points(body: bytes) -> int:
    """
    How many data points a serialised ``ExportMetricsServiceRequest`` holds.

    Raises:
        DecodeError: *body* is no such request.
    """
    try:
        request = ExportMetricsServiceRequest.FromString(body)
    except ProtobufDecodeError as exc:
        raise DecodeError(
            f"cannot decode {len(body)} bytes as an OTLP metrics request",
            hint="this endpoint takes metrics; traces go to /v1/traces",
        ) from exc
    return sum(
        len(getattr(metric, kind).data_points)
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for kind in _POINT_KINDS
        if metric.HasField(kind)
    )


def count_data_points_json(body: bytes) -> int:
    """
    How many data points a metrics request in OTLP/JSON holds.

    Raises:
        DecodeError: *body* is not a JSON object.
    """
    groups = _objects(_parsed(body), "resourceMetrics")
    scopes = (scope for group in groups for scope in _objects(group, "scopeMetrics"))
    metrics = (metric for scope in scopes for metric in _objects(scope, "metrics"))
    return sum(
        1
        for metric in metrics
        for key in _POINT_KEYS
        if isinstance(kind := metric.get(key), dict)
        for _ in _objects(kind, "dataPoints")
    )


def _parsed(body: bytes) -> JsonObject:
    try:
        request: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise DecodeError(f"cannot decode {len(body)} bytes as JSON: {exc}") from exc
    if not isinstance(request, dict):
        raise DecodeError("cannot decode the request: it is not a JSON object")
    return request


def _objects(parent: JsonObject, key: str) -> Iterator[JsonObject]:
    items = parent.get(key)
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))
