import pytest
from hypothesis import given, strategies as st

from halo_daemon.proto.trace import Trace, later_version
from halo_daemon.testing.spans import make_span

TRACE = "5b8efff798038103d269b633813fc60c"


def span(number, *, parent=0, start=1, end=2, name="s"):
    """A span of one trace, by its number."""
    return make_span(
        trace_id=TRACE,
        span_id=f"{number:016x}",
        parent_span_id=f"{parent:016x}" if parent else "",
        start_unix_ns=start,
        end_unix_ns=end,
        name=name,
    )


@pytest.mark.parametrize(
    ("old", "new", "winner"),
    [
        pytest.param(span(1, end=0), span(1, end=5), "new", id="final-replaces-pending"),
        pytest.param(span(1, end=5), span(1, end=0), "old", id="pending-never-replaces-final"),
        pytest.param(span(1, end=5), span(1, end=4), "old", id="the-later-end-wins"),
        pytest.param(span(1, name="a"), span(1, name="b"), "new", id="same-end-arrival-decides"),
        pytest.param(span(1, end=0, name="a"), span(1, end=0, name="b"), "new", id="both-pending"),
    ],
)
def test_which_version_of_a_span_counts(old, new, winner):
    """A later complete version wins; a pending one never replaces a complete one."""
    assert later_version(old, new) is {"old": old, "new": new}[winner]


@given(st.permutations([span(1), span(2, parent=1, start=3), span(3, parent=1, start=2)]))
def test_order_of_arrival_does_not_matter(spans):
    """Spans are ordered by start, whatever order they came in."""
    trace = Trace.merge(spans)

    assert [int(each.span_id, 16) for each in trace.spans] == [1, 3, 2]
    assert [each.span_id for each in trace.children[f"{1:016x}"]] == [f"{3:016x}", f"{2:016x}"]


def test_a_resent_span_counts_once():
    """Identical deliveries are one span and are counted as duplicates."""
    trace = Trace.merge([span(1), span(1), span(1)])

    assert len(trace.spans) == 1
    assert trace.duplicate_spans == 2


def test_a_span_without_its_parent_is_a_root():
    """A missing parent makes a root, and is counted as missing."""
    trace = Trace.merge([span(2, parent=1)])

    assert trace.roots == trace.spans
    assert trace.missing_parents == 1


def test_a_cycle_has_no_root_and_does_not_hang():
    """Spans that are each other's parents form a trace without roots."""
    trace = Trace.merge([span(1, parent=2), span(2, parent=1)])

    assert trace.roots == ()


def test_a_trace_is_never_empty_and_never_two():
    """No spans, or spans of two traces, are refused."""
    other = make_span(trace_id="0" * 31 + "1", span_id=f"{1:016x}")

    with pytest.raises(ValueError, match="at least one"):
        Trace.merge([])
    with pytest.raises(ValueError, match="2 traces"):
        Trace.merge([span(1), other])
