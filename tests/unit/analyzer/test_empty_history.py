import pytest

from halo_daemon.analyzer.memory import memory_of
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

RULE = "empty_result@3"
NIGHT_NS = 86_400_000_000_000


def window(number, empty, *, first=1):
    """A number of runs that look something up; so many of them find nothing."""
    scripts = []
    for place in range(number):
        script = TraceScript(first + place).model("Look.")
        result = "[]" if place < empty else f"page {place}"
        scripts.append(script.tool("search", {"q": place}, result=result).answer("So."))
    return scripts


def found(report):
    """(severity, affected) of the finding, and whether it is but a weak signal."""
    rows = [(f, False) for f in report.findings] + [(f, True) for f in report.weak_signals]
    shown = [
        (f.severity, f.counts.affected_traces, weak)
        for f, weak in rows
        if f.source == f"rule:{RULE}"
    ]
    assert len(shown) < 2
    return shown[0] if shown else None


def night(place):
    """The window of one night."""
    return Window(place * NIGHT_NS, (place + 1) * NIGHT_NS)


def nights(*windows):
    """What is found in each of several windows, one after the other."""
    previous, rows = None, []
    for place, (number, empty) in enumerate(windows):
        scripts = window(number, empty, first=1 + 1_000 * place)
        previous = report_of(
            scripts, window=night(place), previous=previous, memory=memory_of(previous)
        )
        rows.append(found(previous))
    return rows


def test_a_tool_that_seldom_finds_nothing_is_a_small_finding():
    """A few runs of many: shown, and no more than low."""
    assert nights((100, 8)) == [("low", 8, False)]


def test_a_tool_that_mostly_finds_nothing_is_made_so():
    """Night after night nearly always empty: a weak signal, never more."""
    assert nights((100, 90), (100, 95)) == [("low", 90, True), ("low", 95, True)]


def test_a_tool_that_stops_finding_anything_is_broken_until_it_finds_again():
    """Empty in half of the runs after a night of two in a hundred: high, and still the next night."""
    rows = nights((100, 2), (100, 60), (100, 70), (100, 1))

    assert rows == [("low", 2, True), ("high", 60, False), ("high", 70, False), ("low", 1, False)]


@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param((100, 20), (100, 25), id="hardly more"),
        pytest.param((5, 0), (100, 30), id="little is known of before"),
        pytest.param((100, 0), (8, 3), id="too few now"),
    ],
)
def test_a_rise_must_be_one(before, now):
    """Chance and ignorance raise nothing."""
    assert nights(before, now)[1][0] == "low"


def test_a_rise_over_several_nights_is_seen():
    """Four nights of twenty runs each say what is usual, where one alone would not."""
    before = [(20, 1)] * 4

    assert nights((20, 1), (20, 5))[-1][0] == "low"
    assert nights(*before, (20, 5))[-1][0] == "high"


def test_what_is_worse_for_good_becomes_usual():
    """A tool that finds less from one night on is loud for some nights, then measured anew."""
    rows = nights((100, 0), *[(100, 30)] * 6)

    assert [row[0] for row in rows[1:]] == ["high", "high", "high", "low", "low", "low"]


def test_a_window_that_is_analysed_again_is_not_held_against_itself():
    """The same night twice gives the same finding, and counts once for the next night."""
    first = report_of(window(100, 2), window=night(0))
    broken = window(100, 60, first=1_000)
    second = report_of(broken, window=night(1), previous=first)
    again = report_of(broken, window=night(1), previous=second)

    assert found(again) == found(second) == ("high", 60, False)
    assert again.dataset.lookups == second.dataset.lookups
    assert [row.tools[0].empty for row in again.dataset.lookups] == [2, 60]


def test_what_was_found_before_is_no_change_of_what_is_used():
    """How often tools find nothing is not told as a change of what is there."""
    first = report_of(window(50, 10))
    second = report_of(window(50, 0, first=1_000), previous=first)

    assert [row.tools[0].empty for row in second.dataset.lookups] == [10]
    assert second.what_changed == ()
