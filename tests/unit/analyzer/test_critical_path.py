import random

import pytest

from halo_daemon.analyzer.critical_path import carriers_of, mean_carriers
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import START_UNIX_NS, make_span, trace_id_of
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

SECOND_NS = 10**9


def trace_of(*rows, number=1):
    """A trace of (id, parent, kind, name, first second, last second)."""
    ids = {row[0]: f"{place:016x}" for place, row in enumerate(rows, start=1)}
    return Trace.merge(
        make_span(
            trace_id=trace_id_of(number),
            span_id=ids[name],
            parent_span_id=ids.get(parent, "ffffffffffffffff" if parent else ""),
            name=title,
            observation_kind=kind,
            start_unix_ns=START_UNIX_NS + int(first * SECOND_NS),
            end_unix_ns=START_UNIX_NS + int(last * SECOND_NS),
        )
        for name, parent, kind, title, first, last in rows
    )


def shares(trace):
    """Share of the path by name, in hundredths."""
    return {row.name: round(row.share * 100) for row in carriers_of(trace)}


ROOT = ("r", "", "AGENT", "run", 0, 10)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([ROOT], {"run": 100}, id="a span alone carries itself"),
        pytest.param(
            [ROOT, ("a", "r", "LLM", "chat", 0, 4), ("b", "r", "TOOL", "fetch", 4, 10)],
            {"chat": 40, "fetch": 60},
            id="one after the other",
        ),
        pytest.param(
            [ROOT, ("a", "r", "LLM", "chat", 0, 9), ("b", "r", "TOOL", "fetch", 1, 10)],
            {"chat": 10, "fetch": 90},
            id="side by side, the one that ended last",
        ),
        pytest.param(
            [ROOT, ("a", "r", "LLM", "chat", 0, 3), ("b", "r", "TOOL", "fetch", 7, 10)],
            {"chat": 30, "fetch": 30, "run": 40},
            id="a pause is the parent's own",
        ),
        pytest.param(
            [ROOT, ("a", "r", "CHAIN", "step", 0, 10), ("b", "a", "LLM", "chat", 2, 10)],
            {"step": 20, "chat": 80},
            id="nested",
        ),
        pytest.param(
            [ROOT, ("a", "r", "TOOL", "fetch", 8, 15)],
            {"run": 53, "fetch": 13, "": 33},
            id="a child that outlives its parent",
        ),
        pytest.param(
            [ROOT, ("a", "gone", "TOOL", "late", 12, 20)],
            {"run": 50, "late": 40, "": 10},
            id="two roots with a pause between them",
        ),
    ],
)
def test_each_moment_goes_to_what_was_waited_for(rows, expected):
    """The shares are those of the spans that the end of the run waited for."""
    assert shares(trace_of(*rows)) == expected


@pytest.mark.parametrize("seed", range(30))
def test_the_shares_add_up_to_the_whole(seed):
    """Whatever hangs where, in time and in the tree, all shares together are one."""
    draw = random.Random(seed)
    rows = [ROOT]
    for place in range(draw.randint(1, 40)):
        first = draw.uniform(-2, 12)
        parent = draw.choice([row[0] for row in rows] + ["gone", f"s{place}"])
        name = f"n{draw.randrange(5)}"
        rows.append((f"s{place}", parent, "TOOL", name, first, first + draw.uniform(0, 6)))

    carried = carriers_of(trace_of(*rows))

    assert sum(row.share for row in carried) == pytest.approx(1)
    assert all(row.share > 0 for row in carried)


def test_every_trace_counts_alike_in_a_mean():
    """A long trace does not outweigh a short one."""
    short = trace_of(("a", "", "LLM", "chat", 0, 1))
    long = trace_of(("a", "", "TOOL", "fetch", 0, 100), number=2)

    assert {row.name: row.share for row in mean_carriers([short, long])} == {
        "chat": 0.5,
        "fetch": 0.5,
    }


def run(number, *, calls=4, slow_s=0):
    """A run of some calls, one of which may take its time."""
    script = TraceScript(number)
    for place in range(calls):
        script.model("Next.").tool("fetch", {"n": place}, result=f"page {place} of {number}")
        if place == 1 and slow_s:
            script.lasts(slow_s)
    return script.answer("Done.")


def slow_findings(scripts):
    """Slow findings of a report: (rule, cause, kinds of what is cited)."""
    report = report_of(scripts)
    rows = [f for f in report.findings if f.fingerprint.parts[0] in {"slow", "slow_run"}]
    assert all(row.verified for row in rows)
    return report, rows


def test_a_slow_step_says_how_much_of_the_run_it_is():
    """Four runs wait a minute for one call: that call is a finding, with its share of the path."""
    scripts = [run(n, slow_s=60 if n % 10 == 0 else 0) for n in range(1, 41)]

    report, (found,) = slow_findings(scripts)

    assert found.source == "rule:slow@2"
    assert found.root_cause.text.startswith("It is 93 % of the critical path of these runs.")
    slow = [row.trace_id for row in report.traces if found.finding_id in row.findings]
    assert slow == [script.trace_id for script in scripts if script.trace_id in slow]
    assert len(slow) == found.counts.affected_traces == 4


def test_runs_of_many_steps_are_slow_by_what_they_wait_for():
    """No step is slow, the runs are: the finding names what carries their critical path."""
    scripts = [run(n, calls=40 if n % 10 == 0 else 4) for n in range(1, 41)]

    _, (found,) = slow_findings(scripts)

    assert found.source == "rule:slow_run@2"
    assert found.severity == "low"
    assert "tool `fetch` (160 spans) 49 %" in found.root_cause.text
    assert len(found.evidence) == 3


def test_runs_of_one_length_are_not_slow():
    """Nothing stands out where all take about as long."""
    assert slow_findings([run(n, calls=4 + n % 3) for n in range(1, 60)])[1] == []
