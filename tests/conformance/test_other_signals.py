"""Rows C63 to C68: signals that are not traces."""

import json

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from tests.conformance.receiver import JSON, LOGS_EXPORT, METRICS_EXPORT
from tests.conformance.requests import START_UNIX_NS, t1


def _logs(records=3):
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for i in range(records):
        record = scope.log_records.add(time_unix_nano=START_UNIX_NS, severity_text="INFO")
        record.body.string_value = f"line {i}"
    return request.SerializeToString()


def _metrics():
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.sum.data_points.add(as_int=1, time_unix_nano=START_UNIX_NS)
    metric.sum.data_points.add(as_int=2, time_unix_nano=START_UNIX_NS)
    return request.SerializeToString()


def test_c64_logs_over_http_are_told_that_only_traces_are_stored(ours):
    """Logs are taken, counted as refused, and the sender learns which variable to set."""
    answer = ours.post(_logs(), path="/v1/logs")

    success = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, success.rejected_log_records) == (200, 3)
    assert "OTEL_LOGS_EXPORTER=none" in success.error_message


def test_c64_metrics_over_http_are_told_that_only_traces_are_stored(ours):
    """Metrics are taken, counted as refused, and the sender learns which variable to set."""
    answer = ours.post(_metrics(), path="/v1/metrics")

    success = ExportMetricsServiceResponse.FromString(answer.body).partial_success
    assert (answer.status, success.rejected_data_points) == (200, 2)
    assert "OTEL_METRICS_EXPORTER=none" in success.error_message


def test_c64_json_is_answered_in_json(ours):
    """Logs in JSON get the same answer in JSON."""
    record = {"body": {"stringValue": "x"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, record]}]}]}

    answer = ours.post(json.dumps(body).encode(), JSON, path="/v1/logs")

    assert json.loads(answer.body)["partialSuccess"]["rejectedLogRecords"] == "2"


@pytest.mark.parametrize(
    ("method", "body", "response", "count"),
    [
        (LOGS_EXPORT, _logs(), ExportLogsServiceResponse, "rejected_log_records"),
        (METRICS_EXPORT, _metrics(), ExportMetricsServiceResponse, "rejected_data_points"),
    ],
    ids=["logs", "metrics"],
)
def test_c64_over_grpc(ours, method, body, response, count):
    """The services of the other signals answer with a partial success over gRPC too."""
    answer = ours.export(body, method=method)

    success = response.FromString(answer.body).partial_success
    assert answer.code is grpc.StatusCode.OK
    assert getattr(success, count) > 0
    assert "=none" in success.error_message


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_c64_an_empty_request_of_another_signal_says_nothing(receiver, path):
    """Nothing refused is nothing to say."""
    assert receiver.post(b"", path=path).is_empty_success


def test_c65_profiles_are_not_served(receiver):
    """Profiles get 404, and UNIMPLEMENTED over gRPC."""
    method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"

    answer = receiver.post(b"", path="/v1development/profiles")

    assert (answer.status, bool(answer.message)) == (404, True)
    assert receiver.export(b"", method=method).code is grpc.StatusCode.UNIMPLEMENTED


def _hint(answer):
    return answer.message if answer.status == 400 else answer.body.decode("utf-8", "replace")


def test_c66_metrics_on_the_traces_path_are_recognised(ours, project):
    """A metrics body posted as traces stores nothing and says what it looks like."""
    answer = ours.post(_metrics(), project=project)

    assert "metrics" in _hint(answer)
    assert ours.lines(project) == []


@pytest.mark.parametrize("records", [1, 3])
def test_c67_logs_on_the_traces_path_are_recognised(ours, project, records):
    """A logs body posted as traces stores nothing and says what it looks like."""
    answer = ours.post(_logs(records), project=project)

    assert "logs" in _hint(answer)
    assert ours.lines(project) == []


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_c68_traces_on_another_path_are_recognised(ours, path):
    """A traces body on the path of another signal is refused with a hint."""
    answer = ours.post(t1(), path=path)

    assert answer.status == 400
    assert "traces" in answer.message
