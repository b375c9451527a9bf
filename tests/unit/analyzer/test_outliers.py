import math
import random

import pytest
from hypothesis import given, strategies as st

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.outlier_findings import outlier_findings
from halo_daemon.analyzer.outliers import FLOORS, Measure, Spread
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.run import analyze_window
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS, make_span, trace_id_of
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import RUN, WINDOW, report_of


def spread_of(values, floor=1.0):
    """A spread of values, each from a trace of its own."""
    spread = Spread(floor)
    for place, value in enumerate(values):
        spread.add(f"t{place:04}", [(value, "s")])
    return spread


def add(spread, row):
    """Add one value with its trace and its span."""
    value, trace_id, span_id = row
    spread.add(trace_id, [(value, span_id)])


def test_few_values_stand_out_from_nothing():
    """Below twenty values there is no usual one."""
    assert spread_of([10.0] * 19).outstanding() is None


def test_what_is_far_above_the_rest_stands_out():
    """Values of one size with some spread: ten times as much is above the threshold."""
    draw = random.Random(2)
    values = [draw.uniform(80, 120) for _ in range(200)]

    assert max(values) < spread_of(values).outstanding().threshold < 1_000


def test_without_spread_three_times_as_much_stands_out():
    """Equal values have no deviation to measure by."""
    assert 280 < spread_of([100.0] * 50).outstanding().threshold < 330


def test_the_floor_keeps_small_things_quiet():
    """What is slow for a fast tool may still be fast."""
    assert spread_of([1.0] * 50, floor=5_000.0).outstanding() == (5_000.0, 0, frozenset())


def test_what_is_as_large_as_the_threshold_stands_out():
    """The floor is the edge of a bucket: a value of just that size counts, the next below not."""
    values = [1.0] * 50 + [5_000.0, math.nextafter(5_000.0, 0)]

    assert spread_of(values, floor=5_000.0).outstanding() == (5_000.0, 1, {"t0050"})


@given(
    values=st.lists(st.sampled_from([0.5, 2.0, 90.0, 110.0, 2_000.0, 9e9]), min_size=20),
    parts=st.integers(1, 5),
    draw=st.randoms(use_true_random=False),
)
def test_parts_add_up_in_any_order(values, parts, draw):
    """However the traces are split and whichever part comes first, the whole comes out."""
    rows = [(value, f"t{place % 40:02}", f"s{place}") for place, value in enumerate(values)]
    whole, split = Spread(1.0), [Spread(1.0) for _ in range(parts)]
    for row in rows:
        add(whole, row)
    homes = {trace_id: draw.randrange(parts) for _, trace_id, _ in rows}
    for row in draw.sample(rows, len(rows)):
        add(split[homes[row[1]]], row)
    added = Spread(1.0)
    for part in draw.sample(split, parts):
        added.absorb(part)

    assert added == whole
    found = whole.outstanding()
    assert found is not None
    threshold, count, traces = found
    # Nothing above lies near an edge, so the threshold can be compared with.
    assert count == sum(value >= threshold for value in values)
    assert traces == {trace_id for value, trace_id, _ in rows if value >= threshold}


def window_of(traces, *, every):
    """What is known of many runs of a minute, one in *every* of which takes an hour."""
    script = TraceScript(1).model("x", tokens=(1, 1)).answer("done")
    (facts,) = mine([script.build()], MinerSettings()).traces.values()
    known = Partial()
    draw = random.Random(3)
    ids = [f"{place:032x}" for place in range(traces)]
    known.traces = {
        trace_id: facts._replace(trace_id=trace_id, session_id=f"session {place // 2}")
        for place, trace_id in enumerate(ids)
    }
    known.eligible[Population("agent", facts.agent, "")] = set(ids)
    measure = Measure("slow_run", facts.agent, "", "")
    spread = known.spreads[measure] = Spread(FLOORS["slow_run"])
    for place, trace_id in enumerate(ids):
        times = 60 if place % every == 0 else 1
        spread.add(trace_id, [(times * draw.uniform(55_000, 65_000), "root")])
    return known


@pytest.mark.parametrize(
    ("traces", "every", "affected"), [(20_000, 50, 400), (2_000, 50, 40), (20_000, 5, 4_000)]
)
def test_all_that_stands_out_is_counted(traces, every, affected):
    """Rate, interval, spans and sessions are of all runs that stand out, however many they are."""
    (found,) = outlier_findings(window_of(traces, every=every), MinerSettings())

    counts = found.finding.counts
    assert (counts.affected_traces, counts.eligible_traces) == (affected, traces)
    assert (counts.spans, counts.sessions) == (affected, affected)
    assert counts.ci95[0] < counts.rate == affected / traces < counts.ci95[1]
    assert len(found.traces) == affected
    assert len(found.finding.evidence) == 3


@pytest.mark.parametrize(("factor", "rules"), [(1, set()), (40, {"heavy@2"})])
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
    found = [f for f in report.findings if f.source == "rule:idle@2"]
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
