import math
import random

import pytest
from hypothesis import given, settings, strategies as st

from halo_daemon.analyzer.stats import (
    Interval,
    Table,
    benjamini_hochberg,
    design_effect,
    fisher_exact,
    mantel_haenszel,
    median,
    newcombe,
    percentile,
    wilson,
)

cells = st.integers(min_value=0, max_value=40)
tables = st.builds(Table, cells, cells, cells, cells)


def test_wilson_of_a_known_rate():
    """The interval of 24 of 96 is the one in the books."""
    low, high = wilson(24, 96)

    assert (round(low, 3), round(high, 3)) == (0.174, 0.345)


def test_wilson_without_anything_eligible_says_nothing():
    """No denominator, no knowledge: from 0 to 1."""
    assert wilson(0, 0) == Interval(0.0, 1.0)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_rate(eligible, data):
    """The observed rate is always inside its own interval, which is inside 0 to 1."""
    affected = data.draw(st.integers(0, eligible))

    low, high = wilson(affected, eligible)

    assert 0.0 <= low <= affected / eligible <= high <= 1.0


def test_newcombe_of_a_known_difference():
    """The example of Newcombe's paper, 56/70 against 48/80."""
    low, high = newcombe(56, 70, 48, 80)

    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


@settings(deadline=None)
@given(tables)
def test_fisher_equals_scipy(table):
    """The two-sided exact p-value is that of the oracle."""
    scipy_stats = pytest.importorskip("scipy.stats")

    expected = scipy_stats.fisher_exact([[table[0], table[1]], [table[2], table[3]]])[1]

    assert fisher_exact(table) == pytest.approx(expected, abs=1e-6)


def test_wilson_equals_scipy():
    """The interval is that of the oracle."""
    scipy_stats = pytest.importorskip("scipy.stats")
    for affected, eligible in ((1, 10), (5, 9), (200, 1000)):
        expected = scipy_stats.binomtest(affected, eligible).proportion_ci(method="wilson")

        assert wilson(affected, eligible) == pytest.approx(tuple(expected), abs=1e-9)


def test_mantel_haenszel_of_a_known_study():
    """Two strata with one common odds ratio give it back, with an interval around it."""
    strata = [Table(10, 20, 5, 40), Table(8, 10, 4, 20)]
    expected = (10 * 40 / 75 + 8 * 20 / 42) / (20 * 5 / 75 + 10 * 4 / 42)

    odds = mantel_haenszel(strata)

    assert odds is not None
    assert odds.ratio == pytest.approx(expected)
    assert odds.ci95.low < expected < odds.ci95.high


def test_a_confounder_is_taken_out():
    """What goes with failure only because long traces fail shows no association within lengths."""
    strata = [Table(1, 9, 9, 81), Table(45, 5, 45, 5)]
    crude = [Table(46, 14, 54, 86)]

    assert mantel_haenszel(crude).p < 1e-5
    assert mantel_haenszel(strata).p > 0.5


def test_one_stratum_is_tested_exactly():
    """With a single informative stratum the p-value is Fisher's."""
    table = Table(8, 2, 1, 9)

    assert mantel_haenszel([table, Table(3, 4, 0, 0)]).p == fisher_exact(table)


def test_strata_that_say_nothing_give_no_answer():
    """Without both outcomes on both sides there is nothing to compare."""
    assert mantel_haenszel([Table(3, 0, 5, 0), Table(0, 0, 5, 5)]) is None


@given(st.lists(tables, max_size=6))
def test_mantel_haenszel_never_fails(strata):
    """Whatever the tables, there is a p-value between 0 and 1 or no answer."""
    odds = mantel_haenszel(strata)

    assert odds is None or (0.0 <= odds.p <= 1.0 and math.isfinite(odds.ratio))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=40))
def test_benjamini_hochberg_equals_scipy(p_values):
    """The adjusted p-values are those of the oracle."""
    scipy_stats = pytest.importorskip("scipy.stats")
    expected = scipy_stats.false_discovery_control(p_values) if p_values else []

    assert benjamini_hochberg(p_values) == pytest.approx(list(expected))


def test_middle_values():
    """Median and percentile of small lists, and no answer for none."""
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert percentile([1, 2, 3, 4], 0.5) == 2
    assert percentile([1, 2, 3, 4], 0.95) == 4
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_independent_traces_keep_their_weight():
    """Sessions of one trace each, and sessions alike, do not widen an interval."""
    assert design_effect([(1, 1), (0, 1), (1, 1)]) == 1.0
    assert design_effect([]) == 1.0


def test_sessions_that_fail_as_a_whole_count_once():
    """Ten traces of a session that all fail say about as much as one."""
    clusters = [(10, 10), (0, 10), (10, 10), (0, 10)]

    assert design_effect(clusters) == pytest.approx(10.0)


def test_random_sessions_hardly_widen():
    """Where sessions say nothing, the design effect stays near one."""
    rng = random.Random(7)
    clusters = [(sum(rng.random() < 0.3 for _ in range(4)), 4) for _ in range(300)]

    assert design_effect(clusters) < 1.3
