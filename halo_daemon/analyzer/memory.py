"""What a run knows of a project's past and of its people's wishes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from halo_daemon.findings import (
    Finding,
    History,
    KnownOutcome,
    LedgerCounts,
    Report,
    TriageBook,
)


@dataclass(frozen=True, slots=True)
class Memory:
    """The past of one project; empty for its first run."""

    histories: Mapping[str, History] = field(default_factory=dict)
    """From the ledger, by finding id."""

    triage: TriageBook = field(default_factory=dict)
    """From the triage file, by finding id."""

    outcomes: tuple[KnownOutcome, ...] = ()
    """Of earlier traces, in any order."""

    unread: tuple[str, ...] = ()
    """What is wrong in the triage file; what it says there is not followed."""

    last_report_id: str = ""
    """Of the report that the ledger's last lines are from; empty before the first."""


def memory_of(previous: Report | None) -> Memory:
    """What the previous report alone can tell, for whoever keeps no ledger."""
    if previous is None:
        return Memory()
    return Memory(
        {finding.finding_id: _history(previous, finding) for finding in previous.findings}
    )


def _history(previous: Report, finding: Finding) -> History:
    counts = finding.counts
    return History(
        finding_id=finding.finding_id,
        title=finding.title,
        severity=finding.severity,
        parts=finding.fingerprint.parts,
        state=finding.state,
        first_seen=finding.first_seen or "",
        last_seen=finding.last_seen or "",
        reports_seen=finding.reports_seen,
        counts=LedgerCounts(
            affected=counts.affected_traces,
            eligible=counts.eligible_traces,
            rate=counts.rate,
            rate_low=counts.ci95[0],
        ),
        subjects=tuple((row.agent, row.name) for row in finding.by_subject),
        series=finding.trend.series if finding.trend else (counts.rate,),
        exposed_until=previous.window.to,
    )
