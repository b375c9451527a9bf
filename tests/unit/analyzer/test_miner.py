from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import make_span, span_id_of


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
