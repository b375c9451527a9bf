"""When a finding is said to escalate: counts by half-hour in, yes or no out."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.render_text import render_text
from halo_daemon.analyzer.rising import SLOT_NS, Watch, is_rising
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.findings import WatchedWindow
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import reader_of
from tests.unit.analyzer.test_run import failing, fine

DAY, WEEK = 48, 336
END = 3_000 * DAY
"""Half-hours since the epoch: a midnight."""


def window(begin, end, counts):
    """Half-hours *begin* to *end*, both as distances before `END`, with *counts* of them."""
    rows = tuple(sorted((slot, n) for slot, n in counts.items() if END - begin <= slot < END - end))
    return WatchedWindow((END - begin) * SLOT_NS, (END - end) * SLOT_NS, rows)


def flat(begin, per_slot=1, end=0):
    """The same count in every half-hour."""
    return dict.fromkeys(range(END - begin, END - end), per_slot)


def rise(begin, per_slot, end=0):
    """A higher count in the half-hours *begin* to *end* before `END`."""
    return dict.fromkeys(range(END - begin, END - end), per_slot)


def rises(counts, *, watched=5 * WEEK, age=4 * WEEK):
    """Whether a finding of *age* half-hours with these counts escalates at `END`."""
    return is_rising(Watch([window(watched, 0, counts)], END * SLOT_NS), (END - age) * SLOT_NS)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param(flat(5 * WEEK), False, id="steady"),
        pytest.param(flat(5 * WEEK) | rise(12, 5), True, id="both windows exceed"),
        pytest.param(flat(5 * WEEK) | rise(2, 8), True, id="one hour lifts both"),
        pytest.param(flat(5 * WEEK) | rise(2, 4), False, id="one hour exceeds, six do not"),
        pytest.param(flat(5 * WEEK) | rise(12, 5, 2), True, id="over for an hour, still held by"),
        pytest.param(flat(5 * WEEK) | rise(15, 5, 4), False, id="over for two hours"),
        pytest.param({}, False, id="nothing"),
        pytest.param(rise(2, 2), True, id="four in an hour where none were expected"),
        pytest.param(rise(2, 1), False, id="two in an hour are not above k"),
    ],
)
def test_both_windows_must_exceed(counts, expected):
    """One hour by k deviations and six hours by k - 1, against weeks of history."""
    assert rises(counts) is expected


def test_what_a_weekday_and_hour_always_bring_is_no_rise():
    """A peak every Monday at noon is expected then, and a rise on any other day."""
    peaks = [END - week * WEEK for week in range(5)]
    weekly = {slot - n: 9 for slot in peaks for n in range(1, 5)}
    once = {END - n: 9 for n in range(1, 5)}

    assert rises(flat(5 * WEEK) | weekly) is False
    assert rises(flat(5 * WEEK) | once) is True


@pytest.mark.parametrize(
    ("occurrences", "expected"),
    [(19, False), (20, True)],
)
def test_with_no_history_twenty_occurrences_are_a_rise(occurrences, expected):
    """Nothing is known of any day before, and the finding itself is old."""
    counts = {END - 1: occurrences}

    assert rises(counts, watched=12) is expected


@pytest.mark.parametrize(
    ("weeks", "expected"),
    [pytest.param(1, False, id="one week: k + 1"), pytest.param(4, True, id="four weeks: k")],
)
def test_less_than_two_weeks_of_history_ask_for_more(weeks, expected):
    """Four in an hour where none were are a rise after weeks, and not yet after one."""
    assert rises({END - 1: 4}, watched=weeks * WEEK + 12) is expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [(WEEK - 1, False), (WEEK, True)],
)
def test_a_finding_younger_than_seven_days_is_only_new(age, expected):
    """However often it comes."""
    assert rises(rise(12, 50), age=age) is expected


@pytest.mark.parametrize(
    ("low", "hours", "expected"),
    [
        pytest.param(5, 0, True, id="it goes on"),
        pytest.param(4, 6, True, id="above seven tenths for hours"),
        pytest.param(1, 6, False, id="below seven tenths for hours"),
    ],
)
def test_a_rise_is_left_at_seven_tenths_of_k(low, hours, expected):
    """Between seven tenths and all of k nothing begins, and what began goes on."""
    slots = 2 * hours
    counts = flat(5 * WEEK, 1) | rise(24 + slots, 5, slots) | rise(slots, low)

    assert rises(counts) is expected


def test_half_an_hour_below_does_not_end_a_rise_alone():
    """It is left once that held for half an hour, not at the first look."""
    begun = flat(5 * WEEK) | rise(8, 30)

    assert rises(begun | rise(2, 0)) is True
    assert rises(begun | rise(3, 0)) is False


def test_a_rise_is_closed_after_three_days_and_not_begun_again_at_the_same_level():
    """What lasts is the new level; after a pause it may rise anew."""
    assert rises(flat(5 * WEEK) | rise(3 * DAY - 4, 20)) is True
    assert rises(flat(5 * WEEK) | rise(3 * DAY + 4, 20)) is False
    assert rises(flat(5 * WEEK) | rise(5 * DAY, 20)) is False
    assert rises(flat(5 * WEEK) | rise(5 * DAY, 20) | rise(2 * DAY, 0) | rise(2, 30)) is True


def test_a_rise_is_closed_when_a_day_holds_less_than_half_of_the_day_it_began():
    """Also while its hours still exceed."""

    def after_a_peak(per_slot):
        """A weekly peak, in the day before a rise begins and not in the last."""
        weeks = range(END - 80, END - 6 * WEEK, -WEEK)
        return {slot - n: per_slot for slot in weeks for n in range(20)}

    assert rises(after_a_peak(50) | rise(60, 8)) is False
    assert rises(after_a_peak(15) | rise(60, 8)) is True


def test_hours_that_nobody_looked_at_are_not_taken_for_quiet_ones():
    """With gaps where the samples should be there is no history, and twenty are needed."""
    days = [window(day * DAY, day * DAY - 12, {}) for day in range(20, 8, -1)]
    now = window(12, 0, {END - 1: 10})
    seen = Watch([*days, now], END * SLOT_NS)
    gaps = Watch([window(20 * DAY, 20 * DAY - 40, {}), now], END * SLOT_NS)

    assert is_rising(gaps, (END - 4 * WEEK) * SLOT_NS) is False
    assert seen.watched(END - 20 * DAY, END) == 13 * 12


counted = st.dictionaries(st.integers(END - 2 * WEEK, END - 1), st.integers(1, 30), max_size=60)


@given(counted, st.lists(st.integers(1, 2 * WEEK - 1), max_size=5, unique=True), st.randoms())
def test_cuts_and_order_of_windows_change_nothing(counts, cuts, rng):
    """One window, several, or the same ones in another order give the same answer."""
    edges = sorted({2 * WEEK, *cuts, 0}, reverse=True)
    parts = [window(begin, end, counts) for begin, end in pairwise(edges)]
    whole = Watch([window(2 * WEEK, 0, counts)], END * SLOT_NS)
    apart = Watch(parts, END * SLOT_NS)
    rng.shuffle(parts)
    mixed = Watch(parts, END * SLOT_NS)

    spans = [(END - a, END - b) for a, b in ((WEEK, 0), (12, 0), (2 * WEEK, 0), (40, 30))]
    for watch in (apart, mixed):
        assert [watch.occurrences(*s) for s in spans] == [whole.occurrences(*s) for s in spans]
        assert is_rising(watch, 0) is is_rising(whole, 0)


@given(counted, st.integers(0, 3))
def test_looking_again_at_the_same_window_counts_nothing_twice(counts, times):
    """Traces of windows that overlap are the same traces."""
    once = window(2 * WEEK, 0, counts)

    again = Watch([once] * (times + 1), END * SLOT_NS)

    assert again.occurrences(END - 2 * WEEK, END) == sum(counts.values())


HOUR_NS = 3_600 * 10**9
NIGHTS = 10


def storm(number, calls=12):
    """A trace whose searches all fail, each with another question."""
    script = TraceScript(number)
    for call in range(calls):
        asked = {"q": f"x{call}"}
        script.model("I search.", calls=[("search", asked)])
        script.tool("search", asked, error="Error: index 7 is broken")
    return script.model("Sorry.").answer("Sorry.")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Ten nights of one failure every six hours, the last hours of the ninth full of them."""
    root = tmp_path_factory.mktemp("rising")
    past = ProjectMemory(root, "p")
    made, known = [], []
    for night in range(NIGHTS):
        first = night * 24 + 1
        scripts = [failing(n) if n % 6 == 0 else fine(n) for n in range(first, first + 24)]
        if night == NIGHTS - 2:
            scripts[-2:] = [storm(first + 22), storm(first + 23)]
        begin_ns = START_UNIX_NS + night * 24 * HOUR_NS
        asked = Window(begin_ns, begin_ns + 25 * HOUR_NS)
        memory, occurrences = past.recall(), {}
        report = analyze_window(
            reader_of(scripts, received_unix_ns=begin_ns + 1),
            project="p",
            window=asked,
            run=RunInfo(f"r_{night:02d}", f"r_{night:02d}", asked.to_unix_ns),
            memory=memory,
            on_occurrences=occurrences.update,
        )
        past.remember(report, memory, occurrences)
        made.append(report)
        known.append(past.recall().histories)
    return made, known


def the(report):
    """The finding of the tool's errors."""
    return next(f for f in report.findings if f.source.startswith("rule:tool_error"))


def test_a_report_says_which_finding_escalates(reports):
    """On the night of the storm alone; it is a flag beside the state."""
    made, _ = reports

    assert [the(report).escalating for report in made] == [False] * 8 + [True, False]
    assert the(made[8]).state in {"ongoing", "regressed"}


@pytest.mark.parametrize("render", [render_text, render_markdown, render_html])
def test_every_rendering_says_that_a_finding_escalates(reports, render):
    """Beside the state, on that night only."""
    made, _ = reports

    assert "escalating" in render(made[8])
    assert ", escalating" not in render(made[7])


def test_the_ledger_keeps_when_it_escalated(reports):
    """Known after the night it began, and forgotten after the next."""
    made, known = reports
    name = the(made[8]).finding_id

    assert [histories[name].is_escalating for histories in known] == [False] * 8 + [True, False]
