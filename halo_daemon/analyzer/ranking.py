"""Severity and order of findings: one rule each, printed with the finding."""

from typing import NamedTuple

from halo_daemon.analyzer.figures import percent
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.stats import Interval
from halo_daemon.findings import Certainty, Finding, Severity

_SEVERITY_WEIGHTS: dict[Severity, float] = {
    "critical": 8.0,
    "high": 4.0,
    "medium": 2.0,
    "low": 1.0,
    "info": 0.5,
}
_CERTAINTY_WEIGHTS: dict[Certainty, float] = {"proved": 1.0, "event": 0.8, "candidate": 0.5}


class Weighed(NamedTuple):
    """A severity and the sentence that gave it."""

    severity: Severity
    rule: str


class Scored(NamedTuple):
    """A finding and what places it in a report."""

    score: float
    finding: Finding
    is_supported: bool
    """Seen in at least one trace with enough to count."""
    is_strong: bool
    """Seen often enough to be claimed."""


def severity_of(
    *,
    unrecovered: int,
    unrecovered_ci: Interval,
    critical: str = "",
    associated: bool,
    cost_share: float,
    settings: MinerSettings,
) -> Weighed:
    """
    Weigh a finding.

    Args:
        unrecovered: Affected traces that did not recover.

        unrecovered_ci: Interval of their rate over the eligible ones.

        critical: What makes a single trace enough; ``""`` for nothing.

        associated: Whether traces with it fail more often, all tests of the report considered.

        cost_share: Share of the window's tokens, or of its time, that it wasted.

        settings: Where the thresholds stand.
    """
    if critical:
        return Weighed("critical", critical)
    low = unrecovered_ci.low
    if associated and low >= settings.medium_rate:
        return Weighed("high", "goes with failed traces, all tests of the report considered")
    if unrecovered and low >= settings.high_rate:
        return Weighed("high", _at_least("unrecovered", low, settings.high_rate))
    if unrecovered and low >= settings.medium_rate:
        return Weighed("medium", _at_least("unrecovered", low, settings.medium_rate))
    if cost_share >= settings.medium_cost_share:
        return Weighed("medium", _at_least("wasted cost", cost_share, settings.medium_cost_share))
    return Weighed("low", "seen, recovered from or rare, and cheap")


def _at_least(what: str, share: float, threshold: float) -> str:
    if what == "wasted cost":
        return f"{percent(share)} of the window's cost wasted, threshold {percent(threshold)}"
    return f"{what} in at least {percent(share)} of eligible traces, threshold {percent(threshold)}"


def score_of(severity: Severity, certainty: Certainty, rate_low: float, cost_share: float) -> float:
    """What findings are ordered by, the highest first."""
    weight = _SEVERITY_WEIGHTS[severity] * _CERTAINTY_WEIGHTS[certainty]
    return round(weight * rate_low * (1 + cost_share), 9)


def scored_as_is(finding: Finding) -> Scored:
    """A finding that was made over all traces at once, and counts as it is."""
    score = score_of(finding.severity, finding.certainty, finding.counts.ci95[0], 0.0)
    return Scored(score, finding, is_supported=True, is_strong=True)
