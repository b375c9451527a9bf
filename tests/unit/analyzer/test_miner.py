from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import make_span, span_id_of
from halo_daemon.testing.traces import TraceScript


def _call(number, *, parent=0, tokens):
    return make_span(
        span_id=span_id_of(number),
        parent_span_id=span_id_of(parent) if parent else "",
        name="chat",
        observation_kind="LLM",
        attributes={"inference.llm.input_tokens": tokens, "inference.llm.output_tokens": 1},
    )


def test_a_call_around_a_call_is_not_counted_twice():
    """A wrapper's model call repeats the tokens of the call it makes; only that one counts."""
    trace = Trace.merge([_call(1, tokens=100), _call(2, parent=1, tokens=100), _call(3, tokens=7)])

    known = mine([trace], MinerSettings())

    (facts,) = known.traces.values()
    assert (facts.input_tokens, facts.output_tokens) == (107, 2)


def test_what_traces_could_have_shown_is_counted_however_many_ways_there_are():
    """Each trace is eligible for its own tool and for the agent, also where no two are alike."""
    number = 1_100
    scripts = [
        TraceScript(place + 1).tool(f"tool_{word_of(place)}", {}, result="ok")
        for place in range(number)
    ]

    known = mine([script.build() for script in scripts], MinerSettings())

    (agent,) = {facts.agent for facts in known.traces.values()}
    assert known.eligible[Population("agent", agent, "")] == {s.trace_id for s in scripts}
    for place, script in enumerate(scripts):
        own = Population("span", agent, f"tool_{word_of(place)}")
        assert known.eligible[own] == {script.trace_id}


def word_of(place):
    """A word of letters alone, so that no two become one when names are masked."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(place))
