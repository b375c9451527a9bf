"""
Whether a report passes: findings at a severity, accepted ones aside, and coverage.

The baseline file lists what a team accepts, with a reason and a date, and how
much each rule checked when it was written; it is committed beside the code.
"""

from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from halo_daemon.findings import Finding, Report, Severity, is_silent, severity_rank


class Accepted(BaseModel):
    """A finding that does not fail the gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    finding_id: str
    title: str = ""
    reason: str = ""
    accepted_at: str = ""


class Baseline(BaseModel):
    """What is accepted, and the coverage that must not drop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: str = "halo.baseline/1"
    accepted: tuple[Accepted, ...] = ()
    coverage: dict[str, float] = Field(default_factory=dict)
    """Share of its units that each rule checked, by name and version."""


class Verdict(NamedTuple):
    """What the gate says."""

    failing: tuple[Finding, ...]
    """In the order of the report."""
    dropped: tuple[str, ...]
    """Rules that check a smaller share than the baseline says."""

    @property
    def passes(self) -> bool:
        """Whether nothing stands against the report."""
        return not (self.failing or self.dropped)


_COVERAGE_SLACK = 0.01


def is_at_gate(finding: Finding, fail_on: Severity) -> bool:
    """Whether a finding is verified, not silenced, and at least that severe."""
    is_severe = severity_rank(finding.severity) <= severity_rank(fail_on)
    return is_severe and finding.verified and not is_silent(finding.triage)


def judge(report: Report, fail_on: Severity, baseline: Baseline | None = None) -> Verdict:
    """Hold *report* against the gate; with a baseline only what it does not accept counts."""
    accepted = {row.finding_id for row in baseline.accepted} if baseline else set()
    failing = tuple(
        finding
        for finding in report.findings
        if is_at_gate(finding, fail_on) and not _is_accepted(finding, accepted)
    )
    return Verdict(failing, tuple(_dropped(report, baseline)) if baseline else ())


def _is_accepted(finding: Finding, accepted: set[str]) -> bool:
    """One tool that is known to fail accepts nothing for others that a cause hits as well."""
    parts = set(finding.merged_from)
    taken = parts <= accepted if len(finding.by_subject) > 1 else parts & accepted
    return finding.finding_id in accepted or (bool(parts) and bool(taken))


def _dropped(report: Report, baseline: Baseline) -> Iterable[str]:
    shares = coverage_shares(report)
    for rule, share in sorted(baseline.coverage.items()):
        if rule in shares and shares[rule] < share - _COVERAGE_SLACK:
            yield rule


def coverage_shares(report: Report) -> dict[str, float]:
    """Share of its units that each rule checked; rules with nothing to check are left out."""
    return {
        rule.rule: round(rule.checked / rule.of, 4) for rule in report.coverage.rules if rule.of
    }


def baseline_of(report: Report, *, reason: str) -> Baseline:
    """Accept everything that *report* shows, and hold its coverage."""
    accepted = tuple(
        Accepted(
            finding_id=finding.finding_id,
            title=finding.title,
            reason=reason,
            accepted_at=report.created_at,
        )
        for finding in report.findings
    )
    return Baseline(accepted=accepted, coverage=coverage_shares(report))
