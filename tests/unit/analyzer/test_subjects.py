"""Whose spans they are: an agent is handed down to all that it does."""

import pytest

from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of


def agents(*spans):
    """The agent of each span, by its number; a span is its number, parent, name and start."""
    made = [
        make_span(
            span_id=span_id_of(number),
            parent_span_id=span_id_of(parent) if parent else "",
            start_unix_ns=START_UNIX_NS + start_ns,
            end_unix_ns=START_UNIX_NS + 100,
            attributes={"inference.agent_name": agent},
        )
        for number, parent, agent, start_ns in spans
    ]
    view = TraceView(Trace.merge(made), MinerSettings())
    return {int(span.span_id, 16): view.agent_of(span) for span in view.trace.spans}


@pytest.mark.parametrize(
    "starts_ns",
    [
        pytest.param((0, 1, 2, 3), id="one after the other"),
        pytest.param((0, 0, 0, 0), id="within one tick of the clock"),
        pytest.param((3, 2, 1, 0), id="by two clocks"),
    ],
)
def test_an_agent_is_handed_down_whatever_the_clock_says(starts_ns):
    """Node.js stamps spans by the millisecond, so that a child is often sorted first."""
    numbers_and_parents = ((9, 0), (5, 9), (3, 5), (1, 3))
    names = ("", "orders", "", "")
    spans = [
        (number, parent, name, start_ns)
        for (number, parent), name, start_ns in zip(
            numbers_and_parents, names, starts_ns, strict=True
        )
    ]

    found = agents(*spans)

    assert (found[5], found[3], found[1]) == ("orders", "orders", "orders")
    assert found[9] != "orders"


def test_spans_that_are_their_own_ancestors_have_an_agent_each():
    """A cycle ends the search."""
    assert set(agents((1, 2, "", 0), (2, 1, "", 0), (3, 1, "orders", 0))) == {1, 2, 3}
