"""What people said of findings, apart from the findings' own life."""

from collections.abc import Mapping

from halo_daemon.findings.finding import Triage

TriageBook = Mapping[str, Triage]
"""Decisions by finding id."""

NOTHING_SAID = Triage()


def in_force(triage: Triage, now: str, *, regressed: bool = False) -> Triage:
    """
    The decision that holds at *now*.

    A mute ends at its date; one whose date is the word ``regressed`` ends when the
    finding regresses.
    """
    if triage.state != "muted" or triage.until is None:
        return triage
    ended = regressed if triage.until == "regressed" else triage.until <= now
    return NOTHING_SAID if ended else triage


def is_silent(triage: Triage) -> bool:
    """Whether a finding is counted but told to nobody."""
    return triage.state in {"muted", "false_positive"}
