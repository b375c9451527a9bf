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

from tests.conformance.receiver import JSON, LOGS_EXPORT, METRICS_EXPORT, PROTOBUF
from tests.conformance.requests import START_UNIX_NS, json_body, t1


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


def _attribute(key, value):
    kind = "intValue" if isinstance(value, int) else "stringValue"
    return {"key": key, "value": {kind: str(value)}}


def _event(name, *, unix_ns=START_UNIX_NS, ids=None, **attributes):
    pairs = [
        _attribute(key.replace("__", "."), value)
        for key, value in {"session__id": "s-1", "prompt__id": "p-1", **attributes}.items()
    ]
    named = {"key": "event.name", "value": {"stringValue": name}}
    return {"timeUnixNano": str(unix_ns), "attributes": [named, *pairs], **(ids or {})}


def _log_request(*records):
    scope = {"name": "com.anthropic.claude_code.events"}
    return json.dumps(
        {"resourceLogs": [{"scopeLogs": [{"scope": scope, "logRecords": list(records)}]}]}
    ).encode()


def test_c63_events_of_a_coding_agent_become_one_trace(ours, project):
    """The events of one prompt are spans under it, typed and with their tokens."""
    body = _log_request(
        _event("claude_code.user_prompt", prompt="fix it"),
        _event(
            "claude_code.api_request",
            unix_ns=START_UNIX_NS + 10**9,
            model="claude-sonnet-4-5",
            input_tokens=10,
            output_tokens=5,
            duration_ms=500,
        ),
        _event("claude_code.tool_result", tool_name="Bash", success="false", error="exit 1"),
    )

    answers = [ours.post(body, JSON, path="/v1/logs", project=project) for _ in range(2)]

    spans = {span["name"]: span for span in ours.spans(project)}
    prompt, request, tool = (
        spans[f"claude_code.{name}"] for name in ("user_prompt", "api_request", "tool_result")
    )
    assert all(answer.is_empty_success for answer in answers)
    assert len(spans) == 3
    assert len({span["trace_id"] for span in spans.values()}) == 1
    assert (prompt["parent_span_id"], request["parent_span_id"]) == ("", prompt["span_id"])
    assert request["attributes"]["inference.observation_kind"] == "LLM"
    assert request["attributes"]["inference.llm.output_tokens"] == 5
    assert request["start_time"] == "2018-12-13T14:51:00.500000000Z"
    assert tool["attributes"]["inference.observation_kind"] == "TOOL"
    assert tool["status"] == {"code": "STATUS_CODE_ERROR", "message": "exit 1"}


def test_c63_an_event_with_a_trace_is_a_child_of_its_span(ours, project):
    """A record that names a span is joined to it."""
    ids = {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}

    answer = ours.post(
        _log_request(_event("codex.tool_result", ids=ids, tool_name="shell")),
        JSON,
        path="/v1/logs",
        project=project,
    )

    [span] = ours.spans(project)
    assert answer.is_empty_success
    assert (span["trace_id"], span["parent_span_id"]) == (ids["traceId"], ids["spanId"])


def test_c63_events_over_grpc_and_lines_beside_them(ours, project):
    """Over gRPC as well events are stored, and ordinary lines beside them counted as refused."""
    request = ExportLogsServiceRequest.FromString(_logs(2))
    record = (
        request.resource_logs[0]
        .scope_logs[0]
        .log_records.add(
            time_unix_nano=START_UNIX_NS, event_name="gen_ai.client.inference.operation.details"
        )
    )
    record.trace_id, record.span_id = b"\1" * 16, b"\2" * 8

    answer = ours.export(request.SerializeToString(), project=project, method=LOGS_EXPORT)

    [span] = ours.spans(project)
    success = ExportLogsServiceResponse.FromString(answer.body).partial_success
    assert success.rejected_log_records == 2
    assert (span["trace_id"], span["parent_span_id"]) == ("01" * 16, "02" * 8)


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


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_c68_traces_in_json_on_another_path_are_recognised(ours, path):
    """JSON names its signal, so traces on another path are refused by their first key."""
    answer = ours.post(json_body(), JSON, path=path)

    assert answer.status == 400
    assert "/v1/traces" in answer.message


@pytest.mark.parametrize("signal", ["metrics", "logs"])
@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_c66_c67_a_signal_over_the_bounds_still_gets_its_hint(ours, project, signal, media_type):
    """More records than spans are taken: the sender learns the cause, not that it is too large."""
    answer = ours.post(_many(signal, media_type), media_type, project=project)

    assert answer.status == 400
    assert f"OTEL_{signal.upper()}_EXPORTER=none" in answer.message


def _many(signal, media_type):
    """A request of that signal with more small records than there may be spans."""
    if media_type == JSON:
        outer = b"resourceMetrics" if signal == "metrics" else b"resourceLogs"
        return b'{"%s":[%s]}' % (outer, b",".join([b'{"a":[{},{},{}]}'] * 1_000_000))
    return (_metrics() if signal == "metrics" else _logs(1)) * 60_000
