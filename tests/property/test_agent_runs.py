"""Whatever a model does and a provider reports, a run stays in its limits and leaves a report."""

import asyncio
import json
from collections import Counter, defaultdict

import jsonschema
from hypothesis import HealthCheck, event, given, settings, strategies as st

from halo_daemon.analyzer.agent.budget import Budget, SizeEstimator
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.events import AgentOutputItem
from halo_daemon.analyzer.agent.explain import ExplainSettings, explain
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall, Usage
from halo_daemon.analyzer.agent.model import Finish, ModelReply, ModelRequest
from halo_daemon.analyzer.agent.requester import request_size_bytes
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import RunSettings
from halo_daemon.analyzer.agent.tree import TreeSettings
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.findings import from_json, report_schema, to_json
from halo_daemon.testing.memory_queries import MemoryQueries
from halo_daemon.testing.scripted_chat import Turn, call, calls, say
from halo_daemon.testing.spans import span_id_of, trace_id_of
from tests.unit.analyzer.agent.agents import FakeClock
from tests.unit.analyzer.agent.traces import GOAL_DRIFT, report_of, shop_reader

READER = shop_reader()
RULES = report_of(READER)
PRICE = Price(2.0, 8.0)
OUTPUT_TOKENS = 400
SCHEMA = jsonschema.Draft202012Validator(report_schema())


def fault(action: Action, **more) -> ModelError:
    """A failed request."""
    return ModelError("no", action=action, reason="provider", **more)


def finding(quote: str) -> ModelReply:
    """A claim about the shop."""
    row = {"trace_id": trace_id_of(2), "span_id": span_id_of(204), "quote": quote}
    return call("record_finding", title="The agent drifts away", evidence=[row])


TURNS: dict[str, Turn] = {
    "look": call("get_dataset_overview"),
    "view": call("view_trace", trace_id=trace_id_of(2)),
    "children": calls(*[("call_subagent", {"input": f"task {n}"}) for n in range(3)]),
    "true-claim": finding(GOAL_DRIFT),
    "false-claim": finding("never said by anyone"),
    "summary": call("synthesize_traces", trace_ids=[trace_id_of(2)]),
    "words": say("Let me think about this."),
    "nothing": ModelReply(Message(Role.ASSISTANT)),
    "refusal": ModelReply(Message(Role.ASSISTANT, "No."), finish=Finish.REFUSED),
    "filtered": ModelReply(Message(Role.ASSISTANT), finish=Finish.FILTERED),
    "cut": ModelReply(
        Message(Role.ASSISTANT, "", (ToolCall("a", "view_trace", '{"tra'),)), finish=Finish.LENGTH
    ),
    "unknown-tool": call("grep"),
    "bad-arguments": ModelReply(Message(Role.ASSISTANT, "", (ToolCall("", "view_trace", "{'x'"),))),
    "end": call("final_answer", answer="Done."),
    "retry": fault(Action.RETRY, retry_after_s=3.0),
    "once": fault(Action.RETRY_ONCE),
    "full": fault(Action.SHRINK, window_tokens=30_000),
    "flagged": fault(Action.WITHHOLD),
    "dead": fault(Action.STOP),
}
NAMES = st.sampled_from([*TURNS, "look", "view", "children", "true-claim", "retry"])


class Provider:
    """Plays *script* over and over, reports *share* of the estimate, and keeps the books."""

    label = "scripted"
    parameters_dropped = ()

    def __init__(self, script: list[str], share: float | None) -> None:
        self.script, self.share = script, share
        self.answered_roots = 0
        self.in_flight = self.most_in_flight = 0
        self.booked_tokens = self.largest_tokens = 0
        self.booked_when_asked: list[int] = []
        self._next = 0

    async def complete(self, request: ModelRequest, *, on_text) -> ModelReply:
        """The next turn of the script; a forced answer is given."""
        self.booked_when_asked.append(self.booked_tokens)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        turn = TURNS[self.script[self._next % len(self.script)]]
        self._next += 1
        if request.force_tool and not isinstance(turn, ModelError):
            turn = TURNS["end"]
        if isinstance(turn, ModelError):
            raise turn
        on_text(turn.message.content)
        usage = self._usage(request)
        tokens = usage.total_tokens if usage else 0
        self.booked_tokens += tokens
        self.largest_tokens = max(self.largest_tokens, tokens)
        self.answered_roots += request.messages[0].content.startswith("You examine")
        return ModelReply(turn.message, turn.finish, usage)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _usage(self, request: ModelRequest) -> Usage | None:
        if self.share is None:
            return None
        input_tokens = SizeEstimator().tokens(request_size_bytes(request))
        return Usage(int(input_tokens * self.share), int(OUTPUT_TOKENS * min(self.share, 1.0)))


def explained(
    provider: Provider,
    budget: Budget,
    turns: int,
    sink=lambda _: None,
    *,
    output_tokens: int | None = OUTPUT_TOKENS,
):
    """The report of one run."""
    run = RunSettings(
        tree=TreeSettings(root_turns=turns, subagent_turns=3, maximum_depth=2, refusal_retries=1),
        budget=budget,
        sandbox=SandboxSettings(enabled=False),
        clock=FakeClock().clock,
        emit_extras=True,
    )
    return asyncio.run(
        explain(
            RULES,
            READER,
            provider,
            settings=ExplainSettings(
                "m", price=PRICE, max_output_tokens=output_tokens, run=run, window_tokens=60_000
            ),
            queries=MemoryQueries(READER),
            journal_path=None,
            sink=sink,
        )
    )


