import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.wording import wording_of
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed

NEEDS_HOTEL = "I need the hotel first; handing back."
NEEDS_LIMIT = "I need a price limit first; ask pricing."


def says(script, agent, text, *, told="", calls=None):
    """A model call of that agent."""
    prompt = {"inference.agent_name": agent}
    if told:
        prompt["llm.input_messages.0.message.role"] = "user"
        prompt["llm.input_messages.0.message.content"] = told
    return script.model(text, calls=calls, **prompt)


def circling(rounds=3, *, agents=("pricing", "search"), texts=(NEEDS_HOTEL, NEEDS_LIMIT), **more):
    """Agents in turn; texts may name the round as ``{n}``, and the first asks *calls*."""
    script = TraceScript(agent="concierge")
    for n in range(rounds):
        numbers = {"n": n, "square": n * n}
        for agent, text in zip(agents, texts, strict=True):
            told = more.get("told", "your turn").format(**numbers)
            says(script, agent, text.format(**numbers), told=told)
            if "tool" in more and agent == agents[0]:
                script.tool("find", {"n": 1}, result=more["tool"].format(n=n))
    return says(script, "concierge", "Done.").answer("Done.")


def framed():
    """Spans of agents that record no model calls."""
    script = TraceScript(agent="concierge")
    for _ in range(3):
        for agent, text in (("pricing", NEEDS_HOTEL), ("search", NEEDS_LIMIT)):
            said = {"inference.agent_name": agent, "output.value": text, "input.value": "go on"}
            script.step("AGENT", agent, **said)
    return says(script, "concierge", "Done.").answer("Done.")


@pytest.mark.parametrize(
    "script",
    [
        circling(),
        circling(texts=("Attempt {n}: no hotel, no price.", "Attempt {n}: no price, no hotel.")),
        circling(tool="nothing"),
        circling(
            agents=("concierge", "pricing", "concierge", "search"),
            texts=("Price it.", NEEDS_HOTEL, "Find it.", NEEDS_LIMIT),
        ),
        framed(),
    ],
)
def test_agents_that_say_the_same_in_turn_go_round_in_circles(script):
    """With or without spans of agents, with one that directs them, and where rounds are counted."""
    assert "cycle" in {rule for rule, _ in observed(script)}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(circling(2), id="two rounds"),
        pytest.param(
            circling(texts=(NEEDS_HOTEL, "Round {n}: {square} hotels.")), id="other numbers"
        ),
        pytest.param(circling(told="part {square} of the book"), id="asked another thing"),
        pytest.param(circling(tool="hotel {n}"), id="a tool brings news"),
        pytest.param(circling(agents=("pricing", "pricing")), id="one agent"),
        pytest.param(circling(agents=("pricing", "job_monitor")), id="one that waits"),
        pytest.param(circling(texts=(NEEDS_HOTEL, "")), id="nothing said"),
    ],
)
def test_agents_that_get_on_are_left_alone(script):
    """Answers, tasks or results that differ, and too few rounds."""
    assert "cycle" not in {rule for rule, _ in observed(script)}


def test_agents_that_run_at_the_same_time_do_not_take_turns():
    """The same work on parts, side by side."""
    script = TraceScript(agent="concierge")
    for agent in ("pricing", "search") * 3:
        says(script, agent, "Done with my part.", told="go on")
    trace = script.build()
    end_unix_ns = trace.end_unix_ns
    for span in trace.spans[1:]:
        span.end_unix_ns = end_unix_ns

    known = mine([trace], MinerSettings())

    assert "cycle" not in {key.rule for key in known.groups}


def test_the_circle_is_counted_over_the_agent_above_it():
    """Its subject are the agents of a round; the words say hand-offs."""
    known = mine([circling().build()], MinerSettings())

    [key] = [key for key in known.groups if key.rule == "cycle"]
    assert (key.agent, key.subject) == ("concierge", "pricing + search")
    assert "hand the run" in wording_of(key).title
