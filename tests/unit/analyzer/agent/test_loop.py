"""The loop with a scripted model: rules of turns, mistakes, refusals, ends."""

import json

import pytest

from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.errors import Action
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall
from halo_daemon.analyzer.agent.model import Finish, ModelReply
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call, calls, say
from tests.unit.analyzer.agent.agents import FINISH, Bench, fault


def last_tool_answer(model: ScriptedChatModel, request: int = -1) -> dict:
    """The newest tool answer of a request."""
    answers = [m.content for m in model.seen[request].messages if m.role is Role.TOOL]
    return json.loads(answers[-1])


async def test_tools_run_and_the_answer_ends_the_run():
    """A call runs its tool, the result goes back, the final answer is the outcome."""
    model = ScriptedChatModel([call("look", topic="errors"), FINISH])
    bench = Bench(model)

    outcome = await bench.run()

    assert (outcome.status, outcome.answer, outcome.turns) == ("complete", "All is well.", 2)
    assert bench.looked == ["errors"]
    assert last_tool_answer(model) == {"result": {"seen": '{"seen": 1}'}}


async def test_parallel_calls_are_answered_in_call_order():
    """Results stand in the order of the calls, whatever finishes first (T-01)."""
    model = ScriptedChatModel([calls(*[("look", {"topic": t}) for t in "abc"]), FINISH])
    bench = Bench(model)

    await bench.run()

    answers = [m.tool_call_id for m in model.seen[1].messages if m.role is Role.TOOL]
    assert answers == ["c0", "c1", "c2"]


@pytest.mark.parametrize("call_id", ["", "same"])
async def test_missing_and_repeated_ids_are_replaced(call_id):
    """Every call gets an id of its own, so that each has one result (T-02, T-03)."""
    twice = tuple(ToolCall(call_id, "look", "{}") for _ in range(2))
    model = ScriptedChatModel([ModelReply(Message(Role.ASSISTANT, "", twice)), FINISH])

    await Bench(model).run()

    ids = [m.tool_call_id for m in model.seen[1].messages if m.role is Role.TOOL]
    assert len({*ids, ""}) == 3


@pytest.mark.parametrize(
    ("arguments", "topic"),
    [
        pytest.param("", "all", id="T-04-empty"),
        pytest.param("null", "all", id="T-04-null"),
        pytest.param('{"topic": "x"} and more', "x", id="T-05-trailing-text"),
        pytest.param('```json\n{"topic": "x"}\n```', "x", id="T-05-fence"),
        pytest.param('"{\\"topic\\": \\"x\\"}"', "x", id="T-06-double-encoded"),
        pytest.param('{"topic": "x", "timeout": 3}', "x", id="T-06-unknown-key"),
    ],
)
async def test_arguments_that_can_be_understood_are(arguments, topic):
    """Small mistakes in arguments do not cost a turn."""
    wanted = ModelReply(Message(Role.ASSISTANT, "", (ToolCall("a", "look", arguments),)))
    bench = Bench(ScriptedChatModel([wanted, FINISH]))

    await bench.run()

    assert bench.looked == [topic]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param("{'topic': 'x'}", "not JSON at character 1", id="T-05-single-quotes"),
        pytest.param("[1]", "expected a JSON object, found a list", id="T-06-list"),
        pytest.param('{"topic": 5}', "$.topic: input should be a valid string, found 5", id="T-06"),
        pytest.param('{"topic": "x', "not JSON", id="cut"),
    ],
)
async def test_arguments_that_cannot_be_understood_are_explained(arguments, told):
    """A mistake is told with its place, what was expected and what was found (R4)."""
    wanted = ModelReply(Message(Role.ASSISTANT, "", (ToolCall("a", "look", arguments),)))
    model = ScriptedChatModel([wanted, FINISH])

    outcome = await Bench(model).run()

    assert told in last_tool_answer(model)["error"]
    assert outcome.status == "complete"


async def test_an_unknown_tool_costs_a_turn_and_names_the_tools():
    """The model is told which tools exist, and the run goes on (R3, T-07)."""
    model = ScriptedChatModel([call("grep"), FINISH])

    outcome = await Bench(model).run()

    assert last_tool_answer(model)["error"] == "no tool `grep`"
    assert "final_answer, look" in last_tool_answer(model)["hint"]
    assert outcome.status == "complete"


async def test_three_unknown_tools_in_a_row_force_the_end():
    """After three unknown names only `final_answer` may be called (T-07)."""
    model = ScriptedChatModel(lambda request: FINISH if request.force_tool else call("grep"))

    outcome = await Bench(model).run()

    assert [request.force_tool for request in model.seen] == ["", "", "", "final_answer"]
    assert outcome.turns == 4


