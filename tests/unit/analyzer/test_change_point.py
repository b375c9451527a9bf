"""When a rate changed, by the days alone."""

import random

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.change_point import MIN_DAYS, change_point
from halo_daemon.findings import DayCount


def days(rates, *, eligible=100, seed=1):
    """One row a day, drawn with that day's rate."""
    draw = random.Random(seed)
    return [
        DayCount(
            f"2026-11-{place + 1:02d}", sum(draw.random() < rate for _ in range(eligible)), eligible
        )
        for place, rate in enumerate(rates)
    ]


def test_a_jump_is_found_on_its_day():
    """From 4 % to 12 % on the 12th: that day, give or take one, and both rates."""
    cut = change_point(days([0.04] * 11 + [0.12] * 9))

    assert cut.at in {"2026-11-11", "2026-11-12", "2026-11-13"}
    assert cut.before == pytest.approx(0.04, abs=0.02)
    assert cut.after == pytest.approx(0.12, abs=0.03)
    assert cut.p < 0.01


def test_steady_rates_change_about_as_often_as_their_p_says():
    """Of 100 steady series at most one in ten has a p of 0.05 or less."""
    found = [change_point(days([0.1] * 14, seed=seed)).p <= 0.05 for seed in range(100)]

    assert sum(found) <= 10


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_in_which_days_come_changes_nothing(draw):
    """Days are sorted, and the shuffles come from a fixed seed."""
    rows = days([0.05] * 6 + [0.2] * 6)
    shuffled = rows[:]
    draw.shuffle(shuffled)

    assert change_point(shuffled) == change_point(rows)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="none"),
        pytest.param(days([0.0] * 4 + [0.5] * (MIN_DAYS - 5)), id="too-few-days"),
        pytest.param(days([0.0] * 20), id="never"),
        pytest.param(days([0.3] * 20, eligible=0), id="nothing-eligible"),
        pytest.param([DayCount(f"2026-11-{n:02d}", 5, 5) for n in range(1, 15)], id="always"),
    ],
)
def test_where_there_is_nothing_to_tell_nothing_is_told(rows):
    """No days, no hits, or no variation: no change."""
    assert change_point(rows) is None
