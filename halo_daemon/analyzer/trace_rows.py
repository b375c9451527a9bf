"""The `traces` section: how risky each examined trace is, and where it most likely went wrong."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.assemble import Assembled
from halo_daemon.analyzer.calibration import UNTAUGHT, Learnt, learn, moved_up, sentence
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.partial import Hit, Partial, SpanRole, TraceFacts
from halo_daemon.analyzer.risk import NO_BLAME, RiskScale
from halo_daemon.findings import (
    KnownOutcome,
    RiskCalibration,
    TraceEvidence,
    TraceRow,
)
from halo_daemon.proto.times import format_unix_ns

_DIGITS = 6


class Risks(NamedTuple):
    """The risk of every examined trace, and what it rests on."""

    by_trace: Mapping[str, float]
    stated: RiskCalibration
    outcomes: tuple[KnownOutcome, ...]
    """What became of these traces, for later reports to learn from; by trace id."""


def risks_of(known: Partial, history: Sequence[KnownOutcome]) -> Risks:
    """Risk of each trace, calibrated where *history* allows it."""
    scale = RiskScale(facts.signals for facts in known.traces.values())
    plain = {trace_id: scale.risk_of(facts.signals) for trace_id, facts in known.traces.items()}
    found = _rules_by_trace(known)
    learnt = learn(history, known.traces.keys())
    risks = _calibrated(plain, found, learnt)
    stated = learnt.stated.model_copy(update={"moved": moved_up(plain, risks)})
    outcomes = tuple(
        KnownOutcome(
            trace_id=trace_id,
            at=format_unix_ns(facts.start_unix_ns),
            failed=facts.outcome.verdict == "failed",
            source=facts.outcome.source,
            task=facts.task,
            risk=plain[trace_id],
            rules=found.get(trace_id, ()),
        )
        for trace_id, facts in sorted(known.traces.items())
        if facts.outcome.verdict != "unknown" and facts.outcome.source not in UNTAUGHT
    )
    stated = stated.model_copy(update={"text": sentence(stated)})
    return Risks(risks, stated, outcomes)


def _calibrated(
    plain: Mapping[str, float], found: Mapping[str, tuple[str, ...]], learnt: Learnt
) -> Mapping[str, float]:
    calibration = learnt.calibration
    if calibration is None:
        return plain
    return {
        trace_id: round(calibration.risk_of(risk, found.get(trace_id, ())), _DIGITS)
        for trace_id, risk in plain.items()
    }


def _rules_by_trace(known: Partial) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for key, group in known.groups.items():
        for trace_id, hit in group.hits.items():
            if not hit.is_weak:
                found.setdefault(trace_id, set()).add(key.rule)
    return {trace_id: tuple(sorted(rules)) for trace_id, rules in found.items()}


class _Named(NamedTuple):
    """A finding of one trace, and the spans that it blames there; in report order."""

    place: int
    finding_id: str
    blamed: tuple[SpanRole, ...]


def trace_rows(
    known: Partial, assembled: Assembled, risks: Mapping[str, float]
) -> tuple[TraceRow, ...]:
    """One row for each examined trace, by trace id."""
    place = {f.finding_id: at for at, f in enumerate(assembled.findings)}
    place |= {f.finding_id: len(place) + at for at, f in enumerate(assembled.weak_signals)}
    named: dict[str, list[_Named]] = {}
    for key, group in known.groups.items():
        identity = assembled.ids[key]
        for trace_id, hit in group.hits.items():
            row = _Named(place.get(identity, len(place)), identity, _blamed(key, hit))
            named.setdefault(trace_id, []).append(row)
    for identity, traces in assembled.named.items():
        # What stands out costs more than the like of it; where a run went wrong is another matter.
        for trace_id in traces:
            row = _Named(place.get(identity, len(place)), identity, ())
            named.setdefault(trace_id, []).append(row)
    return tuple(
        _row(known.traces[trace_id], sorted(named.get(trace_id, [])), risks[trace_id])
        for trace_id in sorted(known.traces)
    )


def _blamed(key: FindingKey, hit: Hit) -> tuple[SpanRole, ...]:
    """
    The spans that say where the trace went wrong.

    A symptom is left out where the decision behind it is known, because an error is
    seldom where the mistake was made; the finding itself shows both.
    """
    if key.rule in NO_BLAME or hit.is_weak:
        return ()
    has_decision = any(cited.role == "decision" for cited in hit.roles)
    return tuple(cited for cited in hit.roles if not (has_decision and cited.role == "symptom"))


def _row(facts: TraceFacts, named: list[_Named], risk: float) -> TraceRow:
    return TraceRow(
        trace_id=facts.trace_id,
        risk=risk,
        outcome=facts.outcome.verdict,
        findings=tuple(dict.fromkeys(row.finding_id for row in named)),
        decisive_span_id=facts.decisive_span_id,
        evidence=tuple(
            TraceEvidence(span_id=cited.span_id, role=cited.role, finding_id=row.finding_id)
            for row in named
            for cited in row.blamed
        ),
    )
