"""Rules about what a run does with its own plan, its own code and its own doubts."""

import pytest

from halo_daemon.analyzer.delegation import replies
from halo_daemon.analyzer.risk import decisive_span
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed, report_of

PLAN = "1. Use the search_agent tool to find it.\n2. Compare.\n3. Answer with final_answer."
ASK = "Please find the year in which the bridge was opened to the public, with its source."
PRINTS = (
    f'I ask the searcher.\n```py\ntask = (\n    "{ASK[:40]}"\n    "{ASK[40:]}"\n)\nprint(task)\n```'
)


def planned(plan=PLAN, number=1):
    """A run that has written a plan."""
    return TraceScript(number).model(plan)


def finished(script, answer="1937"):
    """The same run, with its answer handed over by a finishing call."""
    script.model(f'It was {answer}.\n```py\nfinal_answer("{answer}")\n```')
    return script.tool("final_answer", {"answer": answer}, result=answer).answer(answer)


def coded(code, output, *, ends=True):
    """A run with one framework step in which code of the model ran."""
    script = TraceScript()
    script.step("CHAIN", "Step 1", **{"output.value": output})
    step_id = script.spans()[-1].span_id
    script.model(code, parent=step_id)
    return script.model("The year is 1937.").answer("1937") if ends else script


def said(*turns):
    """A run in which agents speak in turn: (agent, words)."""
    script = TraceScript()
    for agent, words in turns:
        script.model(words, **{"inference.agent_name": agent})
    return script


LEDGER = '{"is_progress_being_made": {"reason": "same page", "answer": false}}'

FIRES = [
    pytest.param("skipped_plan", finished(planned()), id="tool of the plan never ran"),
    pytest.param(
        "skipped_plan",
        finished(planned("1. Find out.\n2. Check.\n3. Say it.")),
        id="nothing ran before the answer",
    ),
    pytest.param(
        "skipped_plan",
        planned("1. Use web_search.\n2. Read.\n3. Answer.")
        .model("It is 7.", offers={"web_search": {}})
        .answer("It is 7."),
        id="an offered tool named without the word tool",
    ),
    pytest.param("echoed_result", coded(PRINTS, f"Logs:\n{ASK}\nNone"), id="step prints its task"),
    pytest.param(
        "echoed_result",
        TraceScript()
        .model("I search.")
        .tool("python", {"code": f"print('{ASK}')"}, result=ASK)
        .answer("1937"),
        id="interpreter prints its task",
    ),
    pytest.param("no_progress", said(("boss", LEDGER)), id="ledger"),
    pytest.param("no_progress", said(("boss", '{"is_in_loop": true}')), id="flat ledger"),
    pytest.param("no_progress", said(("boss", "We are going in circles here.")), id="words"),
]

QUIET = [
    pytest.param(
        "skipped_plan",
        finished(planned().tool("search_agent", {"q": "x"}, result="1937")),
        id="the tool ran",
    ),
    pytest.param(
        "skipped_plan",
        finished(planned().model("```py\nx = search_agent('bridge')\n```")),
        id="the tool was called in code that no span records",
    ),
    pytest.param(
        "skipped_plan",
        planned("1. Outline.\n2. Write.\n3. Edit.").model("Once upon a time").answer("Once"),
        id="a plan for the model's own words",
    ),
    pytest.param(
        "skipped_plan",
        planned("1. Read using order_id.\n2. Compare.\n3. Answer.").model("7").answer("7"),
        id="a field that looks like a tool",
    ),
    pytest.param(
        "skipped_plan",
        finished(
            planned("1. Find out.\n2. Check.\n3. Say it.").step(
                "RETRIEVER", "look up", **{"output.value": "1937"}
            )
        ),
        id="something that is no tool had run",
    ),
    pytest.param(
        "skipped_plan",
        finished(TraceScript().model("Steps:\n```\n1. a\n2. b\n3. c\n```")),
        id="numbers in code",
    ),
    pytest.param("skipped_plan", planned(), id="the plan is the answer"),
    pytest.param("echoed_result", coded(PRINTS, "The bridge was opened in 1937. " * 3), id="news"),
    pytest.param(
        "echoed_result",
        coded(f"```py\nprint(search('{ASK}'))\n```", ASK),
        id="the code calls something",
    ),
    pytest.param("echoed_result", coded(PRINTS, PRINTS), id="the step hands the code on"),
    pytest.param(
        "echoed_result",
        coded(f'```py\nprint("{ASK}")\n```', ASK, ends=False).answer(ASK),
        id="what was asked for is the text",
    ),
    pytest.param(
        "echoed_result",
        TraceScript().tool("bash", f"echo '{ASK}' > task.txt; cat task.txt", result=ASK),
        id="a file is written and shown",
    ),
    pytest.param(
        "echoed_result",
        TraceScript().tool("create_note", {"text": f"print {ASK}"}, result=ASK),
        id="a service repeats what it stored",
    ),
    pytest.param("no_progress", said(("boss", LEDGER.replace("false", "true"))), id="progress"),
    pytest.param(
        "no_progress", said(("boss", "The loop over rows is stuck in the old code.")), id="code"
    ),
    pytest.param("no_progress", said(("boss", "The progress is good.")), id="the word alone"),
    pytest.param(
        "no_progress",
        said(("boss", "If I cannot change the test, I am stuck. But maybe I can.")),
        id="thinking aloud",
    ),
]


