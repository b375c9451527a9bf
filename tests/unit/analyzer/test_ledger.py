import pytest

from halo_daemon.analyzer.ledger import state_when_absent, state_when_seen
from halo_daemon.findings import History, LedgerCounts, LedgerEntry, fold


def history(state="ongoing", *, affected=10, eligible=100, low=0.05, exposure=0):
    """A finding that earlier reports knew."""
    counts = LedgerCounts(
        affected=affected, eligible=eligible, rate=affected / eligible, rate_low=low
    )
    return History("F-1", state=state, reports_seen=3, counts=counts, exposure=exposure)


@pytest.mark.parametrize(
    ("known", "affected", "state"),
    [
        pytest.param(None, 3, "new", id="first time"),
        pytest.param(history("new"), 10, "ongoing", id="new, seen again"),
        pytest.param(history("ongoing"), 12, "ongoing", id="hardly more"),
        pytest.param(history("ongoing"), 40, "regressed", id="much more"),
        pytest.param(history("new"), 40, "regressed", id="new and much more"),
        pytest.param(history("regressed"), 11, "ongoing", id="regressed, then stable"),
        pytest.param(history("ongoing", affected=0, low=0.0), 4, "ongoing", id="too few traces"),
        pytest.param(history("not_seen"), 10, "ongoing", id="seen again"),
        pytest.param(history("resolved"), 1, "reopened", id="back after it was resolved"),
        pytest.param(history("reopened"), 10, "ongoing", id="reopened, seen again"),
    ],
)
def test_states_of_a_finding_that_is_seen(known, affected, state):
    """Every row of the table of states that begins with a finding seen."""
    assert state_when_seen(known, affected, 100) == state


@pytest.mark.parametrize(
    ("low", "eligible", "state"),
    [
        pytest.param(0.10, 28, "not_seen", id="10 %, one trace too few"),
        pytest.param(0.10, 29, "resolved", id="10 %, enough"),
        pytest.param(0.05, 58, "not_seen", id="5 %, one too few"),
        pytest.param(0.05, 59, "resolved", id="5 %, enough"),
        pytest.param(0.02, 149, "resolved", id="2 %"),
        pytest.param(0.01, 299, "resolved", id="1 %"),
        pytest.param(0.50, 0, "not_seen", id="nothing could have shown it"),
    ],
)
def test_a_finding_is_resolved_only_by_enough_exposure(low, eligible, state):
    """So many traces without it must be unlikely, had nothing changed."""
    assert state_when_absent(history(low=low), eligible).state == state


def test_exposure_adds_up_over_reports():
    """Twenty traces yesterday and ten today are thirty."""
    row = state_when_absent(history(low=0.1, exposure=20), 10)

    assert row.state == "resolved"
    assert row.exposure == 30


def test_what_is_older_than_the_fix_keeps_a_finding_resolved():
    """A resolved finding comes back only with something newer."""
    known = history("resolved")

    assert state_when_seen(known, 5, 100, is_back=False) == "resolved"


def line(at, kind, to, *, by="", note=""):
    """One ledger line of a finding that was seen before."""
    day = f"2026-11-20T{at}:00.000000000Z"
    return LedgerEntry(at=day, type=kind, finding_id="F-1", to=to, by=by, note=note)


SEEN = line("03:00", "seen", "ongoing")


@pytest.mark.parametrize(
    ("late", "state"),
    [
        pytest.param(line("04:00", "seen", "ongoing"), "resolved", id="seen by a run before it"),
        pytest.param(line("04:00", "state", "not_seen"), "resolved", id="missed by a run before"),
        pytest.param(line("04:20", "seen", "reopened"), "reopened", id="seen by a run after it"),
    ],
)
def test_a_run_that_began_before_a_person_spoke_does_not_overrule_them(late, state):
    """What is resolved at 04:10 stays so when the run of 04:00 writes its lines at last."""
    said = line("04:10", "state", "resolved", by="ada", note="1.8.3")

    history = fold([SEEN, said, late])["F-1"]

    assert history.state == state
    assert history.resolved_in_version == ("1.8.3" if state == "resolved" else "")


@pytest.mark.parametrize(("at", "ended"), [("04:00", False), ("04:20", True)])
def test_a_mute_renewed_during_a_run_is_not_ended_by_it(at, ended):
    """A run ends the mutes it knew of, not one that a person gave while it was at work."""
    muted = line("04:10", "triage", "muted", by="ada")

    assert fold([SEEN, muted, line(at, "triage", "open")])["F-1"].mute_ended is ended
