import asyncio
import json

from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.messages import Message, Role
from halo_daemon.analyzer.agent.model import ModelRequest
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import RoleModel, Run, RunEnd, RunModels, RunSettings
from halo_daemon.analyzer.agent.tree import TreeSettings
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call, calls
from halo_daemon.testing.spans import span_id_of, trace_id_of
from tests.unit.analyzer.agent.agents import FakeClock
from tests.unit.analyzer.agent.traces import GOAL_DRIFT, shop_reader, source_of

FINISH = call("final_answer", answer="Done.")


async def run(model, *, budget: Budget | None = None, sink=lambda _: None, **tree) -> RunEnd:
    """A run over the shop's traces."""
    settings = RunSettings(
        tree=TreeSettings(**tree),
        budget=budget or Budget(),
        sandbox=SandboxSettings(enabled=False),
        clock=FakeClock().clock,
        emit_extras=True,
    )
    source = source_of(shop_reader())
    made = Run("run-1", RunModels.all_by(RoleModel(model, "m")), source, settings, sink=sink)
    return await made.go([Message(Role.USER, "root task")])


def task_of(request: ModelRequest) -> str:
    """The task of whoever asks."""
    return next(m.content for m in request.messages if m.role is Role.USER)


def last_answers(request: ModelRequest) -> list[dict]:
    """The tool answers of a request."""
    return [json.loads(m.content) for m in request.messages if m.role is Role.TOOL]


def parent_of(children: int, child):
    """A policy: the root starts *children*, each acts by *child*, then it finishes."""

    def policy(request: ModelRequest):
        if task_of(request) != "root task":
            return child(request)
        if last_answers(request) or request.force_tool:
            return FINISH
        return calls(*[("call_subagent", {"input": f"task {n}"}) for n in range(children)])

    return ScriptedChatModel(policy)


async def test_a_child_answers_its_parent():
    """The answer, its status and what it cost come back; events carry the kinship."""
    events = []
    model = parent_of(1, lambda _: FINISH)

    end = await run(model, sink=events.append)

    [answer] = last_answers(model.seen[-1])
    child = [e for e in events if getattr(e, "depth", 0) == 1]
    assert (answer["answer"], answer["status"], answer["turns_used"]) == ("Done.", "complete", 1)
    assert {e.parent_tool_call_id for e in child} == {"c0"}
    assert answer["output_start_sequence"] == child[0].sequence
    assert answer["output_end_sequence"] == child[-1].sequence
    assert (end.status, end.ledger.spent.subagents) == ("complete", 1)


async def test_a_child_at_its_limit_closes_itself():
    """Its findings stay, its parent goes on (B-08)."""

    def child(request: ModelRequest):
        if last_answers(request):
            return call("view_trace", trace_id=trace_id_of(1))
        row = {"trace_id": trace_id_of(2), "span_id": span_id_of(204), "quote": GOAL_DRIFT}
        return call("record_finding", title="The agent drifts away", evidence=[row])

    model = parent_of(1, child)
    end = await run(model, subagent_turns=3)

    answer = next(a for a in last_answers(model.seen[-1]) if "child_agent_id" in a)
    assert (answer["status"], answer["reason"], answer["turns_used"]) == ("partial", "turns", 3)
    assert [row["title"] for row in answer["findings"]] == ["The agent drifts away"]
    assert len(end.book.verified) == 1
    assert end.status == "complete"


async def test_a_failing_child_never_fails_its_parent():
    """Whatever ends a child, the parent reads a reason."""
    model = parent_of(1, lambda _: ModelError("no", action=Action.STOP, reason="refusal"))

    end = await run(model)

    [answer] = last_answers(model.seen[-1])
    assert (answer["status"], answer["reason"]) == ("partial", "refusal")
    assert end.status == "complete"


async def test_the_deepest_agents_have_no_children():
    """At the maximum depth the tool is not offered, and a forged call is refused (B-10)."""
    offered = {}

    def policy(request: ModelRequest):
        depth = task_of(request)
        offered[depth] = "call_subagent" in {tool.name for tool in request.tools}
        if last_answers(request):
            return FINISH
        return call("call_subagent", input={"root task": "one", "one": "two"}.get(depth, "three"))

    model = ScriptedChatModel(policy)
    end = await run(model, maximum_depth=2)

    assert offered == {"root task": True, "one": True, "two": False}
    assert end.status == "complete"


async def test_no_more_sub_agents_than_allowed_are_started():
    """The rest is refused with a reason (B-11)."""
    model = parent_of(20, lambda _: FINISH)

    end = await run(model)

    refused = [a for a in last_answers(model.seen[-1]) if "error" in a]
    assert (end.ledger.spent.subagents, len(refused)) == (16, 4)
    assert "16 sub-agents were started" in refused[0]["error"]


async def test_parallel_children_share_one_budget():
    """Children that ask at the same time never promise the same token twice (B-04)."""
    model = parent_of(
        4, lambda request: FINISH if request.force_tool else call("get_dataset_overview")
    )
    for tokens in (60_000, 90_000, 150_000):
        end = await run(model, budget=Budget(tokens=tokens), subagent_turns=50)

        assert end.ledger.spent.tokens <= tokens


async def test_only_so_many_children_run_at_once():
    """A level has its own bound, so parents that wait cannot starve it."""
    running = most = 0
    gate = asyncio.Event()

    class Waiting(ScriptedChatModel):
        async def complete(self, request, *, on_text):
            nonlocal running, most
            if task_of(request) != "root task":
                running += 1
                most = max(most, running)
                if running == 3:
                    gate.set()
                await asyncio.wait_for(gate.wait(), 60)
                running -= 1
            return await super().complete(request, on_text=on_text)

    model = Waiting(parent_of(9, lambda _: FINISH).script)
    await run(model, maximum_parallel_subagents=3)

    assert most == 3


async def test_children_of_a_run_have_the_same_ids_again():
    """Ids follow from the run and the call, so a resumed run meets the same agents."""
    ids = []
    for _ in range(2):
        model = parent_of(2, lambda _: FINISH)
        await run(model)
        ids.append([a["child_agent_id"] for a in last_answers(model.seen[-1])])

    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


async def test_all_children_share_one_prefix():
    """System text and tools of a kind of agent are the same bytes (R14)."""
    model = parent_of(3, lambda _: FINISH)
    await run(model, maximum_depth=1)

    children = [r for r in model.seen if task_of(r) != "root task"]
    assert len({r.messages[0].content for r in children}) == 1
    assert all(r.tools == children[0].tools for r in children)


async def test_tools_can_be_denied():
    """What is denied is not offered; the answer always is."""
    model = parent_of(0, lambda _: FINISH)
    model.script = lambda _: FINISH

    await run(model, tools_denied=frozenset({"view_trace", "final_answer"}))

    names = {tool.name for tool in model.seen[0].tools}
    assert "view_trace" not in names
    assert {"final_answer", "search_trace"} <= names
