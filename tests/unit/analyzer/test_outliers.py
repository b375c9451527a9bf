import random

import pytest

from halo_daemon.analyzer.outliers import Spread
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of


def spread_of(values):
    """A spread of values, each from a trace of its own."""
    spread = Spread()
    for place, value in enumerate(values):
        spread.add(value, f"t{place:04}", "s")
    return spread


def test_few_values_stand_out_from_nothing():
    """Below twenty values there is no usual one."""
    assert spread_of([10.0] * 19).threshold(0.0) is None


def test_what_is_far_above_the_rest_stands_out():
    """Values of one size with some spread: ten times as much is above the threshold."""
    draw = random.Random(2)
    values = [draw.uniform(80, 120) for _ in range(200)]

    threshold = spread_of(values).threshold(0.0)

    assert max(values) < threshold < 1_000


def test_without_spread_three_times_as_much_stands_out():
    """Equal values have no deviation to measure by."""
    assert 280 < spread_of([100.0] * 50).threshold(0.0) < 330


def test_the_floor_keeps_small_things_quiet():
    """What is slow for a fast tool may still be fast."""
    assert spread_of([1.0] * 50).threshold(5_000.0) == 5_000.0


def test_parts_add_up_in_any_order():
    """Two halves make the whole, whichever comes first."""
    values = [float(n) for n in range(1, 301)]
    whole, left, right = spread_of(values), Spread(), Spread()
    for place, value in enumerate(values):
        (left if place % 3 else right).add(value, f"t{place:04}", "s")

    right.absorb(left)

    assert right == whole


@pytest.mark.parametrize(("factor", "rules"), [(1, set()), (40, {"heavy@1"})])
def test_heavy_calls_are_a_finding(factor, rules):
    """Calls with many times the usual tokens are reported, as low."""
    draw = random.Random(1)
    scripts = []
    for number in range(1, 81):
        tokens = draw.randint(900, 1_100) * (factor if number % 20 == 0 else 1)
        scripts.append(TraceScript(number).model("x", tokens=(tokens, 50)).answer("done"))

    report = report_of(scripts)

    assert {f.source.removeprefix("rule:") for f in report.findings} == rules
    assert all(f.severity == "low" and f.verified for f in report.findings)
