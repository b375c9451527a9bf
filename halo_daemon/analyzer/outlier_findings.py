"""Steps that stand out, as findings."""

from collections.abc import Iterator
from typing import NamedTuple

from halo_daemon.analyzer.figures import duration, short_count
from halo_daemon.analyzer.fingerprint import ALGORITHM, FindingKey, finding_id
from halo_daemon.analyzer.outliers import FLOORS, IDLE, OF_RUNS, SLOW_RUN, Large, Measure, Spread
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.safe_text import in_ticks
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.stats import wilson
from halo_daemon.findings import Counts, Evidence, Finding, Fingerprint, Recommendation
from halo_daemon.proto.times import format_unix_ns

_SHOWN = 3
_DIGITS = 6
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
        spread = known.spreads[measure]
        threshold = spread.threshold(FLOORS[measure.rule])
        if threshold is None:
            continue
        rows = [row for row in spread.largest if -row.negative_value >= threshold]
        traces = frozenset(row.trace_id for row in rows)
        if len(traces) >= settings.min_support_traces:
            yield Outlier(_finding(known, measure, spread, rows, threshold), traces)


def _finding(  # noqa: PLR0917 -- the parts of one finding
    known: Partial, measure: Measure, spread: Spread, rows: list[Large], threshold: float
) -> Finding:
    key = FindingKey(measure.rule, measure.agent, measure.name, measure.model, "")
    phrase, category = _PHRASES[measure.rule]
    model = f" with {in_ticks(measure.model, limit=50)}" if measure.model else ""
    traces = {row.trace_id for row in rows}
    starts = [known.traces[trace_id].start_unix_ns for trace_id in traces]
    identity = finding_id(key)
    return Finding(
        finding_id=identity,
        fingerprint=Fingerprint(algo=ALGORITHM, parts=tuple(key)),
        title=f"{in_ticks(measure.name, limit=60)}{model} {phrase}" if measure.name else phrase,
        category=category,
        source=f"rule:{measure.rule}@1",
        certainty="event",
        severity="low",
        severity_rule=(
            f"{len(rows)} of {spread.buckets.total()} {unit_of(measure.rule)} at or above"
            f" {_value(measure.rule, threshold)}"
        ),
        confidence=0.9,
        first_seen=format_unix_ns(min(starts)),
        last_seen=format_unix_ns(max(starts)),
        counts=_counts(known, key, traces, len(rows)),
        evidence=tuple(
            Evidence(trace_id=row.trace_id, span_id=row.span_id, role="symptom")
            for row in rows[:_SHOWN]
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


def _counts(known: Partial, key: FindingKey, traces: set[str], spans: int) -> Counts:
    eligible = known.eligible.get(population_of(key), set()) | traces
    low, high = wilson(len(traces), len(eligible))
    facts = [known.traces[trace_id] for trace_id in traces]
    return Counts(
        affected_traces=len(traces),
        eligible_traces=len(eligible),
        rate=round(len(traces) / len(eligible), _DIGITS),
        ci95=(round(low, _DIGITS), round(high, _DIGITS)),
        spans=spans,
        sessions=len({fact.session_id for fact in facts} - {""}),
        users=len({fact.user_id for fact in facts} - {""}),
        recovered=len(traces),
    )


def _value(rule: str, value: float) -> str:
    if rule in {"slow", IDLE, SLOW_RUN}:
        return duration(round(value))
    return f"${value:.2f}" if rule == "costly" else f"{short_count(round(value))} tokens"
