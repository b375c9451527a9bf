"""The loop with a scripted model: a context that fills up, budgets and deadlines."""

import itertools

import pytest

from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.messages import Message, Role, Usage
from halo_daemon.analyzer.agent.model import Finish, ModelReply
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call
from tests.unit.analyzer.agent.agents import FINISH, Bench, fault


async def test_a_full_context_is_shrunk_and_the_run_goes_on():
    """A refused context is made smaller in the same turn, with its window learnt (R8, V-01)."""
    full = fault(Action.SHRINK, "context", window_tokens=2_000)
    model = ScriptedChatModel([*[call("look", topic=str(n)) for n in range(5)], full, FINISH])
    bench = Bench(model, answer="y" * 3_000)

    outcome = await bench.run()

    sizes = [sum(m.size_bytes for m in request.messages) for request in model.seen]
    assert (outcome.status, outcome.turns) == ("complete", 6)
    assert sizes[-1] < sizes[-2]


@pytest.mark.parametrize(("refusals", "status"), [(3, "complete"), (4, "partial")])
async def test_a_context_is_shrunk_at_most_three_times_in_a_row(refusals, status):
    """Three refusals of one turn are survived, the fourth closes the run (R8, C-02)."""
    full = fault(Action.SHRINK, "context")
    looks = [call("look", topic=str(n)) for n in range(12)]
    model = ScriptedChatModel([*looks, *[full] * refusals, FINISH])

    outcome = await Bench(model, answer="w" * 6_000, window_tokens=30_000).run()

    assert outcome.status == status
    assert outcome.reason == ("" if status == "complete" else "context")


async def test_a_learnt_window_is_kept():
    """After the first refusal no request passes the window that it named (C-07)."""
    full = fault(Action.SHRINK, "context", window_tokens=5_000)
    looks = [call("look", topic=str(n)) for n in range(12)]
    script = iter([*looks[:4], full, *looks[4:], FINISH])
    model = ScriptedChatModel(
        lambda request: (
            turn
            if isinstance(turn := next(script), ModelError)
            else _with_true_usage(turn, request)
        )
    )
    bench = Bench(model, answer="w" * 2_000)

    outcome = await bench.run()

    assert outcome.status == "complete"
    sizes = [sum(m.size_bytes for m in r.messages) / 3.6 for r in model.seen[5:]]
    assert max(sizes) <= 5_000


async def test_a_context_that_cannot_shrink_ends_the_run():
    """When nothing is left to shorten, the run closes with what it has (C-02)."""
    model = ScriptedChatModel(lambda _: fault(Action.SHRINK, "context"))

    outcome = await Bench(model).run()

    assert (len(model.seen), outcome.reason) == (1, "context")


async def test_the_context_is_shrunk_before_it_is_full():
    """With twenty large answers no request passes the window; pairs stay (R7, R9, C-01)."""
    script = [*[call("look", topic=str(n)) for n in range(19)], FINISH]
    model = ScriptedChatModel(
        lambda request: _with_true_usage(script[min(len(model.seen), 20) - 1], request)
    )
    bench = Bench(model, answer="z" * 20_000, window_tokens=32_000, maximum_turns=30)

    outcome = await bench.run()

    assert outcome.status == "complete"
    for request in model.seen:
        assert sum(m.size_bytes for m in request.messages) / 3.6 < 32_000
        assert request.messages[0].content == "You look."
        assert request.messages[1].content == "look"
        assert_pairs(request.messages)


