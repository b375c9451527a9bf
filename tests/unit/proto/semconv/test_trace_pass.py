import pytest

from halo_daemon.proto.semconv import Usage, facts_of
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import make_fields, span_id_of


def make_span(number, parent=0, kind="SPAN", **attributes):
    """Span *number* under *parent*; tokens and the rest by the last part of their key."""
    keys = {
        "tokens": "inference.llm.input_tokens",
        "cost": "inference.llm.cost.total",
        "total": "halo.aggregate.input_tokens",
        "session": "inference.session_id",
        "agent": "inference.agent_name",
    }
    return Span.from_fields(
        make_fields(
            span_id=span_id_of(number),
            parent_span_id=span_id_of(parent) if parent else "",
            observation_kind=kind,
            attributes={keys[name]: value for name, value in attributes.items()},
        )
    )


def test_usage_is_that_of_the_innermost_calls():
    """A model call around another one that reports usage repeats it."""
    trace = Trace.merge(
        [
            make_span(1, kind="AGENT", total=30),
            make_span(2, 1, "LLM", tokens=30, cost=0.5),
            make_span(3, 2, "CHAIN"),
            make_span(4, 3, "LLM", tokens=10, cost=0.25),
            make_span(5, 3, "LLM", tokens=20, cost=0.25),
            make_span(6, 1, "LLM"),
        ]
    )

    facts = facts_of(trace)

    assert facts.usage == Usage(input_tokens=30, cost_usd=0.5)
    assert facts.enclosing_calls == {span_id_of(2)}
    assert facts.mismatches == ()


def test_totals_that_differ_are_told():
    """An agent that states more than its children used is named; nothing is changed."""
    trace = Trace.merge([make_span(1, kind="AGENT", total=500), make_span(2, 1, "LLM", tokens=30)])

    (mismatch,) = facts_of(trace).mismatches

    assert (mismatch.span_id, mismatch.stated_input_tokens) == (span_id_of(1), 500)
    assert mismatch.counted.input_tokens == 30


@pytest.mark.parametrize(
    ("sessions", "session_id"), [(["a", ""], "a"), (["a", "a"], "a"), (["a", "b"], ""), ([""], "")]
)
def test_a_session_on_one_span_is_that_of_the_trace(sessions, session_id):
    """The root alone often names the session; two names are no answer."""
    spans = [make_span(number, session=name) for number, name in enumerate(sessions, start=1)]

    assert facts_of(Trace.merge(spans)).session_id == session_id


def test_spans_belong_to_the_nearest_agent_above():
    """A span without an agent's name belongs to the agent that encloses it."""
    trace = Trace.merge(
        [
            make_span(1, kind="AGENT", agent="outer"),
            make_span(2, 1, "TOOL"),
            make_span(3, 2, "AGENT", agent="inner"),
            make_span(4, 3, "LLM"),
            make_span(5, 99, "LLM"),
        ]
    )

    assert facts_of(trace).agents == {
        span_id_of(1): "outer",
        span_id_of(2): "outer",
        span_id_of(3): "inner",
        span_id_of(4): "inner",
    }


def test_cycles_and_long_chains_end():
    """C46: parents in a circle hang nothing, and depth costs no stack."""
    circle = Trace.merge([make_span(1, 2, "LLM", tokens=1), make_span(2, 1, "LLM", tokens=2)])
    chain = Trace.merge(make_span(number, number - 1) for number in range(1, 5000))

    assert facts_of(circle).usage.input_tokens in {1, 2, 3}
    assert facts_of(chain).usage == Usage()
