import random

import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.requests import is_same, request_of
from halo_daemon.analyzer.sessions import add_asked_again
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

RULE = "negative_feedback@3"


def same(before, after):
    """Whether a user asks for the same with both."""
    is_equal = before.split() == after.split()
    return is_same(request_of(before), request_of(after), is_equal_text=is_equal)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("How do I cancel my order?", "I want to cancel the order!"),
        ("How do I return worn shoes?", "How do I return worn shoes?"),
        ("Where is order A-1042?", "I asked where the order a-1042 is"),
        ("Fix the failing login test", "please fix the login test, it is still failing"),
        ("Wie kann ich mein Abo kündigen", "ich möchte mein Abo kündigen!!"),
        ("translate the letter into French", "Translate this letter into French please"),
    ],
)
def test_one_request_in_other_words_is_one(before, after):
    """Order, politeness, marks and the words that press the point do not count."""
    assert same(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("Where is order A-1042?", "Where is order A-1043?", id="another thing"),
        pytest.param("flights from Oslo to Rome", "flights from Rome to Oslo", id="direction"),
        pytest.param("turn the light on now", "turn the light off now", id="the opposite"),
        pytest.param("do delete the file", "do not delete the file", id="a negation"),
        pytest.param("show sales by region", "show sales by region for Europe", id="narrower"),
        pytest.param("translate it into French", "translate it into German", id="one word"),
        pytest.param("cancel my order", "cancel my order", id="two words twice"),
        pytest.param("next page of results", "next page of results", id="going on"),
        pytest.param("yes please", "yes please", id="nothing asked"),
        pytest.param('{"question": "x y z"}', '{"question": "x y z"}', id="a record"),
        pytest.param("word " * 200, "word " * 200, id="long"),
    ],
)
def test_other_requests_are_others(before, after):
    """What may well be another request, or no request at all."""
    assert not same(before, after)


FIRST = "How do I return worn shoes?"
AGAIN = "I asked how to return worn shoes!"


def run(number, task, *, start_s, session="s1", agent="support"):
    """A run of two steps."""
    script = TraceScript(number, task=task, session=session, start_s=start_s, agent=agent)
    return script.model("Look.").tool("search", {"n": number}, result="x").answer("Like this.")


def asked_again(scripts):
    """Trace numbers that the finding names."""
    report = report_of(scripts)
    found = [*report.findings, *report.weak_signals]
    ids = {f.finding_id for f in found if f.source == f"rule:{RULE}" and f.verified}
    names = {script.trace_id: place for place, script in enumerate(scripts, start=1)}
    return {names[row.trace_id] for row in report.traces if ids & {*row.findings}}


def test_the_run_before_the_second_request_is_the_one_that_failed():
    """Two runs of one session ask the same: the first is named, and it alone could be."""
    scripts = [run(1, FIRST, start_s=0), run(2, AGAIN, start_s=60), run(3, FIRST, start_s=9e4)]

    assert asked_again(scripts) == {1}
    (found,) = report_of(scripts).weak_signals
    assert (found.counts.affected_traces, found.counts.eligible_traces) == (1, 2)
    assert found.counts.sessions == 1


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(run(2, "Where is my parcel now?", start_s=60), id="another request"),
        pytest.param(run(2, AGAIN, start_s=60, session="s2"), id="another session"),
        pytest.param(run(2, AGAIN, start_s=60, session=""), id="no session"),
        pytest.param(run(2, AGAIN, start_s=60, agent="sales"), id="another agent"),
        pytest.param(run(2, AGAIN, start_s=4_000), id="an hour later"),
        pytest.param(run(2, AGAIN, start_s=4), id="at once, by a client"),
        pytest.param(run(2, AGAIN, start_s=1), id="at the same time"),
    ],
)
def test_what_follows_is_not_always_the_same_again(second):
    """Other requests, other people, other days, and programs."""
    assert asked_again([run(1, FIRST, start_s=0), second]) == set()


def test_a_program_that_asks_all_the_time_is_nobody_who_complains():
    """Five times in a session is no person."""
    assert asked_again([run(n, FIRST, start_s=60 * n) for n in range(1, 6)]) == set()
    assert asked_again([run(n, FIRST, start_s=60 * n) for n in range(1, 5)]) == {1, 2, 3}


def conversation(*messages, results=(), role="user"):
    """One trace in which user and model take turns; *results* are those of a tool in between."""
    script, sent = TraceScript(1), {}
    for place, message in enumerate(messages):
        sent[f"llm.input_messages.{2 * place}.message.role"] = role
        sent[f"llm.input_messages.{2 * place}.message.content"] = message
        script.model("So.", **sent)
        sent[f"llm.input_messages.{2 * place + 1}.message.role"] = "assistant"
        sent[f"llm.input_messages.{2 * place + 1}.message.content"] = "So."
        if place < len(results):
            script.tool("look", {"n": place}, result=results[place])
    return script.answer("Done.")


def test_a_user_who_repeats_within_a_conversation_is_heard():
    """The second message is the symptom, the answer to the first the decision."""
    (found,) = report_of([conversation(FIRST, AGAIN)]).weak_signals

    assert [row.role for row in found.evidence] == ["symptom", "decision"]
    assert found.evidence[0].quote == AGAIN


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(conversation(FIRST, "Thanks! And my parcel?"), id="another request"),
        pytest.param(conversation(FIRST, AGAIN, role="tool"), id="not a user"),
        pytest.param(
            conversation(
                *["nothing found for worn shoes"] * 2, results=["x", "found for worn shoes"]
            ),
            id="a result in the user's name",
        ),
        pytest.param(conversation(*["Observation: no such shoe here"] * 2), id="an observation"),
        pytest.param(
            TraceScript()
            .model(
                "x",
                **{
                    "llm.input_messages.0.message.role": "user",
                    "llm.input_messages.0.message.content": FIRST,
                },
            )
            .model(
                "x",
                **{
                    "llm.input_messages.0.message.role": "user",
                    "llm.input_messages.0.message.content": FIRST,
                },
            )
            .answer("y"),
            id="one message in two calls",
        ),
    ],
)
def test_a_conversation_that_goes_on_is_no_complaint(script):
    """Results, retries and other requests."""
    report = report_of([script])

    assert [f for f in report.weak_signals if f.source == f"rule:{RULE}"] == []


def test_the_order_of_traces_and_a_second_time_change_nothing():
    """Sessions are put in order by themselves, and adding twice adds nothing."""
    scripts = [
        run(n, AGAIN if n % 2 else FIRST, start_s=60 * n, session=f"s{n // 3}")
        for n in range(1, 30)
    ]
    traces = [script.build() for script in scripts]
    known = []
    for seed in (1, 2):
        random.Random(seed).shuffle(traces)
        one = mine(traces, MinerSettings())
        for _ in range(seed):
            add_asked_again(one, RULE)
        known.append(one)

    assert known[0].groups == known[1].groups
    assert known[0].eligible == known[1].eligible
    assert known[0].checked[RULE].of == known[1].checked[RULE].of == 10
