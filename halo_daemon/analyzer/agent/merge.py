"""
The rules' report and the model's findings as one report.

Rule 1: a finding that explains a rule's finding joins it under the rule's id;
the rule's numbers stand.

Rule 2: claims that were not verified stand apart, and count for nothing.

Rule 3: whatever became of the model, the report is complete; how the run ended
is said in its ``engine`` block.
"""

from collections.abc import Iterable

from halo_daemon.analyzer.agent.session import RunEnd
from halo_daemon.analyzer.headline import summary_of
from halo_daemon.findings import (
    MAX_ANSWER_CHARS,
    Answered,
    Engine,
    EngineBudget,
    EngineTokens,
    Evidence,
    Finding,
    Report,
    TraceEvidence,
    TraceRow,
    severity_rank,
)
from halo_daemon.findings.finding import MAX_EVIDENCE
from halo_daemon.proto.redact import redact_text

_EVIDENCE_ROLES = {"decision": 0, "symptom": 1, "recovery": 2, "counterexample": 3}


def merge(report: Report, end: RunEnd, *, asked: str = "") -> Report:
    """
    The deterministic *report* with what the model found and how its run ended.

    Where a person *asked* something, the model's last answer stands beside the findings.
    """
    explained = _explained(report.findings, end)
    joined = [
        _joined(finding, explained.get(finding.finding_id, [])) for finding in report.findings
    ]
    absorbed = {mine.finding_id for group in explained.values() for mine in group}
    seen_in = {finding.finding_id for finding in joined}
    added = [
        _dated(report, finding)
        for finding in end.book.verified
        if finding.finding_id not in absorbed | seen_in
    ]
    findings = _in_order(joined, added)
    merged = report.model_copy(
        update={
            "engine": engine_block(report.engine, end),
            "findings": findings,
            "traces": tuple(_with_evidence(row, findings) for row in report.traces),
            "unverified_claims": (*report.unverified_claims, *end.book.unverified),
            "coverage": report.coverage.model_copy(update=_coverage(report, joined, end)),
            "privacy": report.privacy.model_copy(
                update={
                    "values_redacted": report.privacy.values_redacted + end.redacted_values,
                    "bytes_sent_to_model": end.ledger.spent.bytes_sent,
                }
            ),
            "questions": (*report.questions, *end.outcome.questions),
            "answer": _answered(asked, end),
            "limits": (
                *report.limits,
                *(f"{tools} was not offered: {why}." for tools, why in end.missing.items()),
                *([f"The model's part ended early: {why}."] if (why := end.outcome.detail) else []),
                *end.outcome.not_looked_at,
            ),
        }
    )
    return merged.model_copy(update={"summary": summary_of(merged)})


def _answered(asked: str, end: RunEnd) -> Answered | None:
    if not asked or not end.outcome.answer:
        return None
    text = redact_text(end.outcome.answer).text
    return Answered(question=redact_text(asked).text, text=text[:MAX_ANSWER_CHARS])


def engine_block(engine: Engine, end: RunEnd) -> Engine:
    """How the run of the model ended and what it used."""
    spent, budget = end.ledger.spent, end.budget
    is_priced = end.model.price is not None
    return engine.model_copy(
        update={
            "mode": "llm",
            "status": end.status,
            "reason": end.reason or None,
            "model": end.model.name,
            "turns": spent.turns,
            "requests": spent.requests,
            "subagents": spent.subagents,
            "tokens": EngineTokens(
                input=spent.usage.input_tokens,
                cached=spent.usage.cached_input_tokens,
                output=spent.usage.output_tokens,
                reasoning=spent.usage.reasoning_tokens,
                estimated=spent.estimated_tokens,
            ),
            "cost_usd": round(spent.usd, 6) if is_priced else None,
            "cost_note": "" if is_priced else "price unknown",
            "wall_ms": engine.wall_ms + int(end.ledger.elapsed_s * 1000),
            "budget": EngineBudget(
                usd=budget.usd,
                tokens=budget.tokens,
                seconds=budget.seconds,
                requests=budget.requests,
            ),
            "parameters_dropped": end.model.model.parameters_dropped,
            "run_log": end.journal_path.name if end.journal_path else None,
        }
    )


