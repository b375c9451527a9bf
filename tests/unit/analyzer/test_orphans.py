"""Calls that a model asked for, and the run that goes on without what came out."""

from dataclasses import replace

import pytest

from halo_daemon.analyzer.rules.orphans import lost_calls
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

SHOES, BOOTS = {"q": "shoes"}, {"q": "boots"}


def begun():
    """A run in which the tool has run once, so that its spans are known to be recorded."""
    return TraceScript().model("Look.", calls=[("search", SHOES)]).tool("search", SHOES, result="1")


def with_id(place, call_id):
    """Attributes of an output that give the call in that place an id."""
    return {f"llm.output_messages.0.message.tool_calls.{place}.tool_call.id": call_id}


def prompt(*messages):
    """A recorded prompt: (role, text, ids asked for, id answered)."""
    found = {}
    for place, (role, text, asked, answered) in enumerate(messages):
        prefix = f"llm.input_messages.{place}.message"
        found |= {f"{prefix}.role": role, f"{prefix}.content": text}
        for at, call_id in enumerate(asked):
            found[f"{prefix}.tool_calls.{at}.tool_call.id"] = call_id
        if answered:
            found[f"{prefix}.tool_call_id"] = answered
    return found


USER = ("user", "Find both.", (), "")


def view_of(spans):
    """The trace of those spans, as the rules see it."""
    return TraceView(Trace.merge(spans, is_open=False), MinerSettings())


def lost(script):
    """(tool, spans, whether it was made up for) of each call without a result."""
    report = report_of([script.model("So.").answer("So.")])
    rows = [*report.findings, *report.weak_signals]
    return [
        (f.fingerprint.parts[2], f.counts.spans, f.counts.recovered > 0)
        for f in rows
        if f.fingerprint.parts[3] == "call without a result"
    ]


FOUND = [
    pytest.param(
        begun().model("More.", calls=[("search", BOOTS)]).model("On."),
        [("search", 1, False)],
        id="the tool is recorded elsewhere",
    ),
    pytest.param(
        TraceScript()
        .model("Both.", calls=[("search", SHOES), ("search", BOOTS)])
        .tool("search", SHOES, result="1"),
        [("search", 1, True)],
        id="one of two",
    ),
    pytest.param(
        TraceScript()
        .model(
            "Both.",
            calls=[("search", SHOES), ("search", SHOES)],
            **with_id(0, "a"),
            **with_id(1, "b"),
        )
        .tool("search", SHOES, result="1", **{"tool.id": "a"}),
        [("search", 1, True)],
        id="equal arguments, other id",
    ),
    pytest.param(
        TraceScript()
        .model("Both.", calls=[("search", SHOES), ("search", BOOTS)])
        .tool("search", "shoes, as the framework writes it", result="1"),
        [("search", 1, True)],
        id="arguments in another form",
    ),
    pytest.param(
        TraceScript()
        .model("Both.", calls=[("x", SHOES), ("y", BOOTS)], **with_id(0, "a"), **with_id(1, "b"))
        .model(
            "On.", **prompt(USER, ("assistant", "Both.", ("a", "b"), ""), ("tool", "1", (), "a"))
        ),
        [("y", 1, False)],
        id="the prompt answers the other one",
    ),
    pytest.param(
        begun()
        .model("More.", calls=[("search", BOOTS)])
        .model("More.", calls=[("search", {"q": "hats"})])
        .tool("search", {"q": "hats"}, result="2"),
        [("search", 1, True)],
        id="another call ran instead",
    ),
]

QUIET = [
    pytest.param(
        TraceScript().model("More.", calls=[("search", BOOTS)]).model("On."),
        id="no tool is recorded",
    ),
    pytest.param(
        begun().model("More.", calls=[("other", BOOTS)]).model("On."),
        id="that tool is not recorded",
    ),
    pytest.param(
        begun().model("More.", calls=[("search", BOOTS)]).model("I wait.").tool("search", BOOTS),
        id="ran later",
    ),
    pytest.param(
        begun()
        .model("More.", calls=[("search", '{"q": "boots", "n": 1.0}')])
        .tool("search", '{"n":1,"q":"boots"}', result="2"),
        id="the same arguments, written otherwise",
    ),
    pytest.param(
        begun().model("More.", calls=[("search", BOOTS)]).tool("search", "boots!", result="2"),
        id="arguments in another form",
    ),
    pytest.param(
        begun()
        .model("More.", calls=[("search", BOOTS)], **prompt(USER))
        .model(
            "On.",
            **prompt(USER, ("assistant", "More.", (), ""), ("user", "Observation: 2", (), "")),
        ),
        id="the result is handed over in words",
    ),
    pytest.param(
        begun()
        .model("More.", calls=[("search", BOOTS)], **with_id(0, "b"))
        .model("On.", **prompt(USER, ("assistant", "More.", ("b",), ""), ("tool", "2", (), "b"))),
        id="the prompt answers it",
    ),
    pytest.param(
        begun()
        .model("Hm.", **prompt(USER, ("assistant", "Look.", ("a",), ""), ("tool", "1", (), "a")))
        .model("More.", calls=[("search", BOOTS)], **with_id(0, "b"))
        .model("On.", **prompt(USER)),
        id="the answer was thrown away",
    ),
    pytest.param(
        begun()
        .model("Done.", calls=[("final_answer", BOOTS)])
        .model("On.")
        .tool("final_answer", SHOES, result="x"),
        id="a call that ends the run",
    ),
    pytest.param(
        begun().model("More.", calls=[("search", "")]).tool("search", ""), id="no arguments"
    ),
]


@pytest.mark.parametrize(("script", "expected"), FOUND)
def test_a_call_without_a_result_is_found(script, expected):
    """The tool of the lost call is named, and whether the tool answered afterwards."""
    assert lost(script) == expected


@pytest.mark.parametrize("script", QUIET)
def test_a_call_that_may_have_run_is_left_alone(script):
    """Where the record cannot show a loss, or shows the result, nothing is said."""
    assert lost(script) == []


def test_a_call_at_the_same_time_as_another_tells_nothing():
    """Of two model calls at once, neither went on without the other's tools."""
    spans = begun().model("More.", calls=[("search", BOOTS)]).model("On.").model("So.").spans()
    asking, other = spans[3], spans[4]
    at_once = [*spans[:3], replace(asking, end_unix_ns=other.end_unix_ns), *spans[4:]]

    assert len(lost_calls(view_of(spans))) == 1
    assert lost_calls(view_of(at_once)) == []