async def test_requests_only_grow_at_their_end():
    """Between shrinks each request begins with the one before; the note alone is last (C-06)."""
    script = [*[call("look", topic=str(n)) for n in range(12)], FINISH]
    model = ScriptedChatModel(
        lambda request: _with_true_usage(script[min(len(model.seen), 13) - 1], request)
    )
    bench = Bench(model, answer="z" * 12_000, window_tokens=32_000, maximum_turns=30)

    await bench.run()

    shrinks = 0
    for before, after in itertools.pairwise(model.seen):
        *kept, note = before.messages
        assert note.content.startswith("Turn ")
        assert note.role is Role.USER
        assert not any(m.content.startswith("Turn ") for m in kept)
        shrinks += after.messages[: len(kept)] != tuple(kept)
        assert after.messages[:2] == before.messages[:2]
        assert after.tools == before.tools
    assert 1 <= shrinks <= 4


def _with_true_usage(reply: ModelReply, request) -> ModelReply:
    input_tokens = int(sum(m.size_bytes + 40 for m in request.messages) / 3.6)
    return ModelReply(reply.message, usage=Usage(input_tokens, 20))


def assert_pairs(messages) -> None:
    """Each call has one result, directly after its message."""
    waiting: list[str] = []
    for message in messages:
        if message.role is Role.TOOL:
            waiting.remove(message.tool_call_id)
            continue
        assert waiting == []
        waiting = [c.call_id for c in message.tool_calls]
    assert waiting == []


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(tokens=30_000), "tokens"),
        (Budget(usd=0.05), "usd"),
        (Budget(requests=4), "requests"),
        (Budget(turns=4), "turns"),
    ],
)
async def test_a_budget_is_kept_and_leaves_room_for_the_answer(budget, reason):
    """Near a limit the closing request is forced, and it fits (R10, R13, B-03)."""
    reply = ModelReply(call("look").message, usage=Usage(1_500, 100))
    model = ScriptedChatModel(lambda request: FINISH if request.force_tool else reply)
    bench = Bench(model, budget=budget, price=Price(2.0, 8.0), maximum_turns=99)

    outcome = await bench.run()

    spent = bench.ledger.spent
    assert outcome.status == "complete"
    assert spent.tokens <= (budget.tokens or 10**9)
    assert spent.usd <= (budget.usd or 10**9)
    assert spent.requests <= (budget.requests or 10**9)
    assert spent.turns <= (budget.turns or 10**9)
    assert model.seen[-1].force_tool == "final_answer"


async def test_a_budget_that_cannot_pay_one_request_sends_none():
    """Without money for the closing request nothing is sent."""
    model = ScriptedChatModel([])

    outcome = await Bench(model, budget=Budget(tokens=10)).run()

    assert (model.seen, outcome.reason) == ([], "tokens")


async def test_the_deadline_is_kept():
    """Seconds run out like money: the last ones are for the answer (B-09)."""
    bench = Bench(
        ScriptedChatModel(lambda r: FINISH if r.force_tool else call("look")),
        budget=Budget(seconds=100),
        maximum_turns=99,
    )
    bench.on_look = lambda _: setattr(bench.time, "now_s", bench.time.now_s + 10)

    outcome = await bench.run()

    assert outcome.status == "complete"
    assert bench.ledger.elapsed_s <= 100


@pytest.mark.parametrize(
    ("budget", "configured", "sent"),
    [
        (Budget(tokens=200_000), None, [4_000, 8_000, 16_000]),
        (Budget(usd=9.0), None, [4_000, 8_000, 16_000]),
        (Budget(tokens=200_000), 100, [100, 100, 100]),
        (Budget(tokens=12_000), None, [4_000, 4_000, 4_000]),
        (Budget(), None, [None, None, None]),
        (Budget(), 100, [100, 100, 100]),
    ],
)
async def test_the_limit_that_is_sent_is_the_room_that_was_reserved(budget, configured, sent):
    """An answer that was cut lifts it as far as the budget allows; a configured one stays (F-02)."""
    cut = ModelReply(Message(Role.ASSISTANT), finish=Finish.LENGTH, usage=Usage(200, 100))
    model = ScriptedChatModel([cut, cut, FINISH])

    await Bench(model, budget=budget, max_output_tokens=configured).run()

    assert [request.max_output_tokens for request in model.seen] == sent
