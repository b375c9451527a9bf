import random

import pytest

from halo_daemon.analyzer.outliers import Spread
from halo_daemon.analyzer.run import analyze_window
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS, make_span, trace_id_of
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import RUN, WINDOW, report_of


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


def paused(number, pause_s, *, work_s=1.0, end=True):
    """A run of two steps with a pause between them, and work of another kind within it."""
    start, second = START_UNIX_NS + number * 3_600 * 10**9, 10**9
    trace = {"trace_id": trace_id_of(number)}
    began = start + 2 * second
    resumed = start + int((2 + pause_s) * second)
    last = resumed + second
    rows = [("root", "", "AGENT", start, last), ("one", "root", "LLM", start, began)]
    rows += [("work", "root", "CHAIN", began, began + int(work_s * second))]
    rows += [("two", "root", "TOOL", resumed, last)]
    return [
        make_span(
            span_id=f"{number:012x}{place:04x}",
            parent_span_id=f"{number:012x}0000" if parent else "",
            name=name,
            observation_kind=kind,
            start_unix_ns=at,
            end_unix_ns=until if end or name != "work" else 0,
            **trace,
        )
        for place, (name, parent, kind, at, until) in enumerate(rows)
    ]


def idle(*, every=20, **how):
    """Traces found idle among eighty, one in *every* of which pauses for a minute."""
    reader = MemoryReader()
    for number in range(1, 81):
        options = how if number % every == 0 else {}
        for span in paused(number, 61 if number % every == 0 else 2 + number % 3, **options):
            reader.add(span, received_unix_ns=1)
    report = analyze_window(reader, project="p", window=WINDOW, run=RUN)
    found = [f for f in report.findings if f.source == "rule:idle@1"]
    assert all(f.severity == "low" and f.verified for f in found)
    return [(f.counts.affected_traces, f.counts.eligible_traces) for f in found]


def test_runs_that_stand_still_are_a_finding():
    """A minute in which no span is at work stands out among pauses of seconds."""
    assert idle() == [(4, 80)]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"work_s": 60}, id="other work fills the pause"),
        pytest.param({"end": False}, id="no telling when the work ended"),
        pytest.param({"every": 40}, id="two runs"),
    ],
)
def test_what_only_looks_like_standing_still_is_left_alone(options):
    """Work of any kind is work, what has no end may go on, and two runs are few."""
    assert idle(**options) == []
