import random

import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.step_wall import add_step_walls
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of


def run(number, steps, *, answered):
    """A run of that many steps, model and tool in turn, that works all along."""
    script = TraceScript(number)
    for place in range(steps):
        if place % 2:
            script.tool("read", {"n": place}, result=f"page {place} of book {number}")
        else:
            script.model("Next.", calls=[("read", {"n": place + 1})])
    return script.answer("Done.") if answered else script.forget_answer()


def window(*rows):
    """Runs of (how many, steps, answered)."""
    lengths = [(steps, answered) for many, steps, answered in rows for _ in range(many)]
    return [
        run(number, steps, answered=answered)
        for number, (steps, answered) in enumerate(lengths, start=1)
    ]


def walls(scripts):
    """Length and number of runs of every wall found."""
    report = report_of(scripts)
    found = [*report.findings, *report.weak_signals]
    return [
        (f.fingerprint.parts[4], f.counts.affected_traces)
        for f in found
        if f.source == "rule:budget_exhausted@1" and f.verified
    ]


NORMAL = ((9, 7, True), (9, 9, True), (6, 11, True))


def test_runs_that_stop_at_one_length_are_a_wall():
    """Five runs without an answer at thirty steps, where others end earlier, are reported."""
    assert walls(window(*NORMAL, (5, 30, False))) == [("30 steps", 5)]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param((*NORMAL, (4, 30, False)), id="four runs"),
        pytest.param((*NORMAL, (8, 30, True)), id="with an answer"),
        pytest.param((*NORMAL, (5, 30, False), (2, 28, True)), id="a length beside it"),
        pytest.param((*NORMAL, (5, 30, False), (1, 40, True)), id="one run went beyond"),
        pytest.param(((20, 30, False),), id="no other length"),
        pytest.param(((9, 8, False), (9, 10, False), (8, 30, False)), id="none ever answers"),
        pytest.param(((9, 1, True), (9, 3, True), (9, 4, False)), id="short runs"),
    ],
)
def test_what_only_looks_like_a_wall_is_left_alone(rows):
    """A few runs, answered runs, a slope, a longer run, a fixed length: no wall."""
    assert walls(window(*rows)) == []


def test_a_wall_of_model_calls_is_seen_through_parallel_tools():
    """The limit counts turns where runs of equal turns have unequal steps."""
    scripts = window(*NORMAL)
    for number in range(100, 106):
        script = run(number, 28, answered=False)
        scripts.append(script.model("Both.", calls=[("read", {"n": 98})]))
        for place in range(number - 99):
            script.tool("read", {"n": 100 + place}, result=f"leaf {place} of {number}")

    assert walls(scripts) == [("15 model calls", 6)]


def test_a_failed_last_step_is_no_wall():
    """A run that ends because a step failed has told why."""
    scripts = window(*NORMAL)
    for number in range(100, 106):
        script = run(number, 29, answered=False)
        scripts.append(script.tool("read", {"n": 1}, error="disk is gone"))

    assert walls(scripts) == []


@pytest.mark.parametrize("seed", range(5))
def test_parts_in_any_order_give_the_same_wall(seed):
    """Traces in any order, in one part or in several, give equal groups."""
    traces = [script.build() for script in window(*NORMAL, (6, 30, False))]
    whole = mine(traces, MinerSettings())
    random.Random(seed).shuffle(traces)
    parts = [mine(traces[place::3], MinerSettings()) for place in range(3)]
    for part in parts[1:]:
        parts[0].absorb(part)

    add_step_walls(whole)
    add_step_walls(parts[0])
    add_step_walls(parts[0])

    assert parts[0].groups == whole.groups
    assert any(key.error_type == "wall" for key in whole.groups)
