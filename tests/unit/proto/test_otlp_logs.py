"""Log events as spans: what the record says is known of the span."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.otlp_logs import spans_of_json_logs, spans_of_logs
from halo_daemon.testing.canonical_line import check_lines
from tests.conformance.requests import END_UNIX_NS, as_json
from tests.unit.proto.decoding import LIMITS, any_value, attributes, project_of

TRACE_ID, SPAN_ID = b"\1" * 16, b"\2" * 8
ASKED = "llm.input_messages.0.message.content"
SAID = "llm.output_messages.0.message.content"


def stored(name, *, values=None, body=None, scope="app"):
    """The attributes of the span that a record becomes; a child of a span that is known."""
    request = ExportLogsServiceRequest()
    scope_logs = request.resource_logs.add().scope_logs.add()
    scope_logs.scope.name = scope
    scope_logs.log_records.append(
        LogRecord(
            time_unix_nano=END_UNIX_NS,
            event_name=name,
            trace_id=TRACE_ID,
            span_id=SPAN_ID,
            attributes=attributes(values or {}),
            body=None if body is None else any_value(body),
        )
    )
    taken = spans_of_logs(request.SerializeToString(), LIMITS)
    assert (taken.events, taken.others) == (1, 0)
    decoded = decode_json(taken.request, project_of=project_of, limits=LIMITS)
    (line,) = (line for batch in decoded.batches for line in check_lines(batch.lines))
    assert (line["trace_id"], line["parent_span_id"]) == (TRACE_ID.hex(), SPAN_ID.hex())
    return line["attributes"]


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        pytest.param("gen_ai.user.message", {"content": "Hi"}, {ASKED: "Hi"}, id="asked"),
        pytest.param(
            "gen_ai.system.message",
            {"role": "developer", "content": "Be brief."},
            {ASKED: "Be brief.", "llm.input_messages.0.message.role": "system"},
            id="system",
        ),
        pytest.param(
            "gen_ai.tool.message",
            {"id": "1", "content": "42"},
            {ASKED: "42", "llm.input_messages.0.message.tool_call_id": "1"},
            id="tool",
        ),
        pytest.param(
            "gen_ai.choice",
            {"index": 0, "finish_reason": "stop", "message": {"content": "Yes"}},
            {SAID: "Yes", "gen_ai.response.finish_reasons": ["stop"]},
            id="choice",
        ),
        pytest.param(
            "gen_ai.choice",
            {"index": 0, "content": {"role": "model", "parts": [{"text": "Yes"}]}},
            {SAID: "Yes", "llm.output_messages.0.message.role": "assistant"},
            id="choice of Gemini",
        ),
    ],
)
def test_a_message_in_the_body_is_a_message(name, body, expected):
    """One message a record, its fields in the body: OpenTelemetry GenAI 1.28 to 1.36."""
    found = stored(name, body=body)

    assert {key: found.get(key) for key in expected} == expected
    assert "event.body" not in found


def test_all_messages_in_the_attributes_are_messages():
    """One record with all messages as structured values: 1.37 and later."""
    parts = [{"type": "text", "content": "Hi"}]

    found = stored(
        "gen_ai.client.inference.operation.details",
        values={
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.input.messages": [{"role": "user", "parts": parts}],
            "gen_ai.output.messages": [{"role": "assistant", "parts": parts}],
        },
    )

    assert (found[ASKED], found[SAID]) == ("Hi", "Hi")
    assert found["inference.llm.input_tokens"] == 12


def test_a_body_of_text_is_the_message():
    """As some write it, without a role."""
    assert stored("gen_ai.user.message", body="Hi")[ASKED] == "Hi"


def test_an_answer_of_gemini_cli_is_a_model_call():
    """Its log events carry model and tokens without a prefix."""
    found = stored(
        "gemini_cli.api_response",
        values={"model": "m", "input_token_count": 12, "output_token_count": 5},
        scope="gemini-cli",
    )

    assert found["inference.observation_kind"] == "LLM"
    assert found["inference.llm.model_name"] == "m"
    assert found["inference.llm.input_tokens"] == 12


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_messages_of_one_time_keep_the_order_they_came_in(encoding):
    """Clocks of milliseconds stamp all messages of a model call alike; another call's count anew."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number, span_id in enumerate([SPAN_ID] * 5 + [b"\3" * 8]):
        records.add(
            time_unix_nano=END_UNIX_NS,
            event_name="gen_ai.user.message",
            trace_id=TRACE_ID,
            span_id=span_id,
            body=any_value({"content": str(number)}),
        )
    taken = (
        spans_of_logs(request.SerializeToString(), LIMITS)
        if encoding == "protobuf"
        else spans_of_json_logs(as_json(request), LIMITS)
    )
    decoded = decode_json(taken.request, project_of=project_of, limits=LIMITS)

    lines = [line for batch in decoded.batches for line in check_lines(batch.lines)]

    told = sorted(
        (line["parent_span_id"], line["start_time"], line["attributes"][ASKED]) for line in lines
    )
    assert [text for _, _, text in told] == ["0", "1", "2", "3", "4", "5"]
    assert lines[0]["start_time"] == lines[5]["start_time"]