async def test_calls_beside_the_final_answer_are_not_run():
    """The answer is accepted once, other calls of that turn are told that the run ends (T-10)."""
    both = calls(("look", {}), ("final_answer", {"answer": "a"}), ("final_answer", {"answer": "b"}))
    bench = Bench(ScriptedChatModel([both]))

    outcome = await bench.run()

    assert outcome.answer == "a"
    assert bench.looked == []


async def test_too_many_calls_of_a_turn_are_not_run():
    """Thirty-two calls run, the rest is told to ask again (T-11)."""
    model = ScriptedChatModel([calls(*[("look", {"topic": str(n)}) for n in range(40)]), FINISH])
    bench = Bench(model)

    await bench.run()

    assert len(bench.looked) == 32
    assert "not run" in last_tool_answer(model)["error"]


async def test_an_empty_final_answer_gets_one_more_try():
    """Empty and non-text answers are refused with the reason (T-13)."""
    model = ScriptedChatModel(
        [call("final_answer", answer=""), call("final_answer", answer=7), FINISH]
    )

    outcome = await Bench(model).run()

    assert "$.answer" in last_tool_answer(model)["error"]
    assert outcome.turns == 3


async def test_a_broken_finding_in_the_answer_is_told_once():
    """Good findings are kept, broken ones are told, the second answer counts (T-13)."""
    mixed = call("final_answer", answer="x", findings=[{"title": "good"}, "bad"])
    bench = Bench(ScriptedChatModel([mixed, mixed]))

    outcome = await bench.run()

    assert outcome.status == "complete"
    assert {"title": "good"} in bench.recorded


@pytest.mark.parametrize("script", [[say("hm")] * 9, [ModelReply(Message(Role.ASSISTANT))] * 9])
async def test_words_without_calls_end_the_run_after_one_reminder(script):
    """A run that never answers ends partial, with its reason (R11, B-06, F-06)."""
    outcome = await Bench(ScriptedChatModel(script)).run()

    assert (outcome.status, outcome.reason, outcome.turns) == ("partial", "no_final_answer", 2)


async def test_the_old_final_mark_ends_a_run():
    """A text with `<final/>` is an answer, without the mark."""
    outcome = await Bench(ScriptedChatModel([say("Done. <final/>")])).run()

    assert (outcome.status, outcome.answer) == ("complete", "Done.")


@pytest.mark.parametrize("maximum_turns", [1, 2, 5])
async def test_turns_are_a_hard_limit_and_the_last_one_forces_the_answer(maximum_turns):
    """Never more answered requests than allowed; the closing one is among them (R1, B-02, B-05)."""
    model = ScriptedChatModel(lambda _: call("look"))

    outcome = await Bench(model, maximum_turns=maximum_turns).run()

    assert (len(model.seen), outcome.reason) == (maximum_turns, "turns")
    assert [bool(r.force_tool) for r in model.seen] == [False] * (maximum_turns - 1) + [True]
    assert all(request.tools == model.seen[0].tools for request in model.seen)


async def test_failures_never_give_turns_back():
    """A failure before every turn leaves the limit as it is (R1, B-01)."""
    replies = iter(range(1000))
    model = ScriptedChatModel(lambda _: fault() if next(replies) % 4 == 0 else call("look"))

    outcome = await Bench(model, maximum_turns=5).run()

    answered = len(model.seen) - sum(n % 4 == 0 for n in range(len(model.seen)))
    assert (answered, outcome.status) == (5, "partial")


async def test_failures_are_counted_only_while_consecutive():
    """Thirty failures, each followed by a good answer, end nothing (R2, H-20)."""
    script = [turn for _ in range(30) for turn in (fault(), call("look"))]

    outcome = await Bench(ScriptedChatModel([*script, FINISH]), maximum_turns=40).run()

    assert (outcome.status, outcome.turns) == ("complete", 31)


async def test_a_dead_provider_gets_exactly_the_allowed_requests():
    """Six failures in a row are the end (H-21)."""
    model = ScriptedChatModel(lambda _: fault())
    bench = Bench(model)

    outcome = await bench.run()

    assert (len(model.seen), outcome.reason) == (6, "provider")
    assert bench.time.waits_s == [0.25, 0.5, 1.0, 2.0, 4.0]


async def test_the_wait_that_is_asked_for_is_waited_and_charged():
    """A provider's wait is obeyed, and the clock runs meanwhile (H-08)."""
    model = ScriptedChatModel([fault(retry_after_s=20.0), FINISH])
    bench = Bench(model, budget=Budget(seconds=100))

    await bench.run()

    assert bench.time.waits_s == [20.0]
    assert bench.ledger.elapsed_s == 20.0


async def test_a_wait_beyond_the_deadline_ends_the_run():
    """Nobody waits for a time that the budget does not have."""
    model = ScriptedChatModel([fault(reason="rate_limited", retry_after_s=90.0)])
    bench = Bench(model, budget=Budget(seconds=60))

    outcome = await bench.run()

    assert (outcome.reason, bench.time.waits_s) == ("rate_limited", [])


