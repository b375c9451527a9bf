"""The ledger lines that a report adds, which make the next report know this one."""

from collections.abc import Iterator, Mapping

from halo_daemon.analyzer.ledger import WORSE_STATES, links_of
from halo_daemon.analyzer.rising import Occurrences
from halo_daemon.findings import (
    Finding,
    History,
    LedgerCounts,
    LedgerEntry,
    Report,
    TriageBook,
    decision_on,
    fold_onto,
)


def entries_of(
    report: Report,
    histories: Mapping[str, History],
    book: TriageBook | None = None,
    occurrences: Mapping[str, Occurrences] | None = None,
) -> list[LedgerEntry]:
    """
    The ledger lines that *report* adds: one for each finding seen, one for each absent.

    One more for each finding that began or ceased to escalate, and for each mute of *book*
    that ended because its finding got worse. *occurrences* by id are kept with the findings
    seen. Writing them is what makes the next report know this one.

    A report of a sample says what it saw, and resolves what so many traces without it make
    unlikely. It names no window: what it did not look at still counts as not looked at.
    """
    slots = occurrences or {}
    links = links_of(report.findings, histories, report.created_at, report.report_id)
    histories = fold_onto(histories, links)
    lines = [
        _seen_entry(report, finding, slots.get(finding.finding_id, ()))
        for finding in report.findings
    ]
    return [
        *links,
        *lines,
        *(() if report.coverage.sample else _escalations(report, histories)),
        *_absent_entries(report, histories),
        *_ended_mutes(report, histories, book or {}),
    ]


def _escalations(report: Report, histories: Mapping[str, History]) -> Iterator[LedgerEntry]:
    now = {finding.finding_id: finding.escalating for finding in report.findings}
    now |= {row.finding_id: False for row in report.resolved}
    for identity, escalates in now.items():
        history = histories.get(identity)
        if escalates != (history is not None and history.is_escalating):
            before, after = ("", "escalating") if escalates else ("escalating", "")
            yield LedgerEntry(
                at=report.created_at,
                type="escalation",
                finding_id=identity,
                report_id=report.report_id,
                from_=before,
                to=after,
            )


def _ended_mutes(
    report: Report, histories: Mapping[str, History], book: TriageBook
) -> Iterator[LedgerEntry]:
    for finding in report.findings:
        history = histories.get(finding.finding_id)
        said = decision_on(book, finding.finding_id, history.supersedes if history else ())
        is_over = history is not None and history.mute_ended
        if said.until == "regressed" and finding.state in WORSE_STATES and not is_over:
            yield LedgerEntry(
                at=report.created_at,
                type="triage",
                finding_id=finding.finding_id,
                report_id=report.report_id,
                from_=said.state,
                to="open",
                note=finding.state,
            )


def _seen_entry(report: Report, finding: Finding, occurrences: Occurrences) -> LedgerEntry:
    counts = finding.counts
    begin, end = _watched(report)
    return LedgerEntry(
        at=report.created_at,
        type="seen",
        finding_id=finding.finding_id,
        report_id=report.report_id,
        to=finding.state,
        title=finding.title,
        severity=finding.severity,
        parts=finding.fingerprint.parts,
        window_from=begin,
        window_to=end,
        first_seen=finding.first_seen or "",
        last_seen=finding.last_seen or "",
        counts=LedgerCounts(
            affected=counts.affected_traces,
            eligible=counts.eligible_traces,
            rate=counts.rate,
            rate_low=counts.ci95[0],
        ),
        occurrences=occurrences,
        merged_from=finding.merged_from,
        subjects=tuple((row.agent, row.name) for row in finding.by_subject),
    )


def _watched(report: Report) -> tuple[str, str]:
    """Begin and end of what was looked at as a whole; empty texts where only a sample was."""
    window = report.window
    return ("", "") if report.coverage.sample else (window.from_, window.to)


def _absent_entries(report: Report, histories: Mapping[str, History]) -> Iterator[LedgerEntry]:
    begin, end = _watched(report)
    for row in report.resolved:
        history = histories[row.finding_id]
        exposure = row.exposure - history.exposure
        yield LedgerEntry(
            at=report.created_at,
            type="state",
            finding_id=row.finding_id,
            report_id=report.report_id,
            from_=history.state,
            to=row.state,
            window_from=begin,
            window_to=end,
            # Of a window that is not named, nobody can tell whether the next one overlaps it.
            counts=LedgerCounts(eligible=0 if report.coverage.sample else exposure),
        )