@pytest.mark.parametrize(("rule", "script"), FIRES)
def test_a_rule_finds_its_failure(rule, script):
    """The rule reports the trace that shows what it is for."""
    assert rule in {name for name, _ in observed(script)}


@pytest.mark.parametrize(("rule", "script"), QUIET)
def test_a_rule_leaves_a_near_miss_alone(rule, script):
    """The rule does not report what merely looks like its failure."""
    assert rule not in {name for name, _ in observed(script)}


def test_a_skipped_plan_blames_the_answer():
    """The decision span is the call that answered, not the plan."""
    (row,) = report_of([finished(planned())]).traces

    (blamed,) = row.evidence
    assert blamed.role == "decision"
    assert blamed.span_id == row.decisive_span_id
    assert blamed.span_id == finished(planned()).spans()[2].span_id


def test_a_failing_model_call_is_nobodys_decision():
    """A model call that fails is blamed itself; the call before it is not."""
    script = TraceScript().model("All good.").step("LLM", "chat", error="503 overloaded")
    (row,) = report_of([script]).traces

    failed = script.spans()[-1].span_id
    assert row.decisive_span_id == failed
    assert {blamed.span_id for blamed in row.evidence} == {failed}


def test_an_error_is_shown_but_its_decision_is_blamed():
    """A trace's row names the decision behind an error and leaves the error span to the finding."""
    scripts = [
        TraceScript(number).model("I call it.").tool("find", {"n": 1}, error="index is broken")
        for number in range(1, 5)
    ]
    report = report_of(scripts)

    assert {blamed.role for row in report.traces for blamed in row.evidence} == {"decision"}
    assert {row.role for row in report.findings[0].evidence} == {"symptom", "decision"}


HUB = (("boss", "Find it."), ("surfer", "A page."), ("boss", "Read it."), ("reader", "It is 7."))


@pytest.mark.parametrize(
    ("turns", "answers"),
    [
        pytest.param(HUB, ["A page.", "It is 7."], id="one directs two"),
        pytest.param((("human", "Hi"), *HUB), ["A page.", "It is 7."], id="people do not direct"),
        pytest.param((*HUB[:2], ("surfer", "Another."), HUB[2]), ["Another."], id="last of a turn"),
        pytest.param((("solo", "a"), ("solo", "b")), [], id="one agent"),
        pytest.param((("a", "1"), ("b", "2"), ("c", "3"), ("b", "4")), [], id="a round table"),
        pytest.param((), [], id="nobody"),
    ],
)
def test_replies_are_those_of_directed_agents(turns, answers):
    """What the others answered to the agent that speaks after each of them."""
    script = said(*turns) if turns else TraceScript().tool("find", {})
    view = TraceView(script.build(), MinerSettings())

    assert [call.answer.value for call in replies(view)] == answers


def test_a_failure_handed_to_another_agent_is_where_to_look():
    """A recovered failure of running code is no finding, but of several agents it names the place."""
    script = said(("coder", "```py\nx\n```"))
    script.tool("terminal", "x", error="NameError: x", **{"inference.agent_name": "runner"})
    script.model("```py\ny\n```", **{"inference.agent_name": "coder"})
    script.tool("terminal", "y", result="1", **{"inference.agent_name": "runner"})
    (row,) = report_of([script]).traces

    assert row.evidence == ()
    assert row.decisive_span_id == script.spans()[1].span_id


def test_a_directed_run_points_at_the_reply_its_answer_came_from():
    """With nothing else found the last reply is decisive; of a stuck run it is the first one."""
    (calm,) = report_of([said(*HUB, ("boss", "7."))]).traces
    (stuck,) = report_of([said(*HUB, ("boss", LEDGER))]).traces

    spans = said(*HUB).spans()
    assert calm.decisive_span_id == spans[4].span_id
    assert stuck.decisive_span_id == spans[2].span_id


def test_a_run_without_a_finding_points_at_its_last_change():
    """What it changed last is where to look first; what failed or only looked changed nothing."""
    script = TraceScript()
    for tool, error in (
        ("refund_order", ""),
        ("cancel_order", ""),
        ("cancel_order", "boom"),
        ("get_order", ""),
    ):
        arguments = {"n": len(script.spans())}
        script.model("Next.", calls=[(tool, arguments)])
        script.tool(tool, arguments, result="ok", error=error)
    looks = TraceScript(2).model("Next.").tool("get_order", {}, result="ok")
    calm = [call for call in script.spans() if not call.status_message]

    view = TraceView(Trace.merge(calm, is_open=False), MinerSettings())
    assert decisive_span(view, ()) == script.spans()[3].span_id
    assert decisive_span(TraceView(looks.build(), MinerSettings()), ()) is None
