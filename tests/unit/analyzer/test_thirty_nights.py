"""A finding over thirty nights: what it is called, what state it is in, and what is said of it."""

import pytest

from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.findings import Triage, is_silent
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.triage import TriageFile
from halo_daemon.testing.spans import START_UNIX_NS
from tests.unit.analyzer.analysis import reader_of
from tests.unit.analyzer.test_run import failing, fine

HOUR_NS = 3_600 * 10**9
A_NIGHT = 24
"""Traces of one night, one an hour."""

NIGHTS = [3] * 12 + [12] * 6 + [0] * 8 + [6] * 4
"""Failing traces of each night: steady, worse, mended, back."""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Thirty reports, each remembered before the next."""
    root = tmp_path_factory.mktemp("nights")
    past = ProjectMemory(root, "p")
    made = []
    for night, failures in enumerate(NIGHTS):
        if night == 4:
            finding_id = made[-1].findings[0].finding_id
            TriageFile(root, "p").decide(finding_id, Triage(state="muted", until="regressed"))
        memory = past.recall()
        asked = window(night)
        reader = reader_of(traces(night, failures), received_unix_ns=asked.from_unix_ns + 1)
        run = RunInfo(f"r_{night:02d}", f"r_{night:02d}", asked.to_unix_ns)
        report = analyze_window(reader, project="p", window=asked, run=run, memory=memory)
        past.remember(report, memory)
        made.append(report)
    return made


def window(night):
    """From the first trace of a night to the first of the next."""
    begin_ns = START_UNIX_NS + night * A_NIGHT * HOUR_NS
    return Window(begin_ns, begin_ns + A_NIGHT * HOUR_NS)


def traces(night, failures):
    """One night's traces; which error it is varies in its ids alone."""
    numbers = range(night * A_NIGHT + 1, (night + 1) * A_NIGHT)
    return [failing(n) if at < failures else fine(n) for at, n in enumerate(numbers)]


def state_of(report):
    """The finding's state, seen or not; "" once nobody speaks of it any more."""
    rows = [*report.findings, *report.resolved]
    return rows[0].state if rows else ""


def test_its_id_is_the_same_every_night(reports):
    """One finding, whatever its ids and numbers say, and through a time without it."""
    ids = {f.finding_id for report in reports for f in (*report.findings, *report.resolved)}

    assert len(ids) == 1


def test_its_states_follow_what_happened(reports):
    """New, ongoing, regressed once, unknown until enough was seen, resolved once, reopened once."""
    states = [state_of(report) for report in reports]

    assert states[:12] == ["new"] + ["ongoing"] * 11
    assert states[12:18] == ["regressed"] + ["ongoing"] * 5
    assert states[18] == "resolved" or states[18:20] == ["not_seen", "resolved"]
    assert set(states[20:26]) == {""}
    assert states[26:] == ["reopened"] + ["ongoing"] * 3


def test_a_mute_until_it_regresses_ends_when_it_does(reports):
    """Silent while it is as it was, heard the night it got worse."""
    silent = [is_silent(r.findings[0].triage) if r.findings else None for r in reports]

    assert silent[3] is False
    assert silent[4:12] == [True] * 8
    assert silent[12:18] == [False] * 6
    assert silent[26:] == [False] * 4


def test_the_night_it_got_worse_is_named(reports):
    """A few nights later the report says from which day on, and the rates on both sides."""
    change = reports[17].findings[0].trend.change

    assert change is not None
    assert reports[11].window.to[:10] <= change.at <= reports[13].window.to[:10]
    assert change.before < 0.2
    assert change.after > 0.4


def test_a_steady_finding_is_said_to_change_on_no_night(reports):
    """While the rate stays, no report claims a change."""
    assert [report.findings[0].trend.change for report in reports[1:12]] == [None] * 11


def test_every_night_counts_once(reports):
    """Reports seen and first day add up over all of it."""
    last = reports[-1].findings[0]

    assert last.reports_seen == sum(1 for failures in NIGHTS if failures)
    assert last.first_seen == reports[0].findings[0].first_seen