BUDGETS = st.builds(
    Budget,
    tokens=st.none() | st.integers(0, 150_000),
    usd=st.none() | st.floats(0, 0.4),
    requests=st.none() | st.integers(0, 25),
    turns=st.none() | st.integers(0, 20),
    seconds=st.none() | st.floats(0, 60),
)
SHARES = st.none() | st.sampled_from([0.0, 0.3, 1.0])
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(st.lists(NAMES, min_size=1, max_size=12), BUDGETS, SHARES, st.integers(1, 6))
def test_no_script_passes_a_limit(script, budget, share, turns):
    """With usage reported at most as estimated, or not at all, no limit is ever passed (R13)."""
    provider = Provider(script, share)

    report = explained(provider, budget, turns)

    engine = report.engine
    event(f"{engine.status} {engine.reason}")
    spent_tokens = engine.tokens.input + engine.tokens.output
    assert spent_tokens <= (budget.tokens if budget.tokens is not None else spent_tokens)
    assert engine.cost_usd <= (budget.usd if budget.usd is not None else engine.cost_usd) + 1e-6
    assert engine.requests <= (budget.requests if budget.requests is not None else engine.requests)
    assert engine.turns <= (budget.turns if budget.turns is not None else engine.turns)
    assert provider.answered_roots <= turns


@SLOW
@given(
    st.lists(NAMES, min_size=1, max_size=12),
    st.integers(5_000, 150_000),
    st.sampled_from([1.5, 3.0, 3.6]),
    st.integers(1, 6),
)
def test_a_provider_that_reports_more_passes_a_limit_by_one_response(script, tokens, share, turns):
    """Up to a token a byte reported, one response at most lies beyond the limit (R13, B-03)."""
    provider = Provider(script, share)

    report = explained(provider, Budget(tokens=tokens), turns)

    spent_tokens = report.engine.tokens.input + report.engine.tokens.output
    assert all(booked <= tokens for booked in provider.booked_when_asked)
    assert spent_tokens <= tokens + provider.largest_tokens
    assert provider.answered_roots <= turns


class Talker(Provider):
    """A provider that writes as much as it is allowed to, which is a lot without a limit."""

    def _usage(self, request: ModelRequest) -> Usage:
        input_tokens = SizeEstimator().tokens(request_size_bytes(request))
        return Usage(input_tokens, request.max_output_tokens or 50_000)


@SLOW
@given(
    st.lists(NAMES, min_size=1, max_size=12),
    st.integers(5_000, 300_000),
    st.sampled_from(["tokens", "usd"]),
    st.integers(1, 6),
)
def test_long_answers_of_parallel_children_stay_in_the_budget(script, tokens, unit, turns):
    """Where no output limit is configured, the room that was reserved is the limit sent."""
    usd = tokens * PRICE.output_usd / 1e6
    budget = Budget(tokens=tokens) if unit == "tokens" else Budget(usd=usd)

    engine = explained(Talker(script, 1.0), budget, turns, output_tokens=None).engine

    if unit == "tokens":
        assert engine.tokens.input + engine.tokens.output <= tokens
    else:
        assert engine.cost_usd <= usd + 1e-6


@SLOW
@given(st.lists(NAMES, min_size=1, max_size=12), BUDGETS, SHARES, st.integers(1, 6))
def test_every_end_leaves_a_valid_report_with_all_rules(script, budget, share, turns):
    """However a run ends, its report validates and keeps what rules found (R17, P-04)."""
    reports = [explained(Provider(script, share), budget, turns) for _ in range(2)]

    SCHEMA.validate(json.loads(to_json(reports[0])))
    assert from_json(to_json(reports[0])) == reports[0]
    # Which of several sub-agents is answered next is up to the threads that their tools run in.
    assert "children" in script or to_json(reports[0]) == to_json(reports[1])
    assert {f.finding_id for f in RULES.findings} <= {f.finding_id for f in reports[0].findings}
    assert reports[0].engine.status == "complete" or reports[0].engine.reason
    assert not any(claim.verified for claim in reports[0].unverified_claims)
    assert all(f.verified for f in reports[0].findings if f.source == "llm")


@SLOW
@given(st.lists(NAMES, min_size=1, max_size=12), BUDGETS, SHARES, st.integers(1, 6))
def test_events_of_every_run_are_in_order(script, budget, share, turns):
    """Numbers rise by one, no result comes before its call, one end comes last (P-05)."""
    events = []

    explained(Provider(script, share), budget, turns, events.append)

    assert [told.sequence for told in events] == list(range(len(events)))
    assert [told.type for told in events].count("end") == 1
    assert events[-1].type == "end"
    open_calls: dict[str, Counter[str]] = defaultdict(Counter)
    for told in events:
        if isinstance(told, AgentOutputItem):
            for made in told.item.tool_calls or ():
                open_calls[told.agent_id][made.id] += 1
            if told.item.role == "tool":
                open_calls[told.agent_id][told.item.tool_call_id] -= 1
                assert open_calls[told.agent_id][told.item.tool_call_id] >= 0
    finals = [told for told in events if getattr(told, "final", False)]
    assert len(finals) <= 1
