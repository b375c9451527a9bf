"""Results that spans of tools leave out and prompts tell."""

import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.analyzer.verify import is_quoted
from halo_daemon.findings import Evidence
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of
from tests.unit.analyzer.test_told_calls import USER, call, model, result, said

_SECOND_NS = 10**9
_FAILED = "Error: order A-1 is locked"
ASKED = call(call_id="c1")
ANSWERED = (said(ASKED), result(call_id="c1"))


def bare_tool(number=2, call_id="c1", **attributes):
    """A span of a tool that says which call it ran, and not what came of it."""
    start = START_UNIX_NS + number * _SECOND_NS
    return make_span(
        span_id=span_id_of(number),
        name="execute_tool find_order",
        observation_kind="TOOL",
        start_unix_ns=start,
        end_unix_ns=start + _SECOND_NS // 4,
        attributes={"tool.name": "find_order", "gen_ai.tool.call.id": call_id} | attributes,
    )


def run(*tools, prompt=ANSWERED):
    """A question, *tools*, and the model call whose prompt brings what they said."""
    return Trace.merge([model(1, [USER], ASKED), *tools, model(9, [USER, *prompt], text="Sorry.")])


def results_of(trace):
    """Arguments, result and kind of error of each call."""
    calls = TraceView(trace, MinerSettings()).tool_calls
    return [(ran.arguments.value, ran.result.value, bool(ran.signal)) for ran in calls]


def test_a_span_without_a_result_has_the_one_of_the_next_prompt():
    """With the arguments that it leaves out as well, and its own time."""
    trace = run(bare_tool())
    (ran,) = TraceView(trace, MinerSettings()).tool_calls

    assert results_of(trace) == [('{"id": 1}', _FAILED, True)]
    assert not ran.is_told
    assert ran.span.duration_ns == _SECOND_NS // 4


@pytest.mark.parametrize(
    "span",
    [
        bare_tool(call_id="another"),
        bare_tool(call_id=""),
        bare_tool(**{"output.value": "found"}),
        bare_tool(**{"output.value": ""}),
    ],
    ids=["another id", "no id", "its own result", "its own empty result"],
)
def test_nothing_else_is_taken_for_its_result(span):
    """Rules 1 and 2: an id tells, and what a span records stands."""
    own = span.text("output.value")

    assert [text for _, text, _ in results_of(run(span))] == [own]


def test_of_layers_of_one_call_the_outermost_has_the_result():
    """A framework's span and the one of the protocol below it bear one id."""
    found = [text for _, text, _ in results_of(run(bare_tool(2), bare_tool(3)))]

    assert found == [_FAILED, ""]


def test_a_layer_with_a_result_keeps_it_for_all():
    """What one span of a call records is not told once more by another."""
    below = bare_tool(3, **{"output.value": _FAILED})

    assert [text for _, text, _ in results_of(run(bare_tool(2), below))] == ["", _FAILED]


def test_a_result_that_is_marked_as_an_error_is_one():
    """Whatever its words."""
    prompt = (said(ASKED), result("no", call_id="c1", is_error=True))

    assert [failed for *_, failed in results_of(run(bare_tool(), prompt=prompt))] == [True]


def test_later_prompts_that_repeat_a_result_change_nothing():
    """Only what is new in a prompt is read, so an old id in a history brings nothing."""
    history = (*ANSWERED, said(text="Sorry."), USER)

    assert results_of(run(bare_tool(), prompt=history)) == [("", "", False)]


def test_quotes_name_the_span_that_holds_the_words():
    """The finding's evidence stands where the report says, which is the prompt."""
    traces = [run(bare_tool())]
    known = mine(iter(traces), MinerSettings())
    cited = [
        quote
        for group in known.groups.values()
        for case in (*group.unrecovered, *group.recovered)
        for quote in case[-1]
    ]

    symptoms = [quote for quote in cited if quote.role == "symptom"]
    assert symptoms
    assert {quote.span_id for quote in symptoms} == {span_id_of(9)}
    for quote in cited:
        row = Evidence(
            trace_id=traces[0].trace_id,
            span_id=quote.span_id,
            role=quote.role,
            attribute=quote.attribute,
            char_start=quote.start,
            char_end=quote.end,
            quote=quote.text,
        )
        assert is_quoted(traces[0].by_id[quote.span_id], row)
