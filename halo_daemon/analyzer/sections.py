"""The parts of a report that count: data set, totals, data quality, coverage."""

from collections import Counter
from collections.abc import Iterable

from halo_daemon.analyzer.assemble import Assembled
from halo_daemon.analyzer.changes import inventory_of
from halo_daemon.analyzer.outlier_findings import rule_id, unit_of
from halo_daemon.analyzer.outliers import FLOORS, MIN_STEPS
from halo_daemon.analyzer.partial import Partial, TraceFacts
from halo_daemon.analyzer.quality import FIXES
from halo_daemon.analyzer.rules.registry import RULES
from halo_daemon.analyzer.stats import percentile, wilson
from halo_daemon.findings import (
    Coverage,
    CoverageRule,
    DataQuality,
    Dataset,
    ErrorRate,
    Exposure,
    Finding,
    LargeTraces,
    NotChecked,
    NotCheckedReason,
    Outcomes,
    Report,
    Skipped,
    SpanRef,
    TotalCost,
    TotalDuration,
    Totals,
    TotalTokens,
)
from halo_daemon.store.trace_reader import Overview

_UNITS = {rule.id: rule.unit for rule in RULES}
_MAX_EXPOSURES = 50


def dataset_of(known: Partial) -> Dataset:
    """What the window held, skipped traces included."""
    rows = known.traces.values()
    exposure = Counter((row.service_version, model) for row in rows for model in row.models)
    return Dataset(
        traces=len(rows) + sum(known.skipped.values()),
        spans=sum(row.spans for row in rows),
        sessions=len({row.session_id for row in rows} - {""}),
        users=len({row.user_id for row in rows} - {""}),
        open_traces=sum(row.is_open for row in rows),
        duplicate_spans=sum(row.duplicate_spans for row in rows),
        exposure=tuple(
            Exposure(service_version=version, model=model, traces=traces)
            for (version, model), traces in sorted(exposure.items())[:_MAX_EXPOSURES]
        ),
        outcomes=_outcomes(rows),
        inventory=inventory_of(known),
    )


def _outcomes(rows: Iterable[TraceFacts]) -> Outcomes:
    stated = [row.outcome for row in rows if row.outcome.verdict != "unknown"]
    return Outcomes(
        known=len(stated),
        failed=sum(outcome.verdict == "failed" for outcome in stated),
        source="+".join(sorted({outcome.source for outcome in stated})) or "none",
    )


def totals_of(known: Partial, previous: Report | None) -> Totals:
    """The window in four figures, beside those of the previous report."""
    rows = sorted(known.traces.values())
    before = previous.totals if previous else None
    failed = sum(row.leaf_errors > 0 for row in rows)
    listed = sum(row.has_recorded_error for row in rows)
    low, high = wilson(failed, len(rows))
    durations = [row.duration_ms for row in rows] or [0]
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    return Totals(
        error_rate=ErrorRate(
            value=round(failed / len(rows), 6) if rows else 0.0,
            listed=round(listed / len(rows), 6) if rows else 0.0,
            ci95=(round(low, 6), round(high, 6)),
            n=len(rows),
            previous=before.error_rate.value if before else None,
        ),
        duration_ms=TotalDuration(
            p50=int(percentile(durations, 0.5)),
            p95=int(percentile(durations, 0.95)),
            previous_p95=before.duration_ms.p95 if before else None,
        ),
        tokens=TotalTokens(
            input=sum(row.input_tokens for row in rows),
            output=sum(row.output_tokens for row in rows),
            previous=before.tokens.input + before.tokens.output if before else None,
        ),
        cost_usd=TotalCost(
            value=round(sum(sorted(costs)), 6) if costs else None,
            previous=before.cost_usd.value if before else None,
        ),
    )


def data_quality_of(known: Partial) -> tuple[DataQuality, ...]:
    """Defects of the recording that were met, by code."""
    return tuple(
        DataQuality(
            code=code,
            count=defects.met,
            of=defects.of,
            example=SpanRef(trace_id=defects.example[0], span_id=defects.example[1]),
            fix=FIXES[code],
        )
        for code, defects in sorted(known.defects.items())
        if defects.met
    )


def coverage_of(
    known: Partial, overview: Overview, shown: list[Finding], assembled: Assembled, *, fdr_q: float
) -> Coverage:
    """What was looked at, and how many of the quotes in *shown* were found in their spans."""
    quotes = [row.quote_verified for finding in shown for row in finding.evidence]
    skipped = sorted(known.skipped.items())
    return Coverage(
        examined_traces=len(known.traces),
        large=_large(known),
        skipped=tuple(Skipped(reason=reason, count=traces) for reason, traces in skipped),
        quarantined_lines=overview.quarantined_lines,
        rules=(
            *(_rule_row(known, rule.id) for rule in RULES),
            *(_outlier_row(known, rule) for rule in sorted(FLOORS)),
        ),
        tests=assembled.tests,
        discoveries=assembled.discoveries,
        fdr_q=fdr_q,
        evidence_verified=(sum(quotes), len(quotes)),
    )


def _large(known: Partial) -> LargeTraces | None:
    large = known.large
    if not large["traces"]:
        return None
    return LargeTraces(
        traces=large["traces"],
        parts=large["parts"],
        spans_left=large["spans"],
        bytes_left=large["bytes"],
    )


def _outlier_row(known: Partial, rule: str) -> CoverageRule:
    counts = [s.buckets.total() for measure, s in known.spreads.items() if measure.rule == rule]
    unit = unit_of(rule)
    of = len(known.traces) if unit == "traces" else sum(f.steps for f in known.traces.values())
    few = sum(count for count in counts if count < MIN_STEPS)
    missing = max(0, of - sum(counts))
    reasons: tuple[tuple[NotCheckedReason, int], ...] = (
        ("not_applicable" if unit == "traces" else "not_recorded", missing),
        ("too_few", few),
    )
    return CoverageRule(
        rule=rule_id(rule),
        checked=sum(counts) - few,
        of=of,
        unit=unit,
        not_checked=tuple(NotChecked(reason=why, count=units) for why, units in reasons if units),
    )


def _rule_row(known: Partial, rule: str) -> CoverageRule:
    checked = known.checked.get(rule)
    if checked is None:
        return CoverageRule(rule=rule, checked=0, of=0, unit=_UNITS[rule])
    reasons = sorted(checked.not_checked.items())
    return CoverageRule(
        rule=rule,
        checked=checked.checked,
        of=checked.of,
        unit=_UNITS[rule],
        not_checked=tuple(NotChecked(reason=reason, count=units) for reason, units in reasons),
    )
