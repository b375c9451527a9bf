import pytest

from halo_daemon.proto.trace import Trace
from halo_daemon.store.views import fit, outline
from halo_daemon.testing.spans import START_UNIX_NS, make_span, span_id_of


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
