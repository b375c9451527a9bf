"""Files as other versions of the tools write them: side chains, forks, exports to a bucket."""

from typing import Any

import orjson
import pytest

from halo_daemon.exchange.recognise import recognise
from tests.unit.exchange.importing import imported


def said(uuid: str, before: str | None, content: object, **more: object) -> dict[str, Any]:
    """A user's line of Claude Code."""
    message = {"role": "user", "content": content}
    return {"type": "user", "uuid": uuid, "parentUuid": before, "message": message, **more}


def answered(uuid: str, before: str, *blocks: dict[str, Any], **more: object) -> dict[str, Any]:
    """A line of a model's answer."""
    message = {"id": f"m-{uuid}", "model": "claude-x", "content": list(blocks)}
    return {"type": "assistant", "uuid": uuid, "parentUuid": before, "message": message, **more}


def text(words: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": words}


def call(call_id: str) -> dict[str, Any]:
    """A block that calls a sub-agent."""
    return {"type": "tool_use", "id": call_id, "name": "Task", "input": {}}


def result(call_id: str, words: str) -> list[dict[str, Any]]:
    """What a call gave."""
    return [{"type": "tool_result", "tool_use_id": call_id, "content": words}]


async def turns_of(tmp_path, entries: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The outputs of the spans of each trace, by the question, of a session in that order."""
    for second, entry in enumerate(entries):
        entry["timestamp"] = f"2026-01-01T00:00:{second:02d}Z"
    path = tmp_path / "s1.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, entries)))
    summary, projects = await imported("claude-code", path)
    assert dict(summary.skipped) == {}
    spans = projects["claude-code"]
    questions = {span.trace_id: span.text("input.value") for span in spans if span.name == "turn"}
    return {
        question: [
            s.text("output.value") for s in spans if s.trace_id == trace and s.name != "turn"
        ]
        for trace, question in questions.items()
    }


async def test_side_chains_between_the_lines_of_a_session_are_traces_of_their_own(tmp_path):
    """Two sub-agents that work at once keep apart, and the session goes on behind them."""
    side = {"isSidechain": True}
    entries = [
        said("u1", None, "do both"),
        answered("u2", "u1", call("t1"), call("t2")),
        said("a1", None, "first job", **side),
        said("b1", "u2", "second job", **side),
        answered("a2", "a1", text("first done"), **side),
        {"type": "progress", "uuid": "b2", "parentUuid": "b1", **side},
        answered("b3", "b2", text("second done"), **side),
        said("u3", "u2", result("t1", "one")),
        said("u4", "u3", result("t2", "two")),
        answered("u5", "u4", text("all done")),
    ]

    assert await turns_of(tmp_path, entries) == {
        "do both": ["", "one", "two", "all done"],
        "first job": ["first done"],
        "second job": ["second done"],
    }


@pytest.mark.parametrize(
    "told",
    [
        said("u4", "u3", "Base directory for this skill: /x", isMeta=True),
        said("u4", "u3", [text("This session is continued")], isCompactSummary=True),
        said("u4", "u3", "<local-command-stdout>ok</local-command-stdout>"),
    ],
)
async def test_what_the_program_says_in_the_users_place_begins_no_trace(tmp_path, told):
    """A skill's text, a summary or a command's output belongs to the turn under way."""
    entries = [
        said("u1", None, "go"),
        answered("u2", "u1", call("t1")),
        said("u3", "u2", result("t1", "Launching skill")),
        told,
        answered("u5", "u4", text("done")),
        said("u6", "u5", "thanks"),
    ]

    assert await turns_of(tmp_path, entries) == {
        "go": ["", "Launching skill", "done"],
        "thanks": [],
    }


async def test_an_interruption_ends_the_turn_and_begins_none(tmp_path):
    """The turn that the user stopped says so."""
    path = tmp_path / "s1.jsonl"
    entries = [said("u1", None, "go"), said("u2", "u1", [text("[Request interrupted by user]")])]
    path.write_bytes(b"\n".join(map(orjson.dumps, entries)))

    _, projects = await imported("claude-code", path)

    (turn,) = projects["claude-code"]
    assert turn.attributes["import.claude-code.aborted"] == "interrupted"


async def test_what_nobody_asked_is_a_trace_only_where_it_was_answered(tmp_path):
    """A caveat alone leaves nothing; a command whose text is all there is keeps its answer."""
    caveat = said("u1", None, "Caveat: made by local commands", isMeta=True)
    entries = [caveat, said("u2", "u1", "go"), answered("u3", "u2", text("done"))]
    assert await turns_of(tmp_path, entries) == {"go": ["done"]}

    entries = [said("u4", None, "Review it", isMeta=True), answered("u5", "u4", text("good"))]
    assert await turns_of(tmp_path, entries) == {"Review it": ["good"]}


async def test_a_forked_codex_session_keeps_an_id_of_its_own(tmp_path):
    """The meta line that a fork repeats from its source does not give it the source's turns."""

    def session(*ids: str) -> bytes:
        metas = [{"type": "session_meta", "payload": {"id": one}} for one in ids]
        message = {"type": "message", "role": "user", "content": [text(ids[0])]}
        asked = [{"type": "response_item", "payload": message}]
        return b"\n".join(
            orjson.dumps({"timestamp": "2026-01-01T00:00:00Z", **line}) for line in metas + asked
        )

    (tmp_path / "source.jsonl").write_bytes(session("c1"))
    (tmp_path / "fork.jsonl").write_bytes(session("c2", "c1"))

    _, source = await imported("codex", tmp_path / "source.jsonl")
    _, fork = await imported("codex", tmp_path / "fork.jsonl")

    assert source["codex"][0].trace_id != fork["codex"][0].trace_id
    assert (source["codex"][0].session_id, fork["codex"][0].session_id) == ("c1", "c2")


async def test_langfuse_exports_to_a_bucket_are_read(tmp_path):
    """Keys in snake_case, times without a zone, usage and trace fields are as in the API."""
    row = {
        "id": "o2",
        "trace_id": "t-1",
        "project_id": "p1",
        "parent_observation_id": "o1",
        "type": "GENERATION",
        "start_time": "2026-01-01 00:00:01.000000",
        "end_time": "2026-01-01 00:00:02.500000",
        "level": "ERROR",
        "status_message": "no",
        "provided_model_name": "m",
        "usage_details": {"input": 7, "output": 2},
        "cost_details": {"total": 0.5},
        "user_id": "u",
        "session_id": "s",
    }
    path = tmp_path / "observations.jsonl"
    path.write_bytes(orjson.dumps(row) + b"\n")

    assert recognise(path.read_bytes()) == "langfuse"
    summary, projects = await imported("langfuse", path, project="p")

    (span,) = projects["p"]
    assert dict(summary.skipped) == {}
    assert (span.observation_kind, span.model, span.input_tokens) == ("LLM", "m", 7)
    assert (span.cost_usd, span.duration_ns, span.status_message) == (0.5, 1_500_000_000, "no")
    assert (span.session_id, span.user_id) == ("s", "u")
    assert span.attributes["import.langfuse.projectId"] == "p1"


@pytest.mark.parametrize("wraps", [lambda run: run, lambda run: {"runs": [run]}])
async def test_langsmith_runs_inside_their_parents_are_spans(tmp_path, wraps):
    """Runs that were loaded with their children lose none, however deep."""
    ids = [f"11111111-1111-4111-8111-11111111111{digit}" for digit in range(3)]
    common = {"run_type": "chain", "start_time": "2026-09-01T00:00:00", "dotted_order": "x"}
    leaf = {"id": ids[2], "name": "leaf", **common}
    middle = {"id": ids[1], "name": "middle", "child_runs": [leaf], **common}
    root = {"id": ids[0], "trace_id": ids[0], "name": "root", "child_runs": [middle, 7], **common}
    path = tmp_path / "run.json"
    path.write_bytes(orjson.dumps(wraps({**root, "session_name": "bot"})))

    summary, projects = await imported("langsmith", path)

    spans = {span.name: span for span in projects["bot"]}
    assert summary.skipped == {"not an object": 1}
    assert len({span.trace_id for span in spans.values()}) == 1
    assert spans["leaf"].parent_span_id == spans["middle"].span_id
    assert spans["middle"].parent_span_id == spans["root"].span_id


async def test_what_an_agents_exporter_sends_at_once_is_read(tmp_path):
    """Traces and spans in `data` are those of lines of their own."""
    span = {
        "object": "trace.span",
        "id": "span_1",
        "trace_id": "trace_1",
        "started_at": "2026-01-01T00:00:01Z",
        "ended_at": "2026-01-01T00:00:03Z",
        "span_data": {"type": "function", "name": "search"},
    }
    trace = {"object": "trace", "id": "trace_1", "workflow_name": "Flow"}
    path = tmp_path / "sent.json"
    path.write_bytes(orjson.dumps({"data": [trace, span]}))

    summary, projects = await imported("openai-agents", path)

    assert dict(summary.skipped) == {}
    assert [found.name for found in projects["flow"]] == ["Flow", "search"]
