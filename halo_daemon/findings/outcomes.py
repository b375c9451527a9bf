"""Outcomes of a project's own traces, and what they taught about risk."""

from typing import Literal

from halo_daemon.findings.record import Count, Instant, Record, Share


class KnownOutcome(Record):
    """A trace of which it is known whether it failed; holds none of its text."""

    trace_id: str
    at: Instant
    """When the trace began."""
    failed: bool
    source: str
    """Who says so: ``feedback``, ``evaluator``, ``label`` or ``contract``."""
    task: str = ""
    """Digest of what was asked; equal ones are the same task."""
    risk: Share
    """As reckoned without any outcome."""
    rules: tuple[str, ...] = ()
    """Names of the rules that found something, in order."""


class SignalWeight(Record):
    """How much a signal moves the log-odds of failing."""

    signal: str
    """``risk`` for the log-odds of the uncalibrated risk, else the name of a rule."""
    log_odds: float


class RiskCalibration(Record):
    """Whether `TraceRow.risk` rests on the project's own outcomes, and how that was judged."""

    state: Literal["calibrated", "too_few", "no_gain"] = "too_few"
    """``no_gain``: outcomes did not foretell better than the base rate, so nothing was changed."""
    outcomes: Count = 0
    """Earlier traces of the project with a known outcome; none of this report's window."""
    failed: Count = 0
    source: str = "none"
    auc_before: Share | None = None
    """Area under the curve on those outcomes, without calibration; None when not judged."""
    auc_after: Share | None = None
    """The same with it, each outcome foretold by a fit that did not know it."""
    weights: tuple[SignalWeight, ...] = ()
    """The strongest first; empty unless calibrated."""
    moved: Count = 0
    """Traces of this window that are among the riskiest tenth because of it."""
    text: str = ""
    """All this in a sentence."""
