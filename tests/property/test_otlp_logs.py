"""Log events as spans: whatever the record, and however it is encoded."""

from hypothesis import example, given, settings, strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.otlp_logs import spans_of_json_logs, spans_of_logs
from halo_daemon.testing.canonical_line import check_lines
from tests.conformance.requests import as_json
from tests.property.test_otlp import (
    ATTRIBUTES,
    SPAN_IDS,
    TEXTS,
    TRACE_IDS,
    UINT32,
    UINT64,
    VALUES,
)
from tests.property.test_otlp_conventions import SCOPES
from tests.unit.proto.decoding import LIMITS, any_value, attribute, project_of

EVENTS = [
    "claude_code.user_prompt", "claude_code.api_request", "claude_code.tool_result",
    "codex.sse_event", "codex.tool_result", "gemini_cli.api_response", "qwen-code.tool_call",
    "gen_ai.user.message", "gen_ai.choice", "gen_ai.client.inference.operation.details",
]  # fmt: skip
KEYS = [
    "event.name", "session.id", "conversation.id", "prompt.id", "duration_ms", "success", "error",
    "error.message", "span.type", "openinference.span.kind", "model", "input_tokens", "tool_name",
]  # fmt: skip
KNOWN = st.one_of(
    st.sampled_from([*EVENTS, "12", "7.5", "true", "false", "1e999", "-3", "nan"]),
    st.integers(-5, 2**63 - 1),
    st.booleans(),
    st.floats(),
    VALUES,
)
BODIES = st.one_of(
    st.none(),
    st.sampled_from(EVENTS),
    st.dictionaries(st.sampled_from(["content", "role", "message", "finish_reason"]), KNOWN),
    VALUES,
)
RECORDS = st.builds(
    lambda pairs, others, body, **fields: LogRecord(
        attributes=[*pairs, *others], body=any_value(body), **fields
    ),
    st.lists(st.builds(attribute, st.sampled_from(KEYS), KNOWN), max_size=6),
    ATTRIBUTES,
    BODIES,
    time_unix_nano=UINT64,
    observed_time_unix_nano=UINT64,
    severity_number=st.integers(0, 24),
    severity_text=TEXTS,
    flags=UINT32,
    trace_id=TRACE_IDS,
    span_id=SPAN_IDS,
    event_name=st.one_of(st.sampled_from(EVENTS), st.just(""), TEXTS),
)
REQUESTS = st.builds(
    lambda records, scope, attributes: ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=attributes),
                scope_logs=[ScopeLogs(scope=InstrumentationScope(name=scope), log_records=records)],
            )
        ]
    ),
    st.lists(RECORDS, max_size=3),
    st.sampled_from(SCOPES),
    ATTRIBUTES,
)


def lines_of(taken):
    """The lines of the spans that a request's records became, as bytes."""
    if not taken.request:
        return b""
    decoded = decode_json(taken.request, project_of=project_of, limits=LIMITS)
    assert decoded.rejected_spans == 0
    for batch in decoded.batches:
        check_lines(batch.lines)
    return b"".join(batch.lines for batch in decoded.batches)


WITH_A_TRACE = ExportLogsServiceRequest()
WITH_A_TRACE.resource_logs.add().scope_logs.add().log_records.add(
    trace_id=b"\xab" * 16, span_id=b"\xcd" * 8, event_name="gen_ai.choice"
)


@given(REQUESTS)
@example(WITH_A_TRACE)
@settings(max_examples=60, deadline=None)
def test_both_encodings_give_the_same_events(request):
    """Each event is a canonical line of valid ids, and the same from protobuf and from JSON."""
    from_protobuf = spans_of_logs(request.SerializeToString(), LIMITS)
    from_json = spans_of_json_logs(as_json(request), LIMITS)

    assert from_protobuf[1:] == from_json[1:]
    assert lines_of(from_protobuf) == lines_of(from_json)
    assert lines_of(from_protobuf).count(b"\n") == from_protobuf.events
