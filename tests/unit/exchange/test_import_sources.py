"""Other tools' files: what becomes of each source's records."""

import orjson
import pytest

from halo_daemon.exchange.draft import span_id, trace_id
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.testing.spans import TRACE_ID, span_id_of
from tests.unit.exchange.importing import imported

CLAUDE_CODE = [
    {"type": "summary", "summary": "x", "leafUuid": "1"},
    {
        "type": "user",
        "uuid": "u1",
        "sessionId": "s1",
        "version": "2.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "message": {"role": "user", "content": "list files"},
    },
    {
        "type": "assistant",
        "uuid": "u2",
        "timestamp": "2026-01-01T00:00:01.000Z",
        "message": {
            "id": "m1",
            "model": "claude-x",
            "content": [{"type": "text", "text": "I look"}],
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 5},
        },
    },
    {
        "type": "assistant",
        "uuid": "u3",
        "timestamp": "2026-01-01T00:00:02.000Z",
        "message": {
            "id": "m1",
            "model": "claude-x",
            "content": [{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"cmd": "ls"}}],
            "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "output_tokens": 5},
        },
    },
    {
        "type": "user",
        "uuid": "u4",
        "timestamp": "2026-01-01T00:00:03.000Z",
        "message": {
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "denied"}
            ]
        },
    },
    {
        "type": "user",
        "uuid": "u5",
        "timestamp": "2026-01-01T00:01:00.000Z",
        "message": {"role": "user", "content": "thanks"},
    },
]


async def test_claude_code_sessions_become_a_trace_for_each_question(tmp_path):
    """Usage counts once, calls pair with their results, failures are errors."""
    path = tmp_path / "s1.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(entry) for entry in [*CLAUDE_CODE, CLAUDE_CODE[1]]))

    summary, projects = await imported("claude-code", path)

    assert dict(summary.skipped) == {}
    spans = projects["claude-code"]
    assert [(span.observation_kind, span.name) for span in spans] == [
        ("AGENT", "turn"),
        ("LLM", "claude-x"),
        ("TOOL", "Bash"),
        ("AGENT", "turn"),
    ]
    assert len({span.trace_id for span in spans}) == 2
    assert (spans[1].input_tokens, spans[1].output_tokens) == (13, 5)
    assert spans[2].has_error_status
    assert spans[2].duration_ns == 10**9
    assert {span.session_id for span in spans} == {"s1"}


