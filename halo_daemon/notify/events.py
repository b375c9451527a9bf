"""
What is told: small documents about reports; pure.

Titles and headlines hold words of strangers (tool names, error messages), so they
are cut and stripped of characters that do not print. The whole record stays on
this machine; a document names its place.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from halo_daemon.findings import Finding, Report, is_silent
from halo_daemon.proto.json_value import JsonObject

MAX_BODY_BYTES = 20_000
"""What the limits below add up to at most, four bytes a character."""
_MAX_FINDINGS = 10
_MAX_TITLE_CHARACTERS = 160
_MAX_HEADLINE_CHARACTERS = 400
_MAX_PATH_CHARACTERS = 1_000
_ID_DIGITS = 24

EventKind = Literal["report"]


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that targets may be told of.

    Attributes:
        kind: What routes look at.

        key: Names the event for good; the same event always has the same key.

        body: JSON, sent byte for byte as it stands here.
    """

    kind: EventKind
    key: str
    body: bytes

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
        "path": printable(str(directory), _MAX_PATH_CHARACTERS),
    }
    document: JsonObject = {
        "type": "report.created",
        "timestamp": report.created_at,
        "data": data,
    }
    return Event(
        "report", f"report.created/{report.project}/{report.report_id}", orjson.dumps(document)
    )


def _finding(finding: Finding) -> JsonObject:
    return {
        "id": finding.finding_id,
        "title": printable(finding.title, _MAX_TITLE_CHARACTERS),
        "severity": finding.severity,
        "state": finding.state,
        "certainty": finding.certainty,
        "affected_traces": finding.counts.affected_traces,
        "eligible_traces": finding.counts.eligible_traces,
        "first_seen": finding.first_seen,
    }
