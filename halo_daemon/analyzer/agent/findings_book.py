"""
What the model claims, checked claim by claim.

Rule 1: a finding is verified when every quote of it stands in the span that it
names. All else is kept apart.

Rule 2: numbers are counted here, from the query or the trace ids that are
cited; what the model says of numbers is compared, never copied.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from halo_daemon.analyzer.agent.arguments import validate
from halo_daemon.analyzer.agent.drafts import DraftEvidence, DraftFinding
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.messages import as_object
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.quotes import find_quote, spans_with
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.masking import template_of
from halo_daemon.analyzer.stats import wilson
from halo_daemon.findings import (
    Counts,
    Evidence,
    Finding,
    Fingerprint,
    Recommendation,
    RootCause,
)
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import redact_text
from halo_daemon.proto.trace import Trace

SOURCE = "llm"
_MAX_NEAR = 3
_KEY = "finding"

FindingSink = Callable[[Finding], None]
"""Told of every finding that is recorded or mended."""


@dataclass(slots=True)
class FindingsBook:
    """The findings of one run, by id, in order of first recording."""

    source: TraceSource
    queries: QueryLog
    known_ids: frozenset[str] = frozenset()
    """Ids of the findings that rules made; only these can be explained."""

    on_recorded: FindingSink = lambda _: None
    findings: dict[str, Finding] = field(default_factory=dict)
    explanations: dict[str, str] = field(default_factory=dict)
    """The rule's finding that a finding of the model explains, by the model's id."""

    @property
    def verified(self) -> list[Finding]:
        """Findings all of whose quotes were found."""
        return [finding for finding in self.findings.values() if finding.verified]

    @property
    def unverified(self) -> list[Finding]:
        """Claims that did not hold."""
        return [finding for finding in self.findings.values() if not finding.verified]

    async def record(self, draft: DraftFinding) -> JsonObject:
        """
        Check *draft* and keep it; a verified one is not replaced by one that is not.

        Returns:
            The id, whether it is verified, and what is wrong.
        """
        finding, problems = await asyncio.to_thread(self.check, draft)
        counts = finding.counts
        old = self.findings.get(finding.finding_id)
        if old is None or finding.verified or not old.verified:
            self.findings[finding.finding_id] = finding
            self._explain(draft, finding, problems)
            self.on_recorded(finding)
        return {
            "finding_id": finding.finding_id,
            "verified": finding.verified,
            "affected_traces": counts.affected_traces,
            "eligible_traces": counts.eligible_traces,
            "problems": [*problems],
        }

    async def record_value(self, value: JsonValue) -> str:
        """Record a finding as it stands in an answer; returns what is wrong, else ``""``."""
        try:
            draft, _ = validate(DraftFinding, as_object(value))
        except EngineToolError as exc:
            return str(exc)
        answer = await self.record(draft)
        return "" if answer["verified"] else f"{draft.title}: {answer['problems']}"

    def check(self, draft: DraftFinding) -> tuple[Finding, list[str]]:
        """The finding that *draft* comes to, and what is wrong with it; reads traces."""
        problems: list[str] = []
        evidence = tuple(self._checked(row, problems) for row in draft.evidence)
        counts = self._counts(draft, evidence, problems)
        return _finding(draft, evidence, counts), problems

    def restore(self, records: list[JsonObject]) -> None:
        """Take over what a journal recorded."""
        for record in records:
            finding = Finding.model_validate_json(orjson.dumps(record[_KEY]))
            self.findings[finding.finding_id] = finding
            explained = record.get("explains")
            if isinstance(explained, str) and explained:
                self.explanations[finding.finding_id] = explained

    def to_record(self, finding: Finding) -> JsonObject:
        """What a journal keeps of *finding*."""
        fields: JsonObject = finding.model_dump(mode="json", by_alias=True)
        return {_KEY: fields, "explains": self.explanations.get(finding.finding_id, "")}

    def _checked(self, row: DraftEvidence, problems: list[str]) -> Evidence:
        unproven = Evidence(
            trace_id=row.trace_id[:64],
            span_id=row.span_id[:32],
            role=row.role,
            quote=redact_text(row.quote).text[:400],
        )
        try:
            trace = self.source.load(row.trace_id)
        except EngineToolError as exc:
            problems.append(str(exc))
            return unproven
        span = trace.by_id.get(row.span_id)
        if span is None:
            problems.append(f"no span `{row.span_id[:64]}` in trace {row.trace_id}")
            return unproven
        place = find_quote(span, row.quote, attribute=row.attribute)
        if place is None:
            problems.append(_not_found(trace, row))
            return unproven
        return Evidence(
            trace_id=row.trace_id,
            span_id=row.span_id,
            role=row.role,
            attribute=place.attribute,
            char_start=place.start,
            char_end=place.end,
            quote=place.text,
            quote_verified=True,
        )

    def _counts(
        self, draft: DraftFinding, evidence: tuple[Evidence, ...], problems: list[str]
    ) -> Counts:
        query = self.queries.find(draft.query_id) if draft.query_id else None
        if draft.query_id and query is None:
            problems.append(f"no query `{draft.query_id[:40]}` in this run; counted from evidence")
        if query is not None:
            affected, eligible = query
        else:
            cited = {row.trace_id for row in evidence if row.quote_verified}
            affected = len(self.source.known(cited | {*draft.affected_trace_ids}))
            eligible = self.source.count()
        claimed = draft.affected_traces
        if claimed is not None and claimed != affected:
            problems.append(f"affected_traces: you said {claimed}, counted {affected}")
        eligible = max(eligible, affected)
        return Counts(
            affected_traces=affected,
            eligible_traces=eligible,
            rate=affected / eligible if eligible else 0.0,
            ci95=wilson(affected, eligible) if eligible else (0.0, 0.0),
            spans=len({(row.trace_id, row.span_id) for row in evidence if row.quote_verified}),
            query_id=draft.query_id if query is not None else None,
        )

    def _explain(self, draft: DraftFinding, finding: Finding, problems: list[str]) -> None:
        if not draft.explains:
            return
        if draft.explains in self.known_ids:
            self.explanations[finding.finding_id] = draft.explains
        else:
            problems.append(f"explains: no finding `{draft.explains[:40]}`")


def _finding(draft: DraftFinding, evidence: tuple[Evidence, ...], counts: Counts) -> Finding:
    key = FindingKey(SOURCE, "", draft.category[:100], "", template_of(draft.title))
    cause = draft.root_cause
    fix = draft.recommendation
    return Finding(
        finding_id=finding_id(key),
        fingerprint=Fingerprint(parts=tuple(key)),
        title=redact_text(draft.title).text,
        category=draft.category[:100],
        source=SOURCE,
        verified=all(row.quote_verified for row in evidence),
        severity=draft.severity,
        severity_rule="judged by the model",
        confidence=draft.confidence,
        counts=counts,
        evidence=evidence,
        root_cause=RootCause(state=cause.state, text=redact_text(cause.text).text),
        diagnosis_class=draft.diagnosis_class,
        recommendation=Recommendation(
            fix_type=fix.fix_type,
            text=redact_text(fix.text).text,
            effort=fix.effort,
            expected_effect=fix.expected_effect,
            validation_plan=fix.validation_plan,
        ),
    )


def _not_found(trace: Trace, row: DraftEvidence) -> str:
    elsewhere = spans_with(trace, row.quote)[:_MAX_NEAR]
    hint = f"; it stands in {', '.join(elsewhere)}" if elsewhere else "; it stands in no span of it"
    return f"quote `{row.quote[:60]}` is not in span {row.span_id} of trace {row.trace_id}{hint}"
