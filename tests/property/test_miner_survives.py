"""Whatever stands in spans, a report is written and no rule crashes."""

import json

import jsonschema
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_junit import render_junit
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.render_sarif import render_sarif
from halo_daemon.analyzer.render_text import render_text
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.waterfall import cited_traces
from halo_daemon.findings import from_json, report_schema, to_json
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import make_span

SCHEMA = jsonschema.Draft202012Validator(report_schema())
KEYS = [
    "input.value", "output.value", "tool.name", "tool.parameters", "tool.id", "error.type",
    "http.status_code", "halo.derived.error", "halo.truncated", "feedback.score", "eval.label",
    "outcome", "gen_ai.response.finish_reasons", "gen_ai.tool.definitions", "finish_reason",
    "llm.invocation_parameters", "gen_ai.request.max_tokens", "gen_ai.request.model",
    "gen_ai.response.model", "llm.tools.0.tool.json_schema", "llm.input_messages.0.message.role",
    "llm.input_messages.0.message.content", "llm.output_messages.0.message.content",
    "llm.output_messages.x.message.tool_calls.y.tool_call.id",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "inference.agent_name", "inference.session_id", "inference.user_id",
    "inference.llm.model_name", "inference.llm.input_tokens", "inference.llm.output_tokens",
    "inference.llm.cost.total", "service.version", "name", "status.message", "events[0].x", "",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        [
            "", " ", "null", "[]", "{}", "{", '{"error": {"message": ["x"]}}', '{"error": 5}',
            '{"a": NaN}', "Error: x", "Exit code 1", "Traceback (most recent call last):",
            "Traceback (most recent call last):\n  x", "due to: due to: ", "'", '"', "`", "<n>",
            "\x00\x1b[31m", "\u202e", "I have booked it.", "https://a.b/c", "sk-" + "a" * 30,
            '{"type": "object", "properties": []}', '[{"name": 3}]', '{"function": {"name": "f"}}',
            '{"function": {"name": "f", "parameters": {"type": "weird", "required": 5}}}',
        ]
    ),
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False), TEXTS,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)  # fmt: skip
IDS = st.sampled_from([f"{n:016x}" for n in range(1, 7)])


@st.composite
def spans(draw):
    """A span with whatever a sender may put into it."""
    start = draw(st.sampled_from([0, 1, 10**9, 2 * 10**9, 2**63, 2**64 - 1]))
    event = {
        "time": "1970-01-01T00:00:00.000000000Z",
        "name": draw(st.sampled_from(["exception", "x", ""])),
        "attributes": draw(
            st.dictionaries(
                st.sampled_from(
                    ["exception.message", "exception.type", "gen_ai.evaluation.score.value"]
                ),
                VALUES,
            )
        ),
    }
    return make_span(
        trace_id=draw(st.sampled_from([f"{n:032x}" for n in (1, 2, 3)])),
        span_id=draw(IDS),
        parent_span_id=draw(st.one_of(st.just(""), IDS)),
        name=draw(TEXTS),
        service_name=draw(TEXTS),
        observation_kind=draw(st.sampled_from(["LLM", "TOOL", "AGENT", "CHAIN", "SPAN", "odd"])),
        start_unix_ns=start,
        end_unix_ns=draw(st.sampled_from([0, 1, start, 3 * 10**9, 2**64 - 1])),
        status_code=draw(
            st.sampled_from(["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"])
        ),
        status_message=draw(TEXTS),
        attributes=draw(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)),
        resource_attributes=draw(st.dictionaries(st.just("service.version"), VALUES)),
        extras={"events": [event]} if draw(st.booleans()) else {},
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(spans(), max_size=14))
def test_no_span_stops_a_report(found):
    """The report is complete, fits its schema, and every rendering of it is written."""
    reader = MemoryReader()
    for span in found:
        reader.add(span, received_unix_ns=1)
    run = RunInfo("r_1", "run_1", 1)

    report = analyze_window(reader, project="p", window=Window(0, 2**62), run=run)

    failed = [
        row
        for rule in report.coverage.rules
        for row in rule.not_checked
        if row.reason == "rule_failed"
    ]
    assert failed == []
    assert report.unverified_claims == ()
    assert report.coverage.examined_traces == len({span.trace_id for span in found})
    SCHEMA.validate(json.loads(to_json(report)))
    assert from_json(to_json(report)) == report
    for render in (render_text, render_markdown, render_junit, render_sarif):
        assert render(report)
    assert render_html(report, cited_traces(report, reader.load_trace))
