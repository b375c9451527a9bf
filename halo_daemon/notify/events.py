"""
What is told: small documents about reports and runs; pure.

Titles and headlines hold words of strangers (tool names, error messages), so they
are cut and stripped of characters that do not print. The whole record stays on
this machine; a document names its place.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from halo_daemon.config_notify import EventKind
from halo_daemon.findings import Finding, Report, Severity, is_silent
from halo_daemon.proto.json_value import JsonObject

MAX_BODY_BYTES = 20_000
"""What the limits below add up to at most, four bytes a character."""
_MAX_FINDINGS = 10
MAX_TITLE_CHARACTERS = 160
_MAX_HEADLINE_CHARACTERS = 400
MAX_PATH_CHARACTERS = 1_000
_ID_DIGITS = 24


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that targets may be told of.

    Attributes:
        kind: What routes look at, as are *project* and *severity*.

        key: Names the event for good; the same event always has the same key.

        body: JSON, sent byte for byte as it stands here.

        severity: Of the finding that it is about; None for other events.

        subject: Events of one subject arrive in the order in which they happened; empty
            where the order does not matter.
    """

    kind: EventKind
    key: str
    body: bytes
    project: str
    severity: Severity | None = None
    subject: str = ""

    def message_id(self, target: str) -> str:
        """The id of this event at *target*, the same over retries and restarts."""
        digest = hashlib.sha256(f"{self.key}\n{target}".encode("utf-8", "surrogatepass"))
        return f"msg_{digest.hexdigest()[:_ID_DIGITS]}"


def printable(text: str, max_characters: int) -> str:
    """Fold white space, leave out what does not print, and cut."""
    folded = " ".join(text.split())
    kept = "".join(character for character in folded if character.isprintable())
    return kept if len(kept) <= max_characters else kept[: max_characters - 1] + "…"


def report_created(report: Report, directory: Path) -> Event:
    """
    The event of a report that was written to *directory*; at most `MAX_BODY_BYTES` long.

    Findings that people muted or called false are in the counts and not among those told.
    """
    told = [finding for finding in report.findings if not is_silent(finding.triage)]
    data: JsonObject = {
        "project": report.project,
        "report_id": report.report_id,
        "headline": printable(report.summary.headline, _MAX_HEADLINE_CHARACTERS),
        "window": {"from": report.window.from_, "to": report.window.to},
        "engine": {"mode": report.engine.mode, "status": report.engine.status},
        "traces": report.dataset.traces,
        "spans": report.dataset.spans,
        "counts": dict(report.summary.counts.model_dump()),
        "findings_total": len(report.findings),
        "findings": [_finding(finding) for finding in told[:_MAX_FINDINGS]],
        "path": printable(str(directory), MAX_PATH_CHARACTERS),
    }
    return Event(
        kind="report",
        key=f"report.created/{report.project}/{report.report_id}",
        body=document("report.created", report.created_at, data),
        project=report.project,
    )


PARTIAL_RUNS_TOLD = 3


class FailedRun(NamedTuple):
    """
    A scheduled run that left no report.

    Attributes:
        at: When it began.

        retry_after_s: When it is tried again; None for at its next time.
    """

    project: str
    schedule: str
    engine: str
    at: str
    error: str
    hint: str = ""
    retry_after_s: float | None = None


def partial_runs(report: Report) -> tuple[Event, ...]:
    """
    The event of three partial reports in a row, with the third of them; none for any other.

    One partial report is a bad night; three say that the model's part does not work.
    """
    engine = report.engine
    if engine.status != "partial" or engine.partial_in_a_row != PARTIAL_RUNS_TOLD:
        return ()
    error = f"{PARTIAL_RUNS_TOLD} runs in a row left a partial report: {engine.reason or 'unknown'}"
    data: JsonObject = {
        "project": report.project,
        "schedule": report.run.schedule,
        "engine": "llm",
        "error": printable(error, _MAX_HEADLINE_CHARACTERS),
        "hint": "look at the model's settings and its budget: `models.default`, `analysis.budget`",
        "retry_after_s": None,
        "report_id": report.report_id,
    }
    event = Event(
        kind="failed",
        key=f"run.failed/{report.project}/{report.report_id}",
        body=document("run.failed", report.created_at, data),
        project=report.project,
    )
    return (event,)


def run_failed(run: FailedRun) -> Event:
    """The event of a scheduled run that failed or was refused."""
    data: JsonObject = {
        "project": run.project,
        "schedule": run.schedule,
        "engine": run.engine,
        "error": printable(run.error, _MAX_HEADLINE_CHARACTERS),
        "hint": printable(run.hint, _MAX_HEADLINE_CHARACTERS),
        "retry_after_s": run.retry_after_s,
    }
    return Event(
        kind="failed",
        key=f"run.failed/{run.project}/{run.schedule}/{run.at}",
        body=document("run.failed", run.at, data),
        project=run.project,
    )


def document(event_type: str, timestamp: str, data: JsonObject) -> bytes:
    """The body of a message, in the form of Standard Webhooks."""
    return orjson.dumps({"type": event_type, "timestamp": timestamp, "data": data})


def _finding(finding: Finding) -> JsonObject:
    return {
        "id": finding.finding_id,
        "title": printable(finding.title, MAX_TITLE_CHARACTERS),
        "severity": finding.severity,
        "state": finding.state,
        "certainty": finding.certainty,
        "affected_traces": finding.counts.affected_traces,
        "eligible_traces": finding.counts.eligible_traces,
        "first_seen": finding.first_seen,
    }
