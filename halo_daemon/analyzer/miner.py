"""
The map and the merge: each trace is examined alone, what is known of traces is added up.

A rule is a border. When it fails on one trace, that is counted under ``rule_failed``
and the report is written all the same.
"""

from collections.abc import Iterable
from typing import Literal

import structlog

from halo_daemon.analyzer.features import features_of
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.outcome import outcome_of
from halo_daemon.analyzer.outliers import Spread, measured
from halo_daemon.analyzer.partial import (
    CERTAINTIES,
    Case,
    Checked,
    Defects,
    Example,
    Group,
    Hit,
    Partial,
    SpanRole,
    TraceFacts,
)
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.quality import defects_of
from halo_daemon.analyzer.risk import decisive_span, risk_signals
from halo_daemon.analyzer.rules.registry import RULES
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.trace_view import Subject, TraceView
from halo_daemon.proto.trace import Trace

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_NS_PER_MS = 1_000_000


def mine(
    traces: Iterable[Trace], settings: MinerSettings, rules: tuple[Rule, ...] = RULES
) -> Partial:
    """Examine *traces*, each one once, and add up what was found; empty for none."""
    known = Partial()
    for trace in traces:
        _examine(known, trace, settings, rules)
    return known


def _examine(
    known: Partial, trace: Trace, settings: MinerSettings, rules: tuple[Rule, ...]
) -> None:
    """Add what *rules* find in one trace; one that is too large is only counted."""
    if len(trace.spans) > settings.max_trace_spans:
        known.skipped["oversized"] += 1
        return
    view = TraceView(trace, settings)
    observations: list[Observation] = []
    for rule in rules:
        output = _checked(rule, view)
        observations += output.observations
        checked = known.checked.get(rule.id)
        if checked is None:
            checked = known.checked[rule.id] = Checked()
        checked.add(output.checked, output.of, output.not_checked)
        for population in output.eligible:
            known.eligible.setdefault(population, set()).add(trace.trace_id)
    _group(known, view, observations)
    known.traces[trace.trace_id] = _facts(view, observations)
    known.add_examples(_examples(view))
    for measure, value, span_id in measured(view):
        known.spreads.setdefault(measure, Spread()).add(value, trace.trace_id, span_id)
    for defect in defects_of(view):
        example = (trace.trace_id, defect.span_id) if defect.met else ("", "")
        known.add_defects(defect.code, Defects(defect.met, defect.of, example))


def _checked(rule: Rule, view: TraceView) -> RuleOutput:
    try:
        return rule.check(view)
    except Exception:  # a rule is a border: its failure costs it one trace, never the report
        log.warning("rule_failed", rule=rule.id, trace_id=view.trace_id, exc_info=True)
        return RuleOutput(of=1, not_checked={"rule_failed": 1})


def _group(known: Partial, view: TraceView, observations: list[Observation]) -> None:
    by_key: dict[tuple[str, ...], list[Observation]] = {}
    for observation in observations:
        by_key.setdefault(observation.key, []).append(observation)
    for found in by_key.values():
        first = found[0]
        group = Group()
        hit = _hit(view, found)
        group.hits[view.trace_id] = hit
        case = _case(view, found)
        (group.recovered if hit.is_recovered else group.unrecovered).append(case)
        known.groups.setdefault(first.key, Group()).absorb(group)
        # A finding that shows up proves that it could: its own trace is always eligible.
        known.eligible.setdefault(population_of(first.key), set()).add(view.trace_id)


def _hit(view: TraceView, found: list[Observation]) -> Hit:
    strong = [observation for observation in found if not observation.is_weak]
    counted = strong or found
    roles = dict.fromkeys(
        SpanRole(cited.span_id, cited.role, view.step_index.get(cited.span_id, -1))
        for observation in counted
        for cited in observation.quotes
    )
    return Hit(
        roles=tuple(roles),
        occurrences=len(counted),
        spans=sum(observation.spans for observation in counted),
        is_recovered=all(observation.recovered for observation in counted),
        wasted=tuple(o.wasted for o in counted if o.wasted.end > o.wasted.first),
        certainty=min((o.certainty for o in counted), key=CERTAINTIES.index),
        is_weak=not strong,
    )


def _case(view: TraceView, found: list[Observation]) -> Case:
    """The occurrence that shows most; of those alike the first."""
    shown = max(found, key=lambda o: (not o.is_weak, len({cited.role for cited in o.quotes})))
    roles: set[Literal["symptom", "decision", "recovery", "counterexample"]] = {
        cited.role for cited in shown.quotes
    }
    return Case(-len(roles), len(view.steps), view.trace_id, shown.quotes)


def _examples(view: TraceView) -> dict[Subject, list[Example]]:
    """The first success of every tool that never failed in the trace."""
    failed = {(call.agent, call.tool) for call in view.tool_calls if call.signal}
    found: dict[Subject, list[Example]] = {}
    for call in view.tool_calls:
        subject = Subject(call.agent, call.tool)
        if subject in failed or subject in found or not call.result.value.strip():
            continue
        cited: Quote = quote(call.span, "counterexample", call.result)
        found[subject] = [Example(len(view.steps), view.trace_id, cited)]
    return found


def _facts(view: TraceView, observations: list[Observation]) -> TraceFacts:
    trace = view.trace
    spans, steps = trace.spans, view.steps
    wasted = any(o.wasted.end > o.wasted.first for o in observations)
    costs = [cost for span in spans if (cost := span.cost_usd) is not None]
    return TraceFacts(
        trace_id=trace.trace_id,
        is_open=trace.is_open,
        spans=len(spans),
        steps=len(steps),
        duplicate_spans=trace.duplicate_spans,
        start_unix_ns=trace.start_unix_ns,
        end_unix_ns=trace.end_unix_ns,
        task=view.task,
        outcome=outcome_of(trace, view.root),
        session_id=next((span.session_id for span in spans if span.session_id), ""),
        user_id=next((span.user_id for span in spans if span.user_id), ""),
        service_version=view.root.service_version,
        models=tuple(sorted({call.span.model for call in view.model_calls} - {""})),
        input_tokens=sum(span.input_tokens or 0 for span in spans),
        output_tokens=sum(span.output_tokens or 0 for span in spans),
        cost_usd=sum(costs) if costs else None,
        leaf_errors=len(view.leaf_errors),
        step_tokens=tuple(
            (span.input_tokens or 0) + (span.output_tokens or 0) for span in steps if wasted
        ),
        step_ms=tuple(span.duration_ns // _NS_PER_MS for span in steps if wasted),
        step_usd=tuple(span.cost_usd or 0.0 for span in steps if wasted and costs),
        signals=risk_signals(view, observations),
        decisive_span_id=decisive_span(view, observations),
        root_span_id=view.root.span_id,
        features=features_of(view),
    )