@pytest.mark.parametrize("reason", ["auth", "quota", "no_tool_support", "bad_request"])
async def test_final_errors_stop_at_once(reason):
    """What cannot pass is asked once."""
    model = ScriptedChatModel([fault(Action.STOP, reason)])

    outcome = await Bench(model).run()

    assert (len(model.seen), outcome.reason) == (1, reason)


async def test_a_refusal_without_reason_is_tried_once_more():
    """An unexplained 400 gets one more try, its second is final (V-13)."""
    model = ScriptedChatModel(lambda _: fault(Action.RETRY_ONCE, "bad_request"))

    outcome = await Bench(model).run()

    assert (len(model.seen), outcome.reason) == (2, "bad_request")


@pytest.mark.parametrize(
    "refusal",
    [
        ModelReply(Message(Role.ASSISTANT, "No."), finish=Finish.REFUSED),
        say("I'm sorry, but I can't help with that."),
        say("Es tut mir leid, dabei kann ich nicht helfen."),
        say("Je suis désolé, je ne peux pas."),
        say("Lo siento, no puedo ayudar con eso."),
        say("Desculpe, não posso."),
        say("抱歉，我无法提供帮助。"),
    ],
)
async def test_refusals_are_resent_as_often_as_allowed(refusal):
    """A refusal is a turn; beyond the allowed ones the run ends (F-05, F-07)."""
    model = ScriptedChatModel(lambda _: refusal)

    outcome = await Bench(model, refusal_retries=2).run()

    assert (len(model.seen), outcome.reason) == (3, "refusal")


async def test_words_of_refusal_in_a_citation_are_no_refusal():
    """A text about refusing agents is an answer (F-07)."""
    text = 'I cannot help but note: the agent said "I\'m sorry" in [span:ab:cd]. <final/>'

    outcome = await Bench(ScriptedChatModel([say(text)])).run()

    assert outcome.status == "complete"


async def test_a_content_filter_costs_the_newest_answer_once():
    """The newest tool answer is withheld; a second objection is the end (V-12)."""
    objection = fault(Action.WITHHOLD, "content_filter")
    model = ScriptedChatModel([call("look"), objection, call("look"), objection])

    outcome = await Bench(model).run()

    assert "withheld" in last_tool_answer(model, 2)
    assert outcome.reason == "content_filter"


async def test_half_a_call_is_discarded_and_told():
    """A call cut at the output limit is not run; the model may try again (F-02)."""
    half = Message(Role.ASSISTANT, "", (ToolCall("a", "look", '{"topic": "x'),))
    bench = Bench(ScriptedChatModel([ModelReply(half, finish=Finish.LENGTH), call("look"), FINISH]))

    outcome = await bench.run()

    assert (outcome.status, bench.looked) == ("complete", ["all"])


async def test_half_a_text_is_kept_and_marked():
    """A text cut at the output limit stays, and the model is told (F-02)."""
    half = ModelReply(Message(Role.ASSISTANT, "There are three"), finish=Finish.LENGTH)
    model = ScriptedChatModel([half, FINISH])

    outcome = await Bench(model).run()

    told = [m.content for m in model.seen[1].messages[-3:-1]]
    assert outcome.status == "complete"
    assert told[0] == "There are three"
    assert "cut at the output limit" in told[1]


@pytest.mark.parametrize(("times", "reason"), [(1, ""), (2, "content_filter")])
async def test_a_filtered_answer_costs_the_newest_tool_answer_once(times, reason):
    """An answer that the filter ended counts like its refusal (F-03)."""
    filtered = ModelReply(Message(Role.ASSISTANT), finish=Finish.FILTERED)
    model = ScriptedChatModel([call("look"), *[filtered] * times, FINISH])

    outcome = await Bench(model).run()

    assert outcome.reason == reason
    assert "withheld" in last_tool_answer(model, 2)


async def test_text_beside_a_call_stays_in_the_conversation():
    """Both go back to the model, in one message (T-09)."""
    model = ScriptedChatModel([calls(("look", {}), text="Looking."), FINISH])

    await Bench(model).run()

    [said] = [m for m in model.seen[1].messages if m.role is Role.ASSISTANT]
    assert (said.content, said.tool_calls[0].name) == ("Looking.", "look")


async def test_events_are_numbered_and_calls_come_before_results():
    """`sequence` rises by one, and each call is told before its result (P-05)."""
    bench = Bench(ScriptedChatModel([call("look"), FINISH]))

    await bench.run()

    assert [event.sequence for event in bench.events] == list(range(len(bench.events)))
    roles = [event.item.role for event in bench.events if event.type == "item"]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [e.final for e in bench.events if e.type == "item"][-1] is True
