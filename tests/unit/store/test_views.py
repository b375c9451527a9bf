import pytest

from halo_daemon.proto.trace import Trace
from halo_daemon.store.records import TraceRecord
from halo_daemon.store.views import compare, fit, outline, sample
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of, trace_id_of


def tree(*edges: tuple[int, int], **changes: object) -> Trace:
    """A trace of spans by number, each with its parent's number; 0 for none."""
    return Trace.merge(
        make_span(
            span_id=span_id_of(number),
            parent_span_id=span_id_of(parent) if parent else "",
            start_unix_ns=START_UNIX_NS + number,
            **changes,
        )
        for number, parent in edges
    )


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        pytest.param([(1, 0), (2, 1), (3, 1), (4, 2)], [(1, 0), (2, 1), (4, 2), (3, 1)], id="tree"),
        pytest.param([(1, 0), (2, 9)], [(1, 0), (2, 0)], id="orphan"),
        pytest.param([(1, 2), (2, 1), (3, 0)], [(3, 0), (1, 0), (2, 1)], id="cycle"),
        pytest.param([(2, 3), (3, 0)], [(3, 0), (2, 1)], id="child-before-its-parent"),
    ],
)
def test_an_outline_reads_from_parents_to_children(edges, expected):
    """Every span is there once, below its parent, siblings in order of start."""
    found = outline(tree(*edges))

    assert [(int(entry.span_id, 16), entry.depth) for entry in found] == expected


def test_a_chain_of_ten_thousand_spans_is_outlined():
    """Depth is bounded by nothing but the trace."""
    found = outline(tree(*((number, number - 1) for number in range(1, 10_001))))

    assert found[-1].depth == 9_999


def test_deep_parts_are_folded_into_what_is_shown():
    """Nothing is left out unsaid: folded spans are counted where they belong."""
    trace = tree((1, 0), (2, 1), (3, 2), (4, 3), (5, 1))

    found = outline(trace, max_depth=1)

    assert [(int(entry.span_id, 16), entry.folded_spans) for entry in found] == [
        (1, 0),
        (2, 2),
        (5, 0),
    ]
    assert fit(outline(trace), max_entries=3) == found
    assert fit(outline(trace), max_entries=5) == outline(trace)
    assert [entry.folded_spans for entry in fit(outline(trace), max_entries=1)] == [4]


def test_groups_are_compared_by_share_of_traces():
    """A feature counts once a trace; equal shares are not listed."""
    a = [tree((1, 0), (2, 1), service_name="s", name=name) for name in ("x", "x", "y", "y")]
    b = [tree((1, 0), service_name="s", name=name) for name in ("x", "z")]

    rows = compare(a, b)

    assert [(row.feature, row.value, row.a_traces, row.b_traces) for row in rows] == [
        ("name", "y", 2, 0),
        ("name", "z", 0, 1),
    ]
    assert compare(a, []) == []


def record(number: int, *, errors: int = 0) -> TraceRecord:
    """A trace that begins at its number."""
    return TraceRecord(
        trace_id=trace_id_of(number),
        start_unix_ns=number,
        end_unix_ns=number + 1,
        spans=1 + number % 7,
        duplicate_spans=0,
        error_spans=errors,
        derived_error_spans=0,
        tool_error_spans=0,
        spans_without_agent=0,
        missing_parents=0,
        skewed_spans=0,
        has_ended_root=True,
        session_id="",
        user_id="",
        input_tokens=0,
        output_tokens=0,
        cost_usd=0.0,
        line_bytes=1,
    )


def test_a_sample_is_spread_and_steady():
    """Rare failures and all stretches of time are in it, in whatever order traces come."""
    traces = [record(number, errors=int(number == 500)) for number in range(1, 1001)]

    chosen = sample(traces, 20)

    assert chosen == sample(traces[::-1], 20)
    assert len(chosen) == len({trace.trace_id for trace in chosen}) == 20
    assert any(trace.error_spans for trace in chosen)
    assert {trace.start_unix_ns * 3 // 1001 for trace in chosen} == {0, 1, 2}
    assert sample(traces[:3], 20) == traces[:3]
    assert sample([], 20) == []
