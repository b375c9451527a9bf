"""
The ledger of findings: one line for everything that happened to one.

What is known of a finding is a fold over its lines, so a lost report costs
nothing and rebuilding gives the same answer.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from pydantic import Field

from halo_daemon.findings.finding import FindingState, Severity
from halo_daemon.findings.record import Count, Instant, Record, Share
from halo_daemon.proto.times import parse_unix_ns

MAX_SERIES = 30
MAX_WINDOWS = 840
"""Five weeks of hourly reports."""
_DAY_CHARS = 10

EntryType = Literal["seen", "state", "triage", "escalation", "superseded", "merged", "delivered"]


class LedgerCounts(Record):
    """The figures that the next report compares with."""

    affected: Count = 0
    eligible: Count = 0
    rate: Share = 0.0
    rate_low: Share = 0.0
    """Lower bound of the rate's interval."""


class LedgerEntry(Record):
    """One line of ``findings.jsonl``."""

    at: Instant
    type: EntryType
    finding_id: str
    report_id: str = ""
    from_: str = Field(default="", alias="from")
    to: str = ""
    by: str = ""
    note: str = ""
    title: str = ""
    severity: Severity | None = None
    """None in lines of older versions, and where nothing was seen."""
    parts: tuple[str, ...] = ()
    """The finding's fingerprint."""
    window_from: Instant = ""
    """Of the window that was looked at; empty where only a sample of one was."""
    window_to: Instant = ""
    first_seen: Instant = ""
    last_seen: Instant = ""
    counts: LedgerCounts = LedgerCounts()
    occurrences: tuple[tuple[int, Count], ...] = ()
    """Half-hours since the epoch that had any, and how many; in order."""
    merged_from: tuple[str, ...] = ()
    """Ids of the findings that were counted under this one."""
    subjects: tuple[tuple[str, str], ...] = ()
    """Agent and name of what a shared cause has hit; empty for other findings."""


class DayCount(NamedTuple):
    """A finding's counts in one day, or in one window."""

    at: str
    """The day, ``YYYY-MM-DD``; of a window the one in which it began."""
    affected: int
    eligible: int


class WatchedWindow(NamedTuple):
    """A window that could show a finding, and when it did."""

    from_unix_ns: int
    to_unix_ns: int
    occurrences: tuple[tuple[int, int], ...] = ()
    """Half-hours since the epoch that had any, and how many; in order."""


_NO_COUNTS = LedgerCounts()


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger knows of one finding."""

    finding_id: str
    title: str = ""
    severity: Severity | None = None
    """As of the last report that saw it; None when older versions wrote that line."""
    parts: tuple[str, ...] = ()
    state: FindingState = "new"
    first_seen: str = ""
    last_seen: str = ""
    reports_seen: int = 0
    counts: LedgerCounts = _NO_COUNTS
    """Of the last report that saw it."""
    series: tuple[float, ...] = ()
    """Rates of the last reports that could see it, oldest first; 0 where it was not seen."""
    days: tuple[DayCount, ...] = ()
    """Counts of the last windows that could see it, oldest first; none of two that overlap."""
    windows: tuple[WatchedWindow, ...] = ()
    """The last windows in which it was looked for, in the order of their reports."""
    is_escalating: bool = False
    """As of the last report that saw it."""
    exposure: int = 0
    """Eligible traces since it was last seen, each stretch of time counted once."""
    exposed_until: str = ""
    """End of the last window that counted as exposure, or in which it was seen."""
    merged_from: tuple[str, ...] = ()
    """Ids counted under this one in the last report that saw it."""
    subjects: tuple[tuple[str, str], ...] = ()
    """Agent and name of what it has hit, where that is a cause that several tools share."""
    supersedes: tuple[str, ...] = ()
    """Ids that it went under before."""
    superseded_by: str = ""
    """The id that it goes under now; empty while it goes under its own."""
    resolved_in_version: str = ""
    mute_ended: bool = False
    """Whether a mute "until it regresses" is over, because it did."""
    state_said_at: str = ""
    """When a person last said what state it is in; a report that began earlier does not know."""
    triage_said_at: str = ""
    """When a person last decided what is to be told of it."""


def fold(entries: Iterable[LedgerEntry]) -> dict[str, History]:
    """What is known of every finding after *entries*, in the order they were written."""
    return fold_onto({}, entries)


def fold_onto(
    histories: Mapping[str, History], entries: Iterable[LedgerEntry]
) -> dict[str, History]:
    """*histories* after *entries* more."""
    known = dict(histories)
    for entry in entries:
        if entry.type == "superseded" and entry.to:
            _supersede(known, entry.finding_id, entry.to)
            continue
        history = known.get(entry.finding_id) or History(entry.finding_id)
        known[entry.finding_id] = _after(history, entry)
    return known


def _supersede(known: dict[str, History], old: str, new: str) -> None:
    """Let *new* go on with what is known of *old*."""
    before = known.get(old) or History(old)
    after = known.get(new) or History(new)
    known[old] = replace(before, superseded_by=new)
    if not after.reports_seen:
        joined = replace(before, finding_id=new, merged_from=(), subjects=())
    elif after.superseded_by:
        joined = _resumed(after, before)
    else:
        joined = _both(after, before)
    known[new] = replace(
        joined,
        supersedes=tuple(dict.fromkeys((*after.supersedes, old))),
        superseded_by="",
    )


def _resumed(part: History, whole: History) -> History:
    """A finding that stood for itself, was part of *whole* for a time, and is itself again."""
    return replace(
        part,
        state=whole.state,
        last_seen=max(part.last_seen, whole.last_seen),
        reports_seen=whole.reports_seen,
        is_escalating=whole.is_escalating,
        exposure=whole.exposure,
        exposed_until=max(part.exposed_until, whole.exposed_until),
        mute_ended=whole.mute_ended,
    )


def _both(left: History, right: History) -> History:
    """Two findings that go on as one; their traces may be the same, so rates are not added."""
    closed = left.state == "resolved" and right.state == "resolved"
    larger = max(left.counts, right.counts, key=lambda row: row.rate)
    eligible = max(left.counts.eligible, right.counts.eligible)
    affected = min(left.counts.affected + right.counts.affected, eligible)
    return replace(
        left,
        state="resolved" if closed else "ongoing",
        first_seen=min(filter(None, (left.first_seen, right.first_seen)), default=""),
        last_seen=max(left.last_seen, right.last_seen),
        reports_seen=max(left.reports_seen, right.reports_seen),
        counts=LedgerCounts(
            affected=affected,
            eligible=eligible,
            rate=affected / eligible if eligible else larger.rate,
            rate_low=larger.rate_low,
        ),
        series=(),
        days=(),
        windows=_added(left.windows, right.windows),
        is_escalating=left.is_escalating or right.is_escalating,
        exposure=min(left.exposure, right.exposure),
        exposed_until=max(left.exposed_until, right.exposed_until),
    )


def _added(
    left: tuple[WatchedWindow, ...], right: tuple[WatchedWindow, ...]
) -> tuple[WatchedWindow, ...]:
    """The windows of both; what they counted in the same one is added."""
    found: dict[tuple[int, int], Counter[int]] = {}
    for window in (*left, *right):
        key = (window.from_unix_ns, window.to_unix_ns)
        found.setdefault(key, Counter()).update(dict(window.occurrences))
    windows = (WatchedWindow(*key, tuple(sorted(n.items()))) for key, n in sorted(found.items()))
    return tuple(windows)[-MAX_WINDOWS:]


def _after(history: History, entry: LedgerEntry) -> History:
    if entry.type == "seen":
        return _seen(history, entry)
    if entry.type == "triage":
        return _decided(history, entry)
    if entry.type == "state":
        return _changed(history, entry)
    if entry.type == "escalation":
        return replace(history, is_escalating=entry.to == "escalating")
    return history


def _decided(history: History, entry: LedgerEntry) -> History:
    """Lines without a name are a report's: a person decides anew, a mute can only end."""
    if entry.by:
        return replace(history, mute_ended=False, triage_said_at=entry.at)
    if entry.at < history.triage_said_at:
        return history
    return replace(history, mute_ended=entry.to == "open")