async def test_codex_rollouts_become_a_trace_for_each_question(tmp_path):
    """Running totals become differences, and calls pair with their outputs."""

    def entry(kind: str, second: int, **payload: object) -> bytes:
        timestamp = f"2026-01-01T00:00:{second:02d}Z"
        return orjson.dumps({"timestamp": timestamp, "type": kind, "payload": payload})

    def text(text: str) -> list[dict[str, str]]:
        return [{"type": "text", "text": text}]

    def usage(total: int) -> dict[str, object]:
        return {"total_token_usage": {"input_tokens": total, "output_tokens": total // 10}}

    path = tmp_path / "rollout.jsonl"
    path.write_bytes(
        b"\n".join(
            [
                entry("session_meta", 0, id="c1", cli_version="1"),
                entry("turn_context", 0, model="gpt-x"),
                entry("response_item", 1, type="message", role="user", content=text("go")),
                entry("response_item", 2, type="message", role="assistant", content=text("ok")),
                entry("event_msg", 2, type="token_count", info=usage(100)),
                entry("response_item", 3, type="function_call", name="sh", call_id="a"),
                entry("response_item", 5, type="function_call_output", call_id="a", output="x"),
                entry("event_msg", 5, type="token_count", info=None),
                entry("response_item", 6, type="message", role="user", content=text("more")),
                entry("response_item", 7, type="message", role="assistant", content=text("yes")),
                entry("event_msg", 7, type="token_count", info=usage(150)),
                b"{torn",
            ]
        )
    )

    summary, projects = await imported("codex", path)

    spans = projects["codex"]
    assert summary.skipped == {"cut off": 1}
    assert [span.observation_kind for span in spans] == ["AGENT", "LLM", "TOOL", "AGENT", "LLM"]
    assert [spans[1].input_tokens, spans[4].input_tokens] == [100, 50]
    assert spans[2].duration_ns == 2 * 10**9
    assert len({span.trace_id for span in spans}) == 2


async def test_phoenix_spans_keep_ids_and_flat_keys(tmp_path):
    """Nested attributes get their dotted keys back; status and parent are kept."""
    path = tmp_path / "spans.json"
    span = {
        "name": "chat",
        "context": {"trace_id": TRACE_ID, "span_id": span_id_of(2)},
        "span_kind": "LLM",
        "parent_id": span_id_of(1),
        "start_time": "2026-01-01T00:00:00.000001+00:00",
        "end_time": "2026-01-01T01:00:00+01:00",
        "status_code": "ERROR",
        "status_message": "boom",
        "attributes": {
            "llm": {"model_name": "m", "input_messages": [{"message": {"role": "user"}}]}
        },
    }
    path.write_bytes(orjson.dumps({"data": [span, {"context": 1}, 7]}))

    summary, projects = await imported("phoenix", path, project="p")

    (found,) = projects["p"]
    assert summary.skipped == {"not a span": 1, "not an object": 1}
    assert (found.trace_id, found.parent_span_id, found.model) == (TRACE_ID, span_id_of(1), "m")
    assert found.attributes["llm.input_messages.0.message.role"] == "user"
    assert found.status_message == "boom"


async def test_langfuse_observations_become_spans(tmp_path):
    """Kinds, usage, cost and errors are mapped; foreign ids are derived and kept."""
    path = tmp_path / "observations.json"
    root = {"id": "o1", "traceId": "t-1", "type": "SPAN", "startTime": "2026-01-01T00:00:00Z"}
    answer = {
        "id": "o2",
        "traceId": "t-1",
        "parentObservationId": "o1",
        "type": "GENERATION",
        "startTime": "2026-01-01T00:00:01Z",
        "endTime": "2026-01-01T00:00:02Z",
        "model": "m",
        "usageDetails": {"input": 7, "output": 2},
        "costDetails": {"total": 0.5},
        "level": "ERROR",
        "statusMessage": "no",
    }
    path.write_bytes(orjson.dumps([answer, root]))

    _, projects = await imported("langfuse", path, project="p")

    first, second = projects["p"]
    assert first.attributes["import.langfuse.trace_id"] == "t-1"
    assert first.attributes["import.time"] == "derived"
    assert first.end_unix_ns == second.end_unix_ns
    assert (second.parent_span_id, second.input_tokens, second.cost_usd) == (first.span_id, 7, 0.5)
    assert second.has_error_status


async def test_openai_agents_traces_get_a_root(tmp_path):
    """A trace object has no times: its span covers those of the trace's spans."""
    path = tmp_path / "agents.jsonl"
    trace = {"object": "trace", "id": "trace_1", "workflow_name": "Flow", "group_id": "g"}
    span = {
        "object": "trace.span",
        "id": "span_1",
        "trace_id": "trace_1",
        "parent_id": None,
        "started_at": "2026-01-01T00:00:01Z",
        "ended_at": "2026-01-01T00:00:03Z",
        "span_data": {"type": "function", "name": "search", "input": "q", "output": "a"},
        "error": {"message": "bad"},
    }
    path.write_bytes(b"\n".join([orjson.dumps(trace), orjson.dumps(span), b'{"object":"x"}']))

    summary, projects = await imported("openai-agents", path)

    root, tool = projects["flow"]
    assert summary.skipped == {"not a span": 1}
    assert (root.observation_kind, root.duration_ns) == ("AGENT", 2 * 10**9)
    assert (tool.tool_name, tool.parent_span_id) == ("search", root.span_id)
    assert tool.has_error_status


async def test_atif_trajectories_become_a_trace(tmp_path):
    """Steps without times follow each other; calls get their observations; copies are left out."""
    path = tmp_path / "run.json"
    steps = [
        {"step_id": 1, "source": "user", "message": "do it", "timestamp": "2026-01-01T00:00:00Z"},
        {
            "step_id": 2,
            "source": "agent",
            "message": "ok",
            "tool_calls": [{"tool_call_id": "c", "function_name": "f", "arguments": {"a": 1}}],
            "observation": {"results": [{"source_call_id": "c", "content": "done"}]},
            "metrics": {"prompt_tokens": 9, "completion_tokens": 1},
        },
        {"step_id": 3, "source": "agent", "message": "old", "is_copied_context": True},
    ]
    agent = {"name": "bot", "version": "1", "model_name": "m"}
    path.write_bytes(orjson.dumps({"schema_version": "ATIF-v1.4", "agent": agent, "steps": steps}))

    _, projects = await imported("atif", path)

    root, asked, answered, called = projects["bot"]
    assert [span.observation_kind for span in (root, asked, answered, called)] == [
        "AGENT",
        "CHAIN",
        "LLM",
        "TOOL",
    ]
    assert answered.start_unix_ns > asked.start_unix_ns
    assert (answered.input_tokens, called.text("output.value")) == (9, "done")


async def test_langsmith_runs_go_to_their_own_projects(tmp_path):
    """A run's `session_name` is its project; without one it is the file's name."""
    root = "11111111-1111-4111-8111-11111111111"
    runs = [
        {"id": f"{root}{number}", "trace_id": f"{root}{number}", "dotted_order": "x", "name": "r",
         "run_type": "chain", "start_time": "2026-09-01T00:00:00", "session_name": name}
        for number, name in enumerate(("bot", "shop", None))
    ]  # fmt: skip
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, runs)))

    summary, _ = await imported("langsmith", path)

    assert summary.projects == {"bot": 1, "shop": 1, "runs": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:00.5+01:00", 5 * 10**8),
        ("1970-01-01 00:00:00.123456789", 123456789),
        ("1970-01-01T00:00:00,1234567891Z", 123456789),
        ("1969-01-01T00:00:00Z", 0),
        ("soon", None),
        ("1970-13-01T00:00:00Z", None),
        (5, None),
        (None, None),
    ],
)
def test_times_keep_all_their_digits(text, expected):
    """ISO text in any zone becomes nanoseconds, without a float in between."""
    assert iso_unix_ns(text) == expected


def test_ids_are_kept_or_derived():
    """Ids of the right form stay; others are derived alike each time; zeros are no ids."""
    assert trace_id("s", TRACE_ID.upper()) == TRACE_ID
    assert trace_id("s", "x") == trace_id("s", "x") != trace_id("t", "x")
    assert trace_id("s", "0" * 32) != "0" * 32
    assert span_id("s", TRACE_ID, "x") != span_id("s", "other", "x")
