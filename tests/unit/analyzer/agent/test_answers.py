import json

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.agent.answers import cut_text, fit

TEXTS = st.text(max_size=200)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=40,
)


def records(count: int, size: int) -> dict:
    """An answer with *count* records."""
    return {
        "result": {"rows": [{"n": n, "text": "é" * size} for n in range(count)], "total": count}
    }


def test_what_fits_is_left_alone():
    """An answer within the budget is its JSON."""
    assert fit({"a": 1}, budget_bytes=4_096) == '{"a":1}'


@pytest.mark.parametrize(("count", "size"), [(1_000, 10), (3, 50_000), (1, 10**6), (50, 3_000)])
def test_an_answer_is_shortened_never_emptied(count, size):
    """Whole records go from the end, texts are cut with a mark, and the rest is announced."""
    text = fit(
        records(count, size),
        budget_bytes=20_000,
        next_call=lambda kept: {"tool": "t", "arguments": {"offset": kept}},
    )

    answer = json.loads(text)
    rows = answer["result"]["rows"]
    assert len(text.encode()) <= 20_000
    assert answer["truncated"] is True
    assert [row["n"] for row in rows] == list(range(len(rows)))
    assert len(rows) == count or answer["next"]["arguments"]["offset"] == len(rows) >= 1


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=6), st.integers(2_048, 8_000))
def test_every_answer_fits_and_is_json(answer, budget_bytes):
    """Whatever a tool returns, the text is JSON within the budget (R6, P-03)."""
    text = fit(answer, budget_bytes=budget_bytes)

    assert len(text.encode()) <= budget_bytes
    assert isinstance(json.loads(text), dict)


def test_a_cut_text_tells_its_length():
    """The mark is part of the limit and names the original length."""
    cut = cut_text("x" * 500, 100)

    assert len(cut) == 100
    assert cut.endswith("… [cut: 500 characters in all]")
