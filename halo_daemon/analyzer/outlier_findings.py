"""Steps that stand out, as findings."""

from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.figures import duration, short_count
from halo_daemon.analyzer.fingerprint import ALGORITHM, FindingKey, finding_id
from halo_daemon.analyzer.outliers import IDLE, OF_RUNS, SLOW_RUN, Measure, Outstanding
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.stats import wilson
from halo_daemon.findings import Counts, Evidence, Finding, Fingerprint, Recommendation
from halo_daemon.proto.times import format_unix_ns

_DIGITS = 6
_VERSION = 2
_PHRASES = {
    "slow": ("takes far longer than usual", "performance"),
    "costly": ("costs far more than usual", "cost"),
    "idle": ("The run pauses for far longer than usual", "performance"),
    "heavy": ("uses far more tokens than usual", "cost"),
    SLOW_RUN: ("The run takes far longer than usual", "performance"),
}

_ADVICE = {
    IDLE: "Look at what the run waits for before the cited span: a queue, a lock, a person, or work"
    " that is not recorded.",
    SLOW_RUN: "Shorten what the runs wait for most; work beside the critical path makes nobody wait.",
}
_EXPLAINED = 0.8


class Outlier(NamedTuple):
    """A finding, and the traces that it names."""

    finding: Finding
    traces: frozenset[str]


def rule_id(rule: str) -> str:
    """Name and version, as in ``slow@2``."""
    return f"{rule}@{_VERSION}"


def unit_of(rule: str) -> str:
    """What a rule compares: steps, or runs."""
    return "traces" if rule in OF_RUNS else "steps"


def outlier_findings(known: Partial, settings: MinerSettings) -> list[Outlier]:
    """
    One finding for each measure with enough traces that stand out, by measure; all low.

    Slow runs are no finding of their own where slow steps or long pauses name most of
    them: those say what took the time.
    """
    found = list(_outliers(known, settings))
    told: dict[str, set[str]] = {}
    for row in found:
        rule, agent = row.finding.fingerprint.parts[:2]
        if rule in {"slow", IDLE}:
            told.setdefault(agent, set()).update(row.traces)
    return [row for row in found if not _is_told(row, told)]


def _is_told(row: Outlier, told: dict[str, set[str]]) -> bool:
    rule, agent = row.finding.fingerprint.parts[:2]
    others = told.get(agent, set())
    return rule == SLOW_RUN and len(row.traces & others) >= _EXPLAINED * len(row.traces)


def _outliers(known: Partial, settings: MinerSettings) -> Iterator[Outlier]:
    for measure in sorted(known.spreads):
        found = known.spreads[measure].outstanding()
        if found is not None and len(found.traces) >= max(1, settings.min_support_traces):
            yield Outlier(_finding(known, measure, found), found.traces)


def _finding(known: Partial, measure: Measure, found: Outstanding) -> Finding:
    spread = known.spreads[measure]
    key = FindingKey(measure.rule, measure.agent, measure.name, measure.model, "")
    phrase, category = _PHRASES[measure.rule]
    model = f" with {in_ticks(measure.model, limit=50)}" if measure.model else ""
    starts = [known.traces[trace_id].start_unix_ns for trace_id in found.traces]
    identity = finding_id(key)
    return Finding(
        finding_id=identity,
        fingerprint=Fingerprint(algo=ALGORITHM, parts=tuple(key)),
        title=f"{in_ticks(measure.name, limit=60)}{model} {phrase}" if measure.name else phrase,
        category=category,
        source=f"rule:{rule_id(measure.rule)}",
        certainty="event",
        severity="low",
        severity_rule=(
            f"{found.values} of {spread.buckets.total()} {unit_of(measure.rule)} at or above"
            f" {_value(measure.rule, found.threshold)}"
        ),
        confidence=0.9,
        first_seen=format_unix_ns(min(starts)),
        last_seen=format_unix_ns(max(starts)),
        counts=_counts(known, key, found),
        evidence=tuple(
            Evidence(trace_id=row.trace_id, span_id=row.span_id, role="symptom")
            for row in spread.largest[: found.values]
        ),
        diagnosis_class="implementation",
        recommendation=Recommendation(
            fix_type="code",
            text=_ADVICE.get(
                measure.rule, "Look at what these steps were given that others were not."
            ),
            check=f"halo-daemon analyze --finding {identity} --since 24h",
        ),
    )


def _counts(known: Partial, key: FindingKey, found: Outstanding) -> Counts:
    traces = found.traces
    eligible = known.eligible.get(population_of(key), set()) | traces
    low, high = wilson(len(traces), len(eligible))
    facts = [known.traces[trace_id] for trace_id in traces]
    return Counts(
        affected_traces=len(traces),
        eligible_traces=len(eligible),
        rate=round(len(traces) / len(eligible), _DIGITS),
        ci95=(round(low, _DIGITS), round(high, _DIGITS)),
        spans=found.values,
        sessions=len({fact.session_id for fact in facts} - {""}),
        users=len({fact.user_id for fact in facts} - {""}),
        recovered=len(traces),
    )


def _value(rule: str, value: float) -> str:
    if rule in {"slow", IDLE, SLOW_RUN}:
        return duration(round(value))
    return f"${value:.2f}" if rule == "costly" else f"{short_count(round(value))} tokens"
