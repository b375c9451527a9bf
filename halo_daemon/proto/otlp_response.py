"""
Answers to OTLP export requests, in protobuf and in JSON.

The bytes and the JSON of one answer say the same; which one is sent follows the
encoding of the request.
"""

from typing import Final, NamedTuple

import orjson
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.line import trimmed_message

_TYPE_PREFIX: Final = "type.googleapis.com/"
_UNNAMED: Final = "the request was refused"


class Answer(NamedTuple):
    """One answer in both encodings."""

    protobuf: bytes
    json: bytes


EMPTY: Final = Answer(b"", b"{}")
"""Success with nothing to say: `partial_success` is not set."""


def export_response(rejected_spans: int, error_message: str) -> Answer:
    """
    Answer a trace export request that was taken.

    Args:
        rejected_spans: Spans that were refused for good.
        error_message: Why, or a warning when none was refused; cut to 1 KiB.

    Returns:
        `EMPTY` when there is nothing to say.
    """
    if not rejected_spans and not error_message:
        return EMPTY
    message = trimmed_message(error_message)
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected_spans
    response.partial_success.error_message = message
    return _partial(response.SerializeToString(), "rejectedSpans", rejected_spans, message)


def export_logs_response(rejected_log_records: int, error_message: str) -> Answer:
    """Answer a logs export request, as `export_response` does for traces."""
    if not rejected_log_records and not error_message:
        return EMPTY
    message = trimmed_message(error_message)
    response = ExportLogsServiceResponse()
    response.partial_success.rejected_log_records = rejected_log_records
    response.partial_success.error_message = message
    return _partial(
        response.SerializeToString(), "rejectedLogRecords", rejected_log_records, message
    )


def export_metrics_response(rejected_data_points: int, error_message: str) -> Answer:
    """Answer a metrics export request, as `export_response` does for traces."""
    if not rejected_data_points and not error_message:
        return EMPTY
    message = trimmed_message(error_message)
    response = ExportMetricsServiceResponse()
    response.partial_success.rejected_data_points = rejected_data_points
    response.partial_success.error_message = message
    return _partial(
        response.SerializeToString(), "rejectedDataPoints", rejected_data_points, message
    )


def status_body(
    code: int, message: str, *, retry_delay_s: int | None = None, bad_request: bool = False
) -> Answer:
    """
    Build the `google.rpc.Status` that every refusal carries.

    Args:
        code: The gRPC status code, in both encodings.
        message: What went wrong; never sent empty, cut to 1 KiB.
        retry_delay_s: Whole seconds to wait; None when resending cannot help.
        bad_request: Whether the request itself is at fault (`google.rpc.BadRequest`).
    """
    text = trimmed_message(message) or _UNNAMED
    status = Status(code=code, message=text)
    details: list[JsonObject] = []
    if retry_delay_s is not None:
        status.details.append(_packed(_retry(retry_delay_s)))
        details.append(_typed(RetryInfo, {"retryDelay": f"{retry_delay_s}s"}))
    if bad_request:
        violation = BadRequest.FieldViolation(description=text)
        status.details.append(_packed(BadRequest(field_violations=[violation])))
        details.append(_typed(BadRequest, {"fieldViolations": [{"description": text}]}))
    body: JsonObject = {"code": code, "message": text}
    if details:
        body["details"] = [*details]
    return Answer(status.SerializeToString(), orjson.dumps(body))


def retry_info(retry_delay_s: int) -> bytes:
    """Serialise a `google.rpc.RetryInfo` for the trailer `google.rpc.retryinfo-bin`."""
    serialised: bytes = _retry(retry_delay_s).SerializeToString()
    return serialised


def _partial(protobuf: bytes, count_name: str, count: int, message: str) -> Answer:
    fields: JsonObject = {}
    if count:
        # 64-bit integers are text in protobuf's JSON.
        fields[count_name] = str(count)
    if message:
        fields["errorMessage"] = message
    return Answer(protobuf, orjson.dumps({"partialSuccess": fields}))


def _retry(retry_delay_s: int) -> RetryInfo:
    return RetryInfo(retry_delay=Duration(seconds=retry_delay_s))


def _packed(detail: RetryInfo | BadRequest) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed


def _typed(message: type[RetryInfo | BadRequest], fields: JsonObject) -> JsonObject:
    return {"@type": _TYPE_PREFIX + message.DESCRIPTOR.full_name, **fields}
