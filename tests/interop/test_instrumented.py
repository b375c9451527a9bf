"""Model calls made with a provider's own client under the instrumentations in use."""

import json
import subprocess
import time
from typing import Any

import pytest

from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.proto.span import Span
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import error, ok
from tests.interop.conftest import HERE

_INSTRUMENTATIONS = ["openinference", "openllmetry", "otel"]
_TELLS_CACHED = {"openinference", "openllmetry"}
_KINDS = ["http", "grpc"]
_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 17,
    "total_tokens": 137,
    "prompt_tokens_details": {"cached_tokens": 64},
}
_ANSWER = ok("Sunny, 21 °C.", usage=_USAGE)
_TOOL = ok("", ("weather", {"city": "Zürich"}), usage=_USAGE)
_OUT = "the model is out"
_SCRIPT = [_ANSWER, _TOOL, _ANSWER, _TOOL, error(500, _OUT), error(429, _OUT)]
_SENT = "llm.input_messages."
_GOT = "llm.output_messages.0.message."
_CALL = f"{_GOT}tool_calls.0.tool_call."


def _calls(python, instrumentation: str, kind: str, receiver) -> dict[str, dict[str, Any]]:
    """The span of each model call, by the name of its case."""
    url = (
        f"http://{receiver.grpc_address}"
        if kind == "grpc"
        else f"http://{receiver.http_address}/v1/traces"
    )
    with ScriptedModelServer(_SCRIPT) as model:
        sent = subprocess.run(
            [python, HERE / "python/call.py", instrumentation, kind, url, model.base_url, "called"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert sent.returncode == 0, sent.stderr
        model.finish()
    spans: list[dict[str, Any]] = [dict(span.fields) for span in _read(receiver, "called")]
    cases = {span["span_id"]: span["name"] for span in spans if not span["parent_span_id"]}
    calls = {cases[span["parent_span_id"]]: span for span in spans if span["parent_span_id"]}
    assert len(spans) == 2 * len(_SCRIPT) == 2 * len(calls)
    return calls


def _reader(receiver, project: str) -> LocalTraceReader:
    return LocalTraceReader(receiver.data, project, settle_s=0, now_unix_ns=time.time_ns)


def _read(receiver, project: str) -> list[Span]:
    """The spans as readers see them, without the records that are told of them."""
    return [
        span
        for trace in _reader(receiver, project).iter_traces(Window(0, 2**62))
        for span in trace.spans
        if "halo.event_of_span" not in span.attributes
    ]


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("instrumentation", _INSTRUMENTATIONS)
def test_what_a_model_was_asked_and_answered_is_found_in_one_convention(
    instrumented_python, receiver, instrumentation, kind
):
    """Whatever the instrumentation calls them, the fields of a model call are the same."""
    calls = _calls(instrumented_python, instrumentation, kind, receiver)

    for case, span in calls.items():
        fields = span["attributes"]
        assert fields["inference.observation_kind"] == "LLM", case
        assert fields["inference.llm.provider"] == "openai", case
        assert fields["inference.llm.model_name"] == "gpt-scripted", case
        assert fields[f"{_SENT}0.message.role"] == "system", case
        assert fields[f"{_SENT}0.message.content"] == "Be brief.", case
        assert fields[f"{_SENT}1.message.role"] == "user", case
        assert fields[f"{_SENT}1.message.content"] == "Weather in Zürich?", case
    for case in ("answer", "tool", "answer-stream", "tool-stream"):
        fields = calls[case]["attributes"]
        assert fields["inference.llm.input_tokens"] == 120, case
        assert fields["inference.llm.output_tokens"] == 17, case
        cached = 64 if instrumentation in _TELLS_CACHED else None
        assert fields["inference.llm.cached_input_tokens"] == cached, case
        assert fields[f"{_GOT}role"] == "assistant", case
        assert calls[case]["status"]["code"] != "STATUS_CODE_ERROR", case
    for case in ("answer", "answer-stream"):
        assert calls[case]["attributes"][f"{_GOT}content"] == "Sunny, 21 °C.", case
    for case in ("tool", "tool-stream"):
        fields = calls[case]["attributes"]
        assert fields[f"{_CALL}id"] == "call_0", case
        assert fields[f"{_CALL}function.name"] == "weather", case
        assert json.loads(fields[f"{_CALL}function.arguments"]) == {"city": "Zürich"}, case
    for case in ("error", "limit"):
        assert calls[case]["status"]["code"] == "STATUS_CODE_ERROR", case
        assert _OUT in json.dumps(calls[case]["status"]), case


_RUNS = 4
_FAILURE = "station 17 of Zürich does not answer"
_AGENTS = [
    *(("chat", instrumentation) for instrumentation in _INSTRUMENTATIONS),
    ("responses", "openinference"),
    ("responses", "openllmetry"),
]


@pytest.mark.parametrize("form", ["together", "apart"])
@pytest.mark.parametrize(("api", "instrumentation"), _AGENTS)
def test_a_tool_that_fails_is_found_where_only_the_client_is_instrumented(
    instrumented_python, receiver, api, instrumentation, form
):
    """Once a run, by the message that says so, with the call that was asked for; no span is a tool."""
    project = f"{api}-{instrumentation}-{form}"
    url = f"http://{receiver.http_address}/v1/traces"
    script = HERE / "python/agent.py"
    with ScriptedModelServer([_TOOL, _ANSWER] * _RUNS) as model:
        sent = subprocess.run(
            [instrumented_python, script, instrumentation, url, model.base_url, project, api, form],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert sent.returncode == 0, sent.stderr
        model.finish()

    report = analyze_window(
        _reader(receiver, project),
        project=project,
        window=Window(0, 2**62),
        run=RunInfo("r_1", "run_1", time.time_ns()),
    )

    spans = _read(receiver, project)
    assert {span.observation_kind for span in spans} <= {"LLM", "SPAN"}
    (finding,) = [one for one in report.findings if "tool_error" in one.source]
    assert finding.fingerprint.parts[2] == "weather"
    assert (finding.counts.affected_traces, finding.counts.eligible_traces) == (_RUNS, _RUNS)
    assert finding.verified
    symptom = finding.evidence[0]
    assert _FAILURE in symptom.quote
    assert symptom.attribute.startswith(_SENT)
    decisions = [row for row in finding.evidence if row.role == "decision"]
    # OpenLLMetry sends no span of a response that is nothing but a call.
    asked = any(f"{_CALL}id" in span.attributes for span in spans)
    assert bool(decisions) == (form == "together" and asked)
    (lost,) = [row for row in report.data_quality if row.code == "missing_tool_span"]
    assert (lost.count, lost.of) == (_RUNS, _RUNS)
