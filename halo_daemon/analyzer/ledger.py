"""
The life of findings: which state follows from what was known and what was seen.

Pure: the ledger's history, this window's counts and the triage go in, states come out.
What of them is written down is in `ledger_entries`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.populations import populations_of
from halo_daemon.analyzer.stats import newcombe, wilson
from halo_daemon.analyzer.version_order import version_key
from halo_daemon.findings import (
    DayCount,
    Finding,
    FindingState,
    History,
    LedgerCounts,
    LedgerEntry,
    ResolvedFinding,
    Trend,
    TrendPoint,
    TriageBook,
    decision_on,
    in_force,
)

_WORSE_RATIO = 1.5
_MIN_REGRESSED_TRACES = 5
_UNLIKELY = 0.05
_SHOWN_SERIES = 12
WORSE_STATES: frozenset[FindingState] = frozenset({"regressed", "reopened"})
OPEN_STATES: frozenset[FindingState] = frozenset(
    {"new", "ongoing", "regressed", "reopened", "not_seen"}
)


class Absent(NamedTuple):
    """A known finding that this window did not show."""

    state: FindingState
    exposure: int
    p_zero: float


def open_ids(histories: Mapping[str, History]) -> frozenset[str]:
    """Findings that are not resolved."""
    return frozenset(
        identity for identity, history in histories.items() if history.state in OPEN_STATES
    )


def keys_known(histories: Mapping[str, History]) -> frozenset[FindingKey]:
    """What findings of earlier reports are about, resolved ones included."""
    return frozenset(
        FindingKey(*history.parts)
        for history in histories.values()
        if len(history.parts) == len(FindingKey._fields) and not history.superseded_by
    )


def past_days(
    histories: Mapping[str, History], window_from: str
) -> dict[str, tuple[DayCount, ...]]:
    """Daily counts before *window_from* of every finding that is not resolved, by id."""
    day = window_from[:10]
    return {
        identity: tuple(row for row in history.days if row.at < day)
        for identity, history in histories.items()
        if history.state in OPEN_STATES and history.days
    }


def state_when_seen(
    history: History | None, affected: int, eligible: int, *, is_back: bool = True
) -> FindingState:
    """
    The state of a finding that the window shows.

    Args:
        history: What the ledger knows of it; None the first time.

        affected: Traces of this window that show it.

        eligible: Traces of this window that could.

        is_back: Whether something of what shows it came after what was known, and after
            it was resolved; what did not makes no finding worse, nor brings it back.
    """
    if history is None or not history.reports_seen:
        return "new"
    if history.state == "resolved":
        return "reopened" if is_back else "resolved"
    is_worse = is_back and _is_worse(history.counts, affected, eligible)
    return "regressed" if is_worse else "ongoing"


def _is_worse(before: LedgerCounts, affected: int, eligible: int) -> bool:
    if affected < _MIN_REGRESSED_TRACES or not before.eligible or not eligible:
        return False
    low = newcombe(affected, eligible, before.affected, before.eligible).low
    return low > 0 and affected / eligible >= _WORSE_RATIO * before.rate


def state_when_absent(history: History, eligible: int) -> Absent:
    """
    The state of a finding that the window does not show, *eligible* traces notwithstanding.

    Resolved only when that many traces without it would be unlikely (below 5 %) had
    nothing changed, reckoned with the lower bound of its old rate.
    """
    exposure = history.exposure + eligible
    p_zero = math.pow(1 - history.counts.rate_low, exposure)
    is_gone = exposure > 0 and p_zero < _UNLIKELY
    state: FindingState = "resolved" if is_gone or history.state == "resolved" else "not_seen"
    return Absent(state, exposure, round(p_zero, 6))


def links_of(
    findings: Iterable[Finding], histories: Mapping[str, History], at: str, report_id: str
) -> list[LedgerEntry]:
    """
    The ledger lines that let findings go on under other ids than before.

    A finding goes on with what was counted under an id of its own (``supersedes``), with
    its parts when they no longer stand alone (a rule puts them together), and with what
    it was a part of when that is gone (the rule was taken away).
    """
    rows = sorted(findings, key=lambda finding: finding.finding_id)
    seen = {finding.finding_id for finding in rows}
    wholes: dict[str, list[str]] = {}
    for history in histories.values():
        for part in history.merged_from:
            wholes.setdefault(part, []).append(history.finding_id)
    return [
        LedgerEntry(
            at=at, type="superseded", finding_id=old, report_id=report_id, to=finding.finding_id
        )
        for finding in rows
        for old in sorted(
            {*finding.supersedes, *finding.merged_from, *wholes.get(finding.finding_id, ())} - seen
        )
        if old in histories and is_looked_for(histories[old])
    ]


def is_looked_for(history: History) -> bool:
    """Whether it is open under its own id."""
    is_open = history.reports_seen > 0 and history.state in OPEN_STATES
    return is_open and not history.superseded_by


def aged(
    finding: Finding,
    histories: Mapping[str, History],
    book: TriageBook,
    now: str,
    *,
    window_from: str,
) -> Finding:
    """*finding* with its state, its dates, its trend and what people said of it."""
    history = histories.get(finding.finding_id)
    counts = finding.counts
    state = state_when_seen(
        history,
        counts.affected_traces,
        counts.eligible_traces,
        is_back=_is_back(finding, history),
    )
    update: dict[str, object] = {"state": state}
    if history is not None and history.reports_seen:
        first = min(filter(None, (history.first_seen, finding.first_seen)))
        update |= {
            "first_seen": first,
            "reports_seen": history.reports_seen + 1,
            "supersedes": history.supersedes,
            "trend": _trend(finding, history, window_from),
        }
    return decided(finding.model_copy(update=update), histories, book, now)


def decided(
    finding: Finding, histories: Mapping[str, History], book: TriageBook, now: str
) -> Finding:
    """*finding*, whose state is known, with the decision of people that is in force."""
    history = histories.get(finding.finding_id)
    triage = in_force(
        decision_on(book, finding.finding_id, history.supersedes if history else ()),
        now,
        regressed=finding.state in WORSE_STATES or (history is not None and history.mute_ended),
    )
    return finding.model_copy(update={"triage": triage})


def _is_back(finding: Finding, history: History | None) -> bool:
    """
    Whether something that shows a finding came after what was known of it.

    For a resolved one that is the version that a person named, or a later one, where
    traces and people tell versions that have an order. Else it is a trace that began after
    the last one that is known to show it, and after a person said so: a window that is
    analysed again, or one that began before the fix, brings nothing back.
    """
    if history is None or not finding.last_seen:
        return True
    wanted = version_key(history.resolved_in_version)
    shown = [version_key(row.service_version) for row in finding.by_version if row.affected]
    told = [version for version in shown if version]
    if wanted and told:
        return any(version >= wanted for version in told)
    return finding.last_seen > max(history.last_seen, history.state_said_at)


def _trend(finding: Finding, history: History, window_from: str) -> Trend:
    counts, before = finding.counts, history.counts
    interval = newcombe(
        counts.affected_traces, counts.eligible_traces, before.affected, before.eligible
    )
    return Trend(
        previous_rate=before.rate,
        diff=round(counts.rate - before.rate, 6),
        diff_ci95=(round(interval.low, 6), round(interval.high, 6)),
        series=(*history.series, counts.rate)[-_SHOWN_SERIES:],
        points=tuple(_points(finding, history, window_from)),
        change=finding.trend.change if finding.trend else None,
    )


def _points(finding: Finding, history: History, window_from: str) -> Iterator[TrendPoint]:
    earlier = [row for row in history.days if row.at < window_from[:10]]
    for row in earlier[1 - _SHOWN_SERIES :]:
        low, high = wilson(row.affected, row.eligible)
        interval = round(low, 6), round(high, 6)
        yield TrendPoint(at=row.at, affected=row.affected, eligible=row.eligible, ci95=interval)
    counts = finding.counts
    yield TrendPoint(
        at=window_from[:10],
        affected=counts.affected_traces,
        eligible=counts.eligible_traces,
        ci95=counts.ci95,
    )


def absent_findings(
    histories: Mapping[str, History], seen: frozenset[str], known: Partial, window_from: str
) -> list[tuple[History, Absent]]:
    """Open findings that the window does not show, by id, with what that says."""
    rows = []
    for identity in sorted(histories):
        history = histories[identity]
        if identity in seen or not is_looked_for(history):
            continue
        # A window that overlaps the last one would count its traces twice.
        is_fresh = window_from >= history.exposed_until
        rows.append((history, state_when_absent(history, _eligible(history, known) * is_fresh)))
    return rows


def _eligible(history: History, known: Partial) -> int:
    if len(history.parts) != len(FindingKey._fields):
        return 0
    populations = populations_of(FindingKey(*history.parts), history.subjects)
    return len(frozenset().union(*(known.eligible.get(each, ()) for each in populations)))


def resolved_rows(absent: list[tuple[History, Absent]]) -> tuple[ResolvedFinding, ...]:
    """The report's rows for findings that were not seen."""
    return tuple(
        ResolvedFinding(
            finding_id=history.finding_id,
            title=history.title,
            state=row.state,
            exposure=row.exposure,
            p_zero_if_unchanged=row.p_zero,
        )
        for history, row in absent
    )
