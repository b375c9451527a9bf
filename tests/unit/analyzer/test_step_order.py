import pytest

from halo_daemon.analyzer.step_order import StepOrder
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of


def _step(number, kind, begin, end):
    return make_span(
        span_id=span_id_of(number),
        observation_kind=kind,
        start_unix_ns=START_UNIX_NS + begin,
        end_unix_ns=START_UNIX_NS + end if end is not None else 0,
    )


@pytest.mark.parametrize(
    ("steps", "decided_by"),
    [
        ([(1, "LLM", 0, 5), (2, "TOOL", 5, 9)], 1),
        ([(1, "LLM", 0, 5), (2, "LLM", 6, 8), (3, "TOOL", 7, 9)], 2),
        ([(1, "LLM", 0, 5), (2, "LLM", 6, 9), (3, "TOOL", 7, 9)], 2),
        ([(1, "LLM", 0, None), (2, "TOOL", 7, 9)], None),
        ([(1, "TOOL", 0, 5), (2, "TOOL", 7, 9)], None),
    ],
)
def test_a_call_is_decided_by_the_model_call_that_ended_last_before_it(steps, decided_by):
    """One that ends with the call counts when it began before; one without an end never does."""
    spans = [_step(*row) for row in steps]
    decision = StepOrder(spans).decision_of(spans[-1])
    assert (decision.span_id if decision else None) == (
        span_id_of(decided_by) if decided_by else None
    )


def test_places_count_what_had_begun():
    """A step's own place is that of its start, and what follows it is the next model call."""
    spans = [_step(1, "LLM", 0, 5), _step(2, "TOOL", 5, 9), _step(3, "LLM", 10, 12)]
    order = StepOrder(spans)
    assert [order.step_at(span.start_unix_ns) for span in spans] == [0, 1, 2]
    assert order.turn_at(START_UNIX_NS + 11) == 2
    assert order.following_call(spans[0]) is spans[2]
    assert order.following_call(spans[2]) is None