def _explained(rules: Iterable[Finding], end: RunEnd) -> dict[str, list[Finding]]:
    """The model's verified findings by the rule's finding that they explain."""
    by_place = {
        (row.trace_id, row.span_id, finding.category): finding.finding_id
        for finding in rules
        for row in finding.evidence
        if row.role != "counterexample"
    }
    explained: dict[str, list[Finding]] = {}
    for mine in end.book.verified:
        places = ((row.trace_id, row.span_id, mine.category) for row in mine.evidence)
        named = end.book.explanations.get(mine.finding_id)
        target = named or next((by_place[place] for place in places if place in by_place), None)
        if target is not None:
            explained.setdefault(target, []).append(mine)
    return explained


def _joined(finding: Finding, explanations: list[Finding]) -> Finding:
    for mine in explanations:
        update: dict[str, object] = {
            "merged_from": (*finding.merged_from, mine.finding_id),
            "evidence": _both(finding.evidence, mine.evidence),
        }
        if mine.root_cause.text:
            update["root_cause"] = mine.root_cause
            update["diagnosis_class"] = mine.diagnosis_class
        if mine.recommendation.text:
            check = finding.recommendation.check
            update["recommendation"] = mine.recommendation.model_copy(update={"check": check})
        finding = finding.model_copy(update=update)
    return finding


def _both(ours: tuple[Evidence, ...], theirs: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    known = {(row.trace_id, row.span_id, row.quote) for row in ours}
    more = [row for row in theirs if (row.trace_id, row.span_id, row.quote) not in known]
    more.sort(key=lambda row: _EVIDENCE_ROLES[row.role])
    return (*ours, *more)[:MAX_EVIDENCE]


def _dated(report: Report, finding: Finding) -> Finding:
    return finding.model_copy(
        update={"first_seen": report.window.from_, "last_seen": report.window.to}
    )


def _in_order(rules: list[Finding], mine: list[Finding]) -> tuple[Finding, ...]:
    """Rules keep their order; each finding of the model stands behind its equals in severity."""
    ordered = sorted(mine, key=lambda f: (-f.counts.affected_traces, f.finding_id))
    placed = sorted([*rules, *ordered], key=lambda finding: severity_rank(finding.severity))
    if [f for f in placed if f.source != "llm"] == rules:
        return tuple(placed)
    return (*rules, *sorted(ordered, key=lambda finding: severity_rank(finding.severity)))


def _coverage(report: Report, rules: list[Finding], end: RunEnd) -> dict[str, object]:
    rows = [row for finding in end.book.findings.values() for row in finding.evidence]
    verified, of = report.coverage.evidence_verified
    not_reached = [
        finding.finding_id
        for finding in rules
        if not finding.merged_from
        and not any(row.trace_id in end.source.viewed for row in finding.evidence)
    ]
    return {
        "llm_viewed_traces": len(end.source.viewed),
        "llm_not_reached": tuple(not_reached),
        "evidence_verified": (verified + sum(row.quote_verified for row in rows), of + len(rows)),
    }


def _with_evidence(row: TraceRow, findings: tuple[Finding, ...]) -> TraceRow:
    mine = [
        TraceEvidence(span_id=proof.span_id, role=proof.role, finding_id=finding.finding_id)
        for finding in findings
        if finding.source == "llm"
        for proof in finding.evidence
        if proof.trace_id == row.trace_id and proof.quote_verified
    ]
    if not mine:
        return row
    ids = dict.fromkeys([*row.findings, *(proof.finding_id for proof in mine)])
    in_order = [finding.finding_id for finding in findings if finding.finding_id in ids]
    return row.model_copy(update={"findings": tuple(in_order), "evidence": (*row.evidence, *mine)})
