"""Model calls made with a provider's own client under the instrumentations in use."""

import json
import subprocess
import time
from typing import Any

import pytest

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
    spans = _read(receiver, "called")
    cases = {span["span_id"]: span["name"] for span in spans if not span["parent_span_id"]}
    calls = {cases[span["parent_span_id"]]: span for span in spans if span["parent_span_id"]}
    assert len(spans) == 2 * len(_SCRIPT) == 2 * len(calls)
    return calls


def _read(receiver, project: str) -> list[dict[str, Any]]:
    """The spans as readers see them, without the records that are told of them."""
    reader = LocalTraceReader(receiver.data, project, settle_s=0, now_unix_ns=time.time_ns)
    return [
        span.fields
        for trace in reader.iter_traces(Window(0, 2**62))
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
