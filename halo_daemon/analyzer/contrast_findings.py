"""Discovered contrasts as findings: where traces with a feature fail more often than others."""

from collections.abc import Mapping

from halo_daemon.analyzer.contrast import Contrast
from halo_daemon.analyzer.features import Feature
from halo_daemon.analyzer.fingerprint import ALGORITHM, FindingKey, finding_id
from halo_daemon.analyzer.outcome import Outcome
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.ranking import severity_of
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.stats import wilson
from halo_daemon.findings import (
    Counts,
    Evidence,
    Finding,
    Fingerprint,
    Recommendation,
    Role,
    RootCause,
)
from halo_daemon.proto.times import format_unix_ns

CONTRAST = "contrast"
_SHOWN = 3
_DIGITS = 6

_PHRASES: dict[str, str] = {
    "both": "Runs with {} fail more often",
    "tool": "Runs that use the tool {} fail more often",
    "tool mostly": "Runs half of whose calls go to {} fail more often",
    "tool pair": "Runs that go {} fail more often",
    "tool triple": "Runs that go {} fail more often",
    "first calls": "Runs that begin with {} fail more often",
    "model": "Runs with the model {} fail more often",
    "service.version": "Runs of version {} fail more often",
    "agent": "Runs of the agent {} fail more often",
    "prompt": "Runs with the prompt {} fail more often",
    "tool list": "Runs with the tool list {} fail more often",
    "user tier": "Runs of the user tier {} fail more often",
}


def contrast_key(feature: Feature) -> FindingKey:
    """The identity of a contrast on that feature."""
    return FindingKey(CONTRAST, feature.agent, feature.name, feature.kind, "")


def contrast_finding(
    known: Partial, found: Contrast, outcomes: Mapping[str, Outcome], settings: MinerSettings
) -> Finding:
    """
    The finding for one discovered contrast.

    Affected are the failed traces with the feature, eligible all traces with it and
    a known outcome; the evidence is the root spans of a few of them.
    """
    key = contrast_key(found.feature)
    failed = sorted(t for t in found.traces if outcomes[t].verdict == "failed")
    fine = sorted(t for t in found.traces if outcomes[t].verdict == "ok")
    interval = wilson(len(failed), len(failed) + len(fine))
    weighed = severity_of(
        unrecovered=len(failed),
        unrecovered_ci=interval,
        associated=True,
        cost_share=0.0,
        settings=settings,
    )
    starts = [known.traces[trace_id].start_unix_ns for trace_id in failed]
    return Finding(
        finding_id=finding_id(key),
        fingerprint=Fingerprint(algo=ALGORITHM, parts=tuple(key)),
        title=_PHRASES[found.feature.kind].format(in_ticks(found.feature.name, limit=80)),
        category="other",
        source=f"rule:{CONTRAST}@1",
        certainty="candidate",
        severity=weighed.severity,
        severity_rule=weighed.rule,
        confidence=round(1 - found.association.q, 3),
        first_seen=format_unix_ns(min(starts)) if starts else None,
        last_seen=format_unix_ns(max(starts)) if starts else None,
        counts=_counts(known, failed, len(failed) + len(fine), interval),
        association=found.association,
        evidence=(
            *(_root(known, trace_id, "symptom") for trace_id in failed[:_SHOWN]),
            *(_root(known, trace_id, "counterexample") for trace_id in fine[:1]),
        ),
        root_cause=RootCause(state="unknown"),
        recommendation=Recommendation(
            fix_type="eval",
            text="Compare a failed run with the counterexample, step by step; this goes with"
            " failure and need not be its cause.",
            check=f"halo-daemon analyze --finding {finding_id(key)} --since 24h",
        ),
    )


def _counts(known: Partial, failed: list[str], n: int, interval: tuple[float, float]) -> Counts:
    facts = [known.traces[trace_id] for trace_id in failed]
    return Counts(
        affected_traces=len(failed),
        eligible_traces=n,
        rate=round(len(failed) / n, _DIGITS) if n else 0.0,
        ci95=(round(interval[0], _DIGITS), round(interval[1], _DIGITS)),
        spans=0,
        sessions=len({fact.session_id for fact in facts} - {""}),
        users=len({fact.user_id for fact in facts} - {""}),
    )


def _root(known: Partial, trace_id: str, role: Role) -> Evidence:
    return Evidence(trace_id=trace_id, span_id=known.traces[trace_id].root_span_id, role=role)
