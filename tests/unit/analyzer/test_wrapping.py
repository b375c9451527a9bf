import re

import pytest
from hypothesis import given, strategies as st
from rich.cells import cell_len

from halo_daemon.analyzer.wrapping import padded, wrapped

_CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp", "Zs"))
_WORDS = st.lists(st.text(_CHARACTERS, min_size=1, max_size=6), max_size=12)


def test_lines_are_measured_in_columns():
    """Ten wide characters take twenty columns, so a line of ten holds five of them."""
    assert wrapped("検索検索検索検索検索", 10) == ["検索検索検", "索検索検索"]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, []),
        ("one two", 7, ["one two"]),
        ("one two", 6, ["one", "two"]),
        ("longerthanaline x", 4, ["longerthanaline", "x"]),
        ("rate 12 %", 7, ["rate", "12 %"]),
        ("tool 検索 failed", 9, ["tool 検索", "failed"]),
        ("🙂🙂 ok", 4, ["🙂🙂", "ok"]),
    ],
)
def test_lines_end_where_words_do(text, width, lines):
    """A line is as long as its words allow; no word of an alphabet is cut."""
    assert wrapped(text, width) == lines


@given(_WORDS, st.integers(12, 40))
def test_no_line_with_a_choice_is_too_wide_and_nothing_is_lost(words, width):
    """Every line fits but one of a single word, to which a sign may belong; no text is lost."""
    lines = wrapped(" ".join(words), width, first="- ", then="  ")

    unbroken = re.sub(" (?=[%·])", "_", " ".join(words)).split(" ")
    widest = 2 + max(map(cell_len, unbroken))
    assert all(cell_len(line) <= max(width, widest) for line in lines)
    assert "".join(lines).replace(" ", "") == ("-" if words else "") + "".join(words)


def test_padding_fills_columns():
    """A wide character counts as two; what is wider than asked stays as it is."""
    assert padded("検", 4) == "検  "
    assert padded("検索検", 4) == "検索検"
