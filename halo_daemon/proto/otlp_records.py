"""Counting the data points of OTLP metrics requests."""

from collections.abc import Iterator
from typing import Final

import orjson
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric

from halo_daemon.errors import DecodeError
from halo_daemon.proto.batch import DecodeLimits, too_many_parts
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.otlp_json_bounds import check_json_parts
from halo_daemon.proto.otlp_pieces import Run, split_others
from halo_daemon.proto.otlp_signals import (
    METRICS,
    hint_of_json,
    refuse_foreign,
    refuse_foreign_json,
)
from halo_daemon.proto.otlp_wire import LENGTH, MalformedError, fields

_POINT_KEYS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_KIND_TAGS: Final = frozenset(
    field.number << 3 | LENGTH for field in Metric.DESCRIPTOR.oneofs_by_name["data"].fields
)
_POINTS_TAG: Final = Gauge.DESCRIPTOR.fields_by_name["data_points"].number << 3 | LENGTH
"""The same in every kind of metric."""


def count_data_points(body: bytes, limits: DecodeLimits) -> int:
    """
    How many data points a serialised ``ExportMetricsServiceRequest`` holds.

    They are counted on the wire and never parsed.

    Raises:
        DecodeError: *body* is no such request.
        LimitError: It holds more than *limits* allow.
    """
    refuse_foreign(body, METRICS)
    left = limits.max_parts
    points = 0
    try:
        for piece in split_others(body, limits):
            for run in (run for scope in piece.scopes for run in scope.runs):
                for is_point in _fields_of_metrics(body, run):
                    left -= 1
                    if left < 0:
                        raise too_many_parts(limits.max_parts)
                    points += is_point
    except MalformedError as exc:
        raise DecodeError(
            f"cannot decode {len(body)} bytes as an OTLP metrics request",
            hint="this endpoint takes metrics; traces go to /v1/traces",
        ) from exc
    return points


def _fields_of_metrics(body: bytes, run: Run) -> Iterator[bool]:
    """For each field down to the data points, whether it is one."""
    for metric in fields(body, run.start, run.end):
        yield False
        for data in fields(body, metric.content, metric.end):
            yield False
            if data.tag in _KIND_TAGS:
                for point in fields(body, data.content, data.end):
                    yield point.tag == _POINTS_TAG


def count_data_points_json(body: bytes, limits: DecodeLimits) -> int:
    """
    How many data points a metrics request in OTLP/JSON holds.

    Raises:
        DecodeError: *body* is not a JSON object, or one of another signal.
        LimitError: It holds more than *limits* allow.
    """
    groups = _objects(json_request(body, METRICS, limits), "resourceMetrics")
    scopes = (scope for group in groups for scope in _objects(group, "scopeMetrics"))
    metrics = (metric for scope in scopes for metric in _objects(scope, "metrics"))
    return sum(
        1
        for metric in metrics
        for key in _POINT_KEYS
        if isinstance(kind := metric.get(key), dict)
        for _ in _objects(kind, "dataPoints")
    )


def json_request(body: bytes, signal: str, limits: DecodeLimits) -> JsonObject:
    """
    A request in OTLP/JSON, parsed.

    Raises:
        DecodeError: *body* is not a JSON object, or one of another signal than *signal*.
        LimitError: It holds more than *limits* allow.
    """
    refuse_foreign_json(body, signal)
    check_json_parts(body, limits)
    try:
        request: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise DecodeError(f"cannot decode {len(body)} bytes as JSON: {exc}") from exc
    if not isinstance(request, dict):
        raise DecodeError("cannot decode the request: it is not a JSON object")
    if hint := hint_of_json(request, signal):
        raise DecodeError(f"cannot decode {len(body)} bytes as OTLP {signal}: {hint}")
    return request


def _objects(parent: JsonObject, key: str) -> Iterator[JsonObject]:
    items = parent.get(key)
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))
