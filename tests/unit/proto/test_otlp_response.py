import json

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from halo_daemon.proto.otlp_response import (
    export_logs_response,
    export_metrics_response,
    export_response,
    retry_info,
    status_body,
)

RESPONSES = [
    pytest.param(export_response, ExportTraceServiceResponse, id="traces"),
    pytest.param(export_logs_response, ExportLogsServiceResponse, id="logs"),
    pytest.param(export_metrics_response, ExportMetricsServiceResponse, id="metrics"),
]


@pytest.mark.parametrize(("respond", "_message"), RESPONSES)
def test_success_without_a_word_is_empty(respond, _message):
    """OTLP: `partial_success` is unset when there is nothing to say."""
    assert respond(0, "") == (b"", b"{}")


@pytest.mark.parametrize(("respond", "message"), RESPONSES)
@pytest.mark.parametrize(("rejected", "text"), [(3, "why"), (0, "a warning"), (2, "")])
def test_partial_success_says_the_same_in_both_encodings(respond, message, rejected, text):
    """The JSON is protobuf's own JSON of the same message."""
    answer = respond(rejected, text)

    assert json.loads(answer.json) == MessageToDict(message.FromString(answer.protobuf))


def test_long_messages_are_cut_at_a_character():
    """At most 1 KiB of UTF-8, and never half a character."""
    answer = export_response(1, "ü" * 1000)

    assert json.loads(answer.json)["partialSuccess"]["errorMessage"] == "ü" * 512


@pytest.mark.parametrize(
    ("retry_delay_s", "bad_request"), [(None, False), (2, False), (None, True), (5, True)]
)
def test_a_status_says_the_same_in_both_encodings(retry_delay_s, bad_request):
    """Code, message and details agree; the details are there when asked for."""
    answer = status_body(14, "full", retry_delay_s=retry_delay_s, bad_request=bad_request)

    status = Status.FromString(answer.protobuf)
    kinds = [detail.TypeName() for detail in status.details]
    assert kinds == [
        name
        for name, wanted in (
            (RetryInfo.DESCRIPTOR.full_name, retry_delay_s is not None),
            (BadRequest.DESCRIPTOR.full_name, bad_request),
        )
        if wanted
    ]
    assert json.loads(answer.json) == MessageToDict(status)


def test_a_status_is_never_mute():
    """An empty message is replaced: senders print it."""
    assert json.loads(status_body(3, "").json)["message"]


def test_retry_info_is_the_trailer():
    """The trailer holds the delay in whole seconds."""
    assert RetryInfo.FromString(retry_info(4)).retry_delay.seconds == 4
