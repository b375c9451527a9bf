"""The `traces` section: how risky each examined trace is, and where it most likely went wrong."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.assemble import Assembled
from halo_daemon.analyzer.calibration import UNTAUGHT, Learnt, learn, moved_up, sentence
from halo_daemon.analyzer.partial import Partial, TraceFacts
from halo_daemon.analyzer.risk import RiskScale
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


def trace_rows(
    known: Partial, assembled: Assembled, risks: Mapping[str, float]
) -> tuple[TraceRow, ...]:
    """One row for each examined trace, by trace id."""
    place = {f.finding_id: at for at, f in enumerate(assembled.findings)}
    place |= {f.finding_id: len(place) + at for at, f in enumerate(assembled.weak_signals)}
    named: dict[str, list[tuple[int, str, TraceEvidence]]] = {}
    for key, group in known.groups.items():
        identity = assembled.ids[key]
        for trace_id, hit in group.hits.items():
            rows = named.setdefault(trace_id, [])
            for cited in hit.roles:
                evidence = TraceEvidence(
                    span_id=cited.span_id, role=cited.role, finding_id=identity
                )
                rows.append((place.get(identity, len(place)), identity, evidence))
    return tuple(
        _row(known.traces[trace_id], named.get(trace_id, []), risks[trace_id])
        for trace_id in sorted(known.traces)
    )


def _row(facts: TraceFacts, named: list[tuple[int, str, TraceEvidence]], risk: float) -> TraceRow:
    ordered = sorted(named, key=lambda row: row[:2])
    return TraceRow(
        trace_id=facts.trace_id,
        risk=risk,
        outcome=facts.outcome.verdict,
        findings=tuple(dict.fromkeys(identity for _, identity, _ in ordered)),
        decisive_span_id=facts.decisive_span_id,
        evidence=tuple(evidence for _, _, evidence in ordered),
    )
