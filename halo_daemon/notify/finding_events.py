"""
What became of findings, one event for each change; pure.

The changes are read from the lines that a report adds to the ledger, so that what is
told and what is remembered cannot differ.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from halo_daemon.config_notify import EventKind
from halo_daemon.findings import (
    Finding,
    History,
    LedgerEntry,
    Report,
    Severity,
    TriageBook,
    decision_on,
    in_force,
    is_silent,
)
from halo_daemon.notify.events import (
    MAX_PATH_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    Event,
    document,
    printable,
)
from halo_daemon.proto.json_value import JsonObject


class Known(NamedTuple):
    """
    What was known before the report.

    Attributes:
        revision: Names this state of the ledger: a run that is made again after a crash,
            with the ledger as it was, tells its events under the same ids.
    """

    histories: Mapping[str, History]
    triage: TriageBook
    revision: str


def finding_events(
    report: Report, changes: Iterable[LedgerEntry], known: Known, directory: Path
) -> Iterator[Event]:
    """
    The events of the *changes* that *report*, written to *directory*, makes to the ledger.

    In the order of the changes. None for findings that people silenced, nor for those
    whose severity is ``info``.
    """
    seen = {finding.finding_id: finding for finding in report.findings}
    titles = {row.finding_id: row.title for row in report.resolved}
    for change in changes:
        kind = _kind(change, seen)
        if kind is None:
            continue
        finding = seen.get(change.finding_id)
        severity: Severity | None
        if finding is not None:
            silent, severity = is_silent(finding.triage), finding.severity
            told = _seen(finding)
        else:
            history = known.histories[change.finding_id]
            silent, severity = _was_silenced(history, known.triage, report), history.severity
            told = _gone(history, titles.get(change.finding_id, history.title), change)
        if silent or severity == "info":
            continue
        yield _event(kind, report, told, severity=severity, known=known, directory=directory)


def _kind(change: LedgerEntry, seen: Mapping[str, Finding]) -> EventKind | None:
    if change.type == "seen":
        if change.to == "new":
            return "new"
        if change.to == "regressed":
            return "regressed"
        return "reopened" if change.to == "reopened" else None
    if change.type == "state":
        return "resolved" if change.to == "resolved" != change.from_ else None
    if change.type == "escalation" and change.to == "escalating":
        # A new one says of itself that it rises.
        return None if seen[change.finding_id].state == "new" else "escalating"
    return None


def _was_silenced(history: History, book: TriageBook, report: Report) -> bool:
    said = decision_on(book, history.finding_id, history.supersedes)
    return is_silent(in_force(said, report.created_at, regressed=history.mute_ended))


def _seen(finding: Finding) -> JsonObject:
    counts = finding.counts
    return {
        "id": finding.finding_id,
        "title": printable(finding.title, MAX_TITLE_CHARACTERS),
        "severity": finding.severity,
        "state": finding.state,
        "certainty": finding.certainty,
        "escalating": finding.escalating,
        "affected_traces": counts.affected_traces,
        "eligible_traces": counts.eligible_traces,
        "rate": counts.rate,
        "ci95": list(counts.ci95),
        "first_seen": finding.first_seen,
        "last_seen": finding.last_seen,
    }


def _gone(history: History, title: str, change: LedgerEntry) -> JsonObject:
    """What is told of a finding that the window does not show, in the words of `_seen`."""
    return {
        "id": history.finding_id,
        "title": printable(title, MAX_TITLE_CHARACTERS),
        "severity": history.severity,
        "state": change.to,
        "certainty": None,
        "escalating": False,
        "affected_traces": 0,
        "eligible_traces": change.counts.eligible,
        "rate": 0.0,
        "ci95": None,
        "first_seen": history.first_seen or None,
        "last_seen": history.last_seen or None,
    }


def _event(
    kind: EventKind,
    report: Report,
    told: JsonObject,
    *,
    severity: Severity | None,
    known: Known,
    directory: Path,
) -> Event:
    event_type = f"finding.{kind}"
    subject = f"{report.project}/{told['id']}"
    path = directory / "findings" / f"{told['id']}.md" if kind != "resolved" else directory
    data: JsonObject = {
        "project": report.project,
        "report_id": report.report_id,
        "finding": told,
        "path": printable(str(path), MAX_PATH_CHARACTERS),
    }
    return Event(
        kind=kind,
        key=f"{event_type}/{subject}/{known.revision}",
        body=document(event_type, report.created_at, data),
        project=report.project,
        severity=severity,
        subject=subject,
    )
