"""What people said of findings, apart from the findings' own life."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from halo_daemon.findings.finding import Triage
from halo_daemon.proto.times import format_unix_ns, parse_unix_ns

TriageBook = Mapping[str, Triage]
"""Decisions by finding id."""

NOTHING_SAID = Triage()


def decision_on(book: TriageBook, finding_id: str, supersedes: Sequence[str] = ()) -> Triage:
    """
    What *book* says of a finding, or else of all the ids in *supersedes* alike.

    Silence about one part of a merged finding is no silence about the whole.
    """
    if finding_id in book:
        return book[finding_id]
    said = [book.get(identity, NOTHING_SAID) for identity in supersedes]
    alike = bool(said) and all(
        (triage.state, triage.until) == (said[0].state, said[0].until) for triage in said
    )
    return said[0] if alike else NOTHING_SAID


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


def until_of(text: str) -> str:
    """
    The end of a decision as people write it: a date, a time, without a zone UTC, or ``regressed``.

    Raises:
        ValueError: *text* is none of these; it would hold for ever, or not at all.
    """
    if text == "regressed":
        return text
    try:
        return format_unix_ns(parse_unix_ns(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        at = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"`until` is `{text[:40]}`: neither a time such as 2026-12-31 nor `regressed`"
        ) from None
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z"


def is_silent(triage: Triage) -> bool:
    """Whether a finding is counted but told to nobody."""
    return triage.state in {"muted", "false_positive"}
