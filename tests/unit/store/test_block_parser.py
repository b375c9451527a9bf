"""Lines of a block are judged one by one, although they are looked at together."""

import pytest
from hypothesis import given, strategies as st

from halo_daemon.store.block_parser import Kinds, ParsedBlock, parse_block
from halo_daemon.store.receipts import Receipts
from halo_daemon.store.span_row import PARENT_ID, SHAPE, SHARD, SPAN_COLUMNS, SPAN_ID, TRACE_ID
from halo_daemon.testing.spans import make_line, span_id_of

SPAN = make_line()[:-1]
LINES = (
    SPAN,
    make_line(name="café 東京 🚀", span_id=span_id_of(2))[:-1],
    SPAN.replace(b'"name":"', b'"name":"\xff'),
    SPAN.replace(b'"attributes":{', b'"attributes":{"custom":"\xe6\x9d",'),
    SPAN.replace(b'"attributes":{', b'"attributes":{"custom":"\xed\xa0\x80",'),
    SPAN + b"\r",
    b"",
    b" \t",
    b"{}",
    b"\xc3",
    b"\0" * 9,
)
TAILS = (b"", b"\xe6\x9d", b"\xff", SPAN[:50], "é".encode()[:1])


def parsed(block: bytes, *, base_offset: int = 0, first_id: int = 1) -> ParsedBlock:
    """A block as the first one of an index."""
    shapes: dict[object, int] = {}
    return parse_block(
        block,
        shard=7,
        base_offset=base_offset,
        first_id=first_id,
        receipts=Receipts([], [], 5, is_last_stored=True),
        kinds=Kinds(lambda shape: shapes.setdefault(shape, len(shapes) + 1)),
    )


@given(st.lists(st.sampled_from(LINES)), st.sampled_from(TAILS))
def test_a_line_is_judged_the_same_alone_and_among_others(lines, tail):
    """Neighbours and an unfinished end change nothing of what a line is, nor where it is."""
    together = parsed(b"".join(line + b"\n" for line in lines) + tail)

    rows, bad, offset = [], [], 0
    for line in lines:
        alone = parsed(line + b"\n", base_offset=offset, first_id=len(rows) + 1)
        rows += alone.rows
        bad += alone.bad
        offset += len(line) + 1
    assert (together.rows, together.bad, together.end_offset) == (rows, bad, offset)


def test_places_are_those_of_the_columns():
    """Whoever reads a row by place reads what the column of that name holds."""
    places = {
        "shape": SHAPE,
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "stored_parent_id": PARENT_ID,
        "shard": SHARD,
    }
    assert {name: SPAN_COLUMNS.index(name) for name in places} == places


@pytest.mark.parametrize("cost", [b"1" * 400, b"-" + b"9" * 309])
def test_a_cost_that_no_double_holds_costs_its_line_alone(cost: bytes) -> None:
    """Readers refuse such a number as well, so the line counts as damaged."""
    key = b'"inference.llm.cost.total":'
    odd = SPAN.replace(key + b"null", key + cost)

    block = parsed(odd + b"\n" + SPAN + b"\n")

    assert len(block.rows) == 1
    assert [(one.offset, one.length) for one in block.bad] == [(0, len(odd))]
