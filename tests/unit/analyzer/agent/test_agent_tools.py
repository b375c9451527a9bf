import json

import pytest

from halo_daemon.analyzer.agent.messages import Message, Role
from halo_daemon.analyzer.agent.model import ModelRequest
from halo_daemon.analyzer.agent.sandbox import SandboxSettings, why_unavailable
from halo_daemon.analyzer.agent.session import RoleModel, Run, RunEnd, RunModels, RunSettings
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call, calls, say
from halo_daemon.testing.spans import span_id_of, trace_id_of
from tests.unit.analyzer.agent.agents import FakeClock
from tests.unit.analyzer.agent.traces import GOAL_DRIFT, report_of, shop_reader, source_of

FINISH = call("final_answer", answer="Done.")


async def run(*turns, sandbox: bool = False, journal_path=None) -> tuple[RunEnd, list[dict]]:
    """A run that makes *turns*, and the answers of all its tools."""
    script = iter(turns)

    def policy(request: ModelRequest):
        if request.messages[0].content.startswith("You answer a question about a text"):
            return say(f"read {len(request.messages[-1].content)} characters")
        return next(script)

    reader = shop_reader()
    model = ScriptedChatModel(policy)
    settings = RunSettings(sandbox=SandboxSettings(enabled=sandbox), clock=FakeClock().clock)
    made = Run(
        "run-1",
        RunModels.all_by(RoleModel(model, "m")),
        source_of(reader),
        settings,
        rule_findings=report_of(reader).findings,
        journal_path=journal_path,
    )
    end = await made.go([Message(Role.USER, "look")])
    asked = [r for r in model.seen if r.messages[1].content == "look"]
    return end, [json.loads(m.content) for m in asked[-1].messages if m.role is Role.TOOL]


async def test_findings_are_listed_and_read():
    """Rules' findings come with the first request, and can be listed, filtered and read."""
    listed = calls(
        ("get_findings", {}),
        ("get_findings", {"min_severity": "critical"}),
        ("get_findings", {"status": ["resolved"]}),
        ("get_finding", {"finding_id": "F-none"}),
    )
    _, [digest, everything, gravest, resolved, unknown] = await run(listed, FINISH)
    [row] = everything["result"]["findings"]
    _, [*_, whole] = await run(call("get_finding", finding_id=row["finding_id"]), FINISH)

    assert digest["result"]["findings"] == everything["result"]["findings"]
    assert (gravest["result"]["total"], resolved["result"]["total"]) == (0, 0)
    assert "no finding" in unknown["error"]
    assert whole["result"]["counts"]["affected_traces"] == row["affected_traces"]


async def test_findings_of_the_final_answer_are_checked_too(tmp_path):
    """Good ones are kept and journalled, bad ones are told once, then set apart."""
    row = {"trace_id": trace_id_of(2), "span_id": span_id_of(204), "quote": GOAL_DRIFT}
    good = {"title": "The agent drifts from its goal", "evidence": [row]}
    bad = {"title": "The agent never books a thing", "evidence": [row | {"quote": "never said"}]}
    answer = call("final_answer", answer="x", findings=[good, bad, {"title": "no"}],
                  questions=["Is a hotel fine?"], not_looked_at=["the rest"])  # fmt: skip

    end, [_, told] = await run(answer, answer, journal_path=tmp_path / "j.jsonl")

    assert "never said" in told["error"]
    assert "$.title" in told["error"]
    assert [f.title for f in end.book.verified] == [good["title"]]
    assert [f.title for f in end.book.unverified] == [bad["title"]]
    assert end.outcome.questions == ("Is a hotel fine?",)
    assert (tmp_path / "j.jsonl").read_text().count('"type":"finding"') >= 2


async def test_synthesis_answers_in_part():
    """Unknown ids are named; none at all is a mistake (S19)."""
    asked = calls(
        ("synthesize_traces", {"trace_ids": ["none"]}),
        ("get_context_item", {"item_id": "nope"}),
    )
    _, [_, nothing, item] = await run(asked, FINISH)

    assert "none of these traces exists" in nothing["error"]
    assert "no item `nope`" in item["error"]


@pytest.mark.skipif(
    bool(why_unavailable(SandboxSettings())), reason="the [sandbox] extra is not installed"
)
async def test_code_reads_traces_and_asks_the_model():
    """In the sandbox the tools are functions, and `llm_query` is charged to the run (X1, X2)."""
    first = call("run_code", code="n = count_traces()['total']\nrows = query_traces(limit=2)")
    second = call(
        "run_code",
        code="print(n, len(rows['traces']), count_traces({'has_errors': True})['total'])\n"
        "t = view_trace('" + trace_id_of(2) + "')['spans']\n"
        "print(len(t), llm_query('what?', 'x' * 50)[:4])\n"
        "print(llm_query_batched(['a', 'b'])[1][:4])\n"
        "print(view_trace('none')['error'][:8])",
    )
    end, [_, _, answer] = await run(first, second, FINISH, sandbox=True)

    assert answer["stdout"] == "8 2 4\n4 read\nread\nno trace\n"
    assert answer["exit_code"] == 0
    assert "llm_query" in answer["available_functions"]
    assert end.ledger.spent.turns == 6


@pytest.mark.skipif(
    bool(why_unavailable(SandboxSettings())), reason="the [sandbox] extra is not installed"
)
async def test_variables_are_made_again_after_a_resume(tmp_path):
    """A resumed run finds the session as it was when it was killed."""
    path = tmp_path / "j.jsonl"
    await run(call("run_code", code="n = 41"), FINISH, sandbox=True, journal_path=path)
    lines = path.read_bytes().splitlines(keepends=True)
    kept = next(n for n, line in enumerate(lines) if b'"type":"tool_result"' in line) + 1
    path.write_bytes(b"".join(lines[:kept]))

    _, [*_, answer] = await run(
        call("run_code", code="n + 1"), FINISH, sandbox=True, journal_path=path
    )

    assert answer["stdout"] == "42\n"
