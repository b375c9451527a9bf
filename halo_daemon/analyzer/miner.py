"""
The map and the merge: each trace is examined alone, what is known of traces is added up.

A rule is a border. When it fails on one trace, that is counted under ``rule_failed``
and the report is written all the same.
"""

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from halo_daemon.analyzer.content import NOTHING_USED, used_tokens, used_usd
from halo_daemon.analyzer.features import features_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.outcome import outcome_of
from halo_daemon.analyzer.outliers import FLOORS, Measure, Spread, Value, measured
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
from halo_daemon.analyzer.quality import Defect, defects_of
from halo_daemon.analyzer.requests import NO_REQUEST, request_of
from halo_daemon.analyzer.risk import decisive_span, risk_signals
from halo_daemon.analyzer.rules.ending import stopped_at
from halo_daemon.analyzer.rules.feedback import asked_of
from halo_daemon.analyzer.rules.registry import RULES
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.tool_lists import tool_lists_of
from halo_daemon.analyzer.trace_view import Subject, TraceView
from halo_daemon.log import get_logger
from halo_daemon.proto.ancestry import spans_above
from halo_daemon.proto.trace import Trace

log = get_logger()

_NS_PER_MS = 1_000_000


def mine(
    traces: Iterable[Trace], settings: MinerSettings, rules: tuple[Rule, ...] = RULES
) -> Partial:
    """Examine *traces*, each one once, and add up what was found; empty for none."""
    known = Partial()
    for trace in traces:
        _examine(known, trace, settings, rules)
    return known


class _Examined(NamedTuple):
    """One trace, examined and not yet added to anything."""

    view: TraceView
    outputs: list[tuple[Rule, RuleOutput]]
    groups: dict[FindingKey, Group]
    facts: TraceFacts
    examples: dict[Subject, list[Example]]
    values: dict[Measure, list[Value]]
    defects: list[Defect]


def _examine(
    known: Partial, trace: Trace, settings: MinerSettings, rules: tuple[Rule, ...]
) -> None:
    """Add what *rules* find in one trace; one that cannot be examined is only counted."""
    if trace.stored_spans > settings.max_trace_spans:
        known.skipped["oversized"] += 1
        return
    try:
        examined = _examined(TraceView(trace, settings), rules)
    except Exception:  # a trace is a border: what is wrong with one costs it alone
        log.warning("trace_not_examined", trace_id=trace.trace_id, exc_info=True)
        known.skipped["failed"] += 1
        return
    _add(known, examined)


def _examined(view: TraceView, rules: tuple[Rule, ...]) -> _Examined:
    outputs = [(rule, _checked(rule, view)) for rule in rules]
    observations = [found for _, output in outputs for found in output.observations]
    return _Examined(
        view=view,
        outputs=outputs,
        groups=_groups(view, observations),
        facts=_facts(view, observations),
        examples=_examples(view),
        values=measured(view),
        defects=list(defects_of(view)),
    )


def _add(known: Partial, examined: _Examined) -> None:
    trace_id = examined.view.trace_id
    for rule, output in examined.outputs:
        checked = known.checked.get(rule.id)
        if checked is None:
            checked = known.checked[rule.id] = Checked()
        checked.add(output.checked, output.of, output.not_checked)
    # A finding that shows up proves that it could: its own trace is always eligible.
    eligible = {population_of(key) for key in examined.groups}
    # Many rules count over the same set, which is one object.
    distinct = {output.eligible for _, output in examined.outputs}
    for population in eligible.union(*distinct):
        traces = known.eligible.get(population)
        if traces is None:
            traces = known.eligible[population] = set()
        traces.add(trace_id)
    for key, group in examined.groups.items():
        known.groups.setdefault(key, Group()).absorb(group)
    known.traces[trace_id] = examined.facts
    known.add_examples(examined.examples)
    known.tool_lists.update(tool_lists_of(examined.view, examined.facts.features, known.tool_lists))
    for measure, values in examined.values.items():
        spread = known.spreads.get(measure)
        if spread is None:
            spread = known.spreads[measure] = Spread(FLOORS[measure.rule])
        for value, span_id in values:
            spread.add(value, trace_id, span_id)
    for defect in examined.defects:
        example = (trace_id, defect.span_id) if defect.met else ("", "")
        known.add_defects(defect.code, Defects(defect.met, defect.of, example))


def _checked(rule: Rule, view: TraceView) -> RuleOutput:
    try:
        return rule.check(view)
    except Exception:  # a rule is a border: its failure costs it one trace, never the report
        log.warning("rule_failed", rule=rule.id, trace_id=view.trace_id, exc_info=True)
        return RuleOutput(of=1, not_checked={"rule_failed": 1})


def _groups(view: TraceView, observations: list[Observation]) -> dict[FindingKey, Group]:
    by_key: dict[FindingKey, list[Observation]] = {}
    for observation in observations:
        by_key.setdefault(observation.key, []).append(observation)
    groups = {}
    for key, found in by_key.items():
        hit, case = _hit(view, found), _case(view, found)
        groups[key] = Group(
            {view.trace_id: hit},
            unrecovered=[] if hit.is_recovered else [case],
            recovered=[case] if hit.is_recovered else [],
        )
    return groups


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
        place=counted[0].place if len({o.place for o in counted}) == 1 else "",
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
    by_call = {
        span.span_id: used
        for span, used in zip(spans, view.used, strict=True)
        if used is not NOTHING_USED
    }
    # A model call around another one repeats what that one used.
    enclosing = spans_above({span.span_id: span.parent_span_id for span in spans}, by_call)
    counted = [used for span_id, used in by_call.items() if span_id not in enclosing]
    costs = [used.usd for used in counted if used.usd is not None]
    stated = view.settings.contract.outcome
    session_id = next((span.session_id for span in spans if span.session_id), "")
    return TraceFacts(
        trace_id=trace.trace_id,
        agent=view.agent_of(view.root),
        is_open=trace.is_open,
        spans=len(spans),
        steps=len(steps),
        model_calls=len(view.model_calls),
        stopped_at=stopped_at(view),
        duplicate_spans=trace.duplicate_spans,
        start_unix_ns=trace.start_unix_ns,
        end_unix_ns=trace.end_unix_ns,
        task=view.task,
        request=request_of(asked_of(view)) if session_id else NO_REQUEST,
        outcome=outcome_of(trace, view.root, stated) if stated else view.outcome,
        session_id=session_id,
        user_id=next((span.user_id for span in spans if span.user_id), ""),
        service_version=view.root.service_version,
        models=tuple(sorted({call.span.model for call in view.model_calls} - {""})),
        input_tokens=sum(used.input_tokens for used in counted),
        output_tokens=sum(used.output_tokens for used in counted),
        cost_usd=math.fsum(costs) if costs else None,
        leaf_errors=len(view.leaf_errors),
        has_recorded_error=any(span.has_error_status or span.has_derived_error for span in spans),
        step_tokens=tuple(sum(used_tokens(span)) for span in steps if wasted),
        step_ms=tuple(span.duration_ns // _NS_PER_MS for span in steps if wasted),
        step_usd=tuple(used_usd(span) or 0.0 for span in steps if wasted and costs),
        signals=risk_signals(view, observations),
        decisive_span_id=decisive_span(view, observations),
        root_span_id=view.root.span_id,
        features=features_of(view),
    )