def _seen(history: History, entry: LedgerEntry) -> History:
    """What a report saw; of the state, what was said while it was being written wins."""
    is_overtaken = entry.at < history.state_said_at
    # What is older than the fix leaves it resolved in the version that a person named.
    is_fixed = is_overtaken or entry.to == "resolved"
    return replace(
        history,
        title=entry.title,
        severity=entry.severity,
        parts=entry.parts,
        state=history.state if is_overtaken else _state(entry.to, history.state),
        first_seen=min(filter(None, (history.first_seen, entry.first_seen)), default=""),
        last_seen=max(history.last_seen, entry.last_seen),
        reports_seen=history.reports_seen + 1,
        counts=entry.counts,
        series=(*history.series, entry.counts.rate)[-MAX_SERIES:],
        days=_with_day(history, entry),
        windows=_with_window(history, entry),
        merged_from=entry.merged_from,
        subjects=entry.subjects,
        superseded_by="",
        exposure=0,
        exposed_until=max(history.exposed_until, entry.window_to),
        resolved_in_version=history.resolved_in_version if is_fixed else "",
    )


def _with_day(history: History, entry: LedgerEntry) -> tuple[DayCount, ...]:
    counts = entry.counts
    is_whole = entry.window_from and counts.eligible
    if not is_whole or entry.window_from < history.exposed_until:
        return history.days
    day = DayCount(entry.window_from[:_DAY_CHARS], counts.affected, counts.eligible)
    return (*history.days, day)[-MAX_SERIES:]


def _with_window(history: History, entry: LedgerEntry) -> tuple[WatchedWindow, ...]:
    try:
        begin, end = parse_unix_ns(entry.window_from), parse_unix_ns(entry.window_to)
    except ValueError:  # a line of an older version, which names no window
        return history.windows
    return (*history.windows, WatchedWindow(begin, end, entry.occurrences))[-MAX_WINDOWS:]


def _changed(history: History, entry: LedgerEntry) -> History:
    is_overtaken = not entry.by and entry.at < history.state_said_at
    state = history.state if is_overtaken else _state(entry.to, history.state)
    changed = replace(history, state=state)
    if entry.by:
        version = entry.note if entry.to == "resolved" else ""
        return replace(changed, resolved_in_version=version, exposure=0, state_said_at=entry.at)
    return replace(
        changed,
        series=(*history.series, 0.0)[-MAX_SERIES:],
        days=_with_day(history, entry),
        windows=_with_window(history, entry),
        exposure=history.exposure + entry.counts.eligible,
        exposed_until=max(history.exposed_until, entry.window_to),
    )


_STATES: tuple[FindingState, ...] = (
    "new",
    "ongoing",
    "regressed",
    "reopened",
    "resolved",
    "not_seen",
)


def _state(name: str, otherwise: FindingState) -> FindingState:
    return next((state for state in _STATES if state == name), otherwise)
