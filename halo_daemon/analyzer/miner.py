"""
The map and the merge: each trace is examined alone, what is known of traces is added up.

A rule is a border. When it fails on one trace, that is counted under ``rule_failed``
and the report is written all the same.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from halo_daemon.analyzer.content import NOTHING_USED, used_tokens, used_usd
from halo_daemon.analyzer.features import features_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.large_trace import (
    NO_LEAD,
    Lead,
    Piece,
    joined,
    piece_of,
    told_by,
    with_lead,
)
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.outage import NOWHERE
from halo_daemon.analyzer.outcome import outcome_of
from halo_daemon.analyzer.outliers import (
    IDLE,
    SLOW_RUN,
    Measure,
    Value,
    measured,
)
from halo_daemon.analyzer.partial import (
    CERTAINTIES,
    Case,
    Example,
    Group,
    Hit,
    Partial,
    SpanRole,
    TraceFacts,
)
from halo_daemon.analyzer.quality import defects_of
from halo_daemon.analyzer.requests import NO_REQUEST, request_of
from halo_daemon.analyzer.risk import decisive_span, risk_signals
from halo_daemon.analyzer.rules.ending import stopped_at
from halo_daemon.analyzer.rules.feedback import asked_of
from halo_daemon.analyzer.rules.registry import RULES
from halo_daemon.analyzer.rules.rule import Rule
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tally import Examined, Tally
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.log import get_logger
from halo_daemon.proto.ancestry import spans_above
from halo_daemon.proto.span import LLM, Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.trace_reader import LoadTrace, parts_of

if TYPE_CHECKING:
    from halo_daemon.findings import NotCheckedReason

log = get_logger()

_NS_PER_MS = 1_000_000
_ONE_A_TRACE = frozenset({"traces", "sessions"})
"""Units of rules that look at a trace as one."""


def mine(
    traces: Iterable[Trace],
    settings: MinerSettings,
    rules: tuple[Rule, ...] = RULES,
    *,
    load_trace: LoadTrace | None = None,
) -> Partial:
    """
    Examine *traces*, each one once, and add up what was found; empty for none.

    Of those that are too large for one answer all parts, which *load_trace* reads; without
    it, only the first one.
    """
    tally = Tally(rules)
    for trace in traces:
        if trace.stored_spans > settings.max_trace_spans:
            tally.known.skipped["oversized"] += 1
        elif trace.cut is None:
            _examine(tally, trace, settings, rules)
        elif load_trace is None:
            _examine_parts(tally, [trace], settings, rules, max_parts=1)
        else:
            parts = parts_of(load_trace, trace)
            _examine_parts(tally, parts, settings, rules, max_parts=settings.max_trace_parts)
    return tally.partial()


def _examine(tally: Tally, trace: Trace, settings: MinerSettings, rules: tuple[Rule, ...]) -> None:
    """Add what *rules* find in one trace; one that cannot be examined is only counted."""
    try:
        examined = _examined(TraceView(trace, settings), rules)
    except Exception:  # a trace is a border: what is wrong with one costs it alone
        log.warning("trace_not_examined", trace_id=trace.trace_id, exc_info=True)
        tally.known.skipped["failed"] += 1
        return
    tally.add(examined)


def _examined(view: TraceView, rules: tuple[Rule, ...], piece: Piece | None = None) -> Examined:
    outputs = _outputs(view, rules)
    observations = [found for output in outputs for found in output.observations]
    if view.has_told:
        observations = [_as_recorded(view, found) for found in observations]
    if piece is not None:
        observations = told_by(piece, observations)
    return Examined(
        view=view,
        outputs=outputs,
        groups=_groups(view, observations, piece.first_step if piece else 0),
        facts=_facts(view, observations, piece),
        examples=_examples(view),
        values=measured(view),
        defects=defects_of(view),
    )


def _examine_parts(
    tally: Tally,
    parts: Iterable[Trace],
    settings: MinerSettings,
    rules: tuple[Rule, ...],
    *,
    max_parts: int,
) -> None:
    """Add what *rules* find in the parts of one trace, each with what leads into it."""
    lead, left = NO_LEAD, None
    before: _Before | None = None
    for number, part in enumerate(islice(parts, max_parts), start=1):
        left = part.cut
        is_last = left is None or number == max_parts
        try:
            piece, examined = _examined_piece(part, lead, settings, rules, is_last=is_last)
        except Exception:  # as for a whole trace: what was examined before stays
            log.warning("trace_not_examined", trace_id=part.trace_id, exc_info=True)
            tally.known.skipped["failed"] += 1
            break
        lead = piece.lead
        pauses = _longest_pauses(before, examined)
        examined = _following(before, examined, piece)
        tally.add(_ended(examined, pauses) if is_last else _unended(examined, rules))
        tally.known.large.update(traces=int(before is None), parts=1)
        before = _Before(examined.facts, pauses)
        # What was made of a part is not held while the next one is read.
        del part, piece, examined
    if left is not None:
        tally.known.large.update(spans=left.spans, bytes=left.line_bytes)


class _Before(NamedTuple):
    """What is known of the parts of a trace so far, and adds up to one fact."""

    facts: TraceFacts
    pauses: dict[Measure, Value]
    """The longest one."""


def _examined_piece(
    part: Trace, lead: Lead, settings: MinerSettings, rules: tuple[Rule, ...], *, is_last: bool
) -> tuple[Piece, Examined]:
    trace = with_lead(part, lead)
    view = TraceView(trace, settings, is_part=True, failed_above=lead.failed_above)
    piece = piece_of(part, lead, view, is_last=is_last)
    return piece, _examined(view, rules, piece)


def _longest_pauses(before: _Before | None, examined: Examined) -> dict[Measure, Value]:
    longest = dict(before.pauses) if before else {}
    for measure, values in examined.values.items():
        if measure.rule == IDLE:
            longest[measure] = max((*values, longest.get(measure, values[0])))
    return longest


def _following(before: _Before | None, examined: Examined, piece: Piece) -> Examined:
    """A piece of a trace as it adds to the ones *before*: each step and the trace count once."""
    values = {
        measure: [row for row in rows if row[1] in piece.new or measure.rule == SLOW_RUN]
        for measure, rows in examined.values.items()
        if measure.rule != IDLE
    }
    return examined._replace(
        facts=joined(before.facts, examined.facts) if before else examined.facts,
        values=values,
        defects=[] if before else examined.defects,
    )


def _ended(examined: Examined, pauses: dict[Measure, Value]) -> Examined:
    """The last piece: it stands for what there is one of in a trace."""
    once = {measure: [value] for measure, value in pauses.items()}
    return examined._replace(values=examined.values | once)


def _unended(examined: Examined, rules: tuple[Rule, ...]) -> Examined:
    """A piece before the last one: rules that look at a trace as one have not checked it yet."""
    outputs = [
        output._replace(checked=0, of=0, not_checked={})
        if rule.needs_whole or rule.unit in _ONE_A_TRACE
        else output
        for rule, output in zip(rules, examined.outputs, strict=True)
    ]
    return examined._replace(outputs=outputs)


def _outputs(view: TraceView, rules: tuple[Rule, ...]) -> list[RuleOutput]:
    """What each of *rules* says of the trace, in their order."""
    outputs = []
    reason = _why_not_whole(view)
    for rule in rules:
        if reason is not None and rule.needs_whole:
            outputs.append(RuleOutput(of=1, not_checked={reason: 1}))
            continue
        try:
            outputs.append(rule.check(view))
        except Exception:  # a rule is a border: its failure costs it one trace, never the report
            log.warning("rule_failed", rule=rule.id, trace_id=view.trace_id, exc_info=True)
            outputs.append(RuleOutput(of=1, not_checked={"rule_failed": 1}))
    return outputs


def _why_not_whole(view: TraceView) -> "NotCheckedReason | None":
    """Why rules that need a whole trace are not asked; None where they are."""
    if view.is_part:
        return "over_limit"
    return "not_recorded" if view.is_fragment else None


def _as_recorded(view: TraceView, observation: Observation) -> Observation:
    """*observation* with quotes from what was recorded alone."""
    quotes = tuple(map(view.as_recorded, observation.quotes))
    return replace(observation, quotes=quotes)


def _groups(
    view: TraceView, observations: list[Observation], first_step: int
) -> dict[FindingKey, Group]:
    by_key: dict[FindingKey, list[Observation]] = {}
    for observation in observations:
        by_key.setdefault(observation.key, []).append(observation)
    groups = {}
    for key, found in by_key.items():
        hit, case = _hit(view, found, first_step), _case(view, found)
        groups[key] = Group(
            {view.trace_id: hit},
            unrecovered=[] if hit.is_recovered else [case],
            recovered=[case] if hit.is_recovered else [],
        )
    return groups


def _hit(view: TraceView, found: list[Observation], first_step: int) -> Hit:
    strong = [observation for observation in found if not observation.is_weak]
    counted = strong or found
    roles = dict.fromkeys(
        SpanRole(cited.span_id, cited.role, place + first_step if place >= 0 else place)
        for observation in counted
        for cited in observation.quotes
        for place in (view.step_index.get(cited.span_id, -1),)
    )
    return Hit(
        roles=tuple(roles),
        occurrences=len(counted),
        spans=sum(observation.spans for observation in counted),
        is_recovered=all(observation.recovered for observation in counted),
        wasted=tuple(o.wasted for o in counted if o.wasted.end > o.wasted.first),
        certainty=min((o.certainty for o in counted), key=CERTAINTIES.index),
        is_weak=not strong,
        failed_at=counted[0].failed_at if len({o.failed_at for o in counted}) == 1 else NOWHERE,
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
    found: dict[Subject, list[Example]] = {}
    for subject in view.used_tools:
        calls = view.calls_of(subject)
        if view.failed and any(call.signal for call in calls):
            continue
        telling = (call for call in calls if call.result.value)
        shown = next((call for call in telling if not call.result.value.isspace()), None)
        if shown is not None:
            cited: Quote = quote(shown.span, "counterexample", shown.result)
            found[subject] = [Example(len(view.steps), view.trace_id, view.as_recorded(cited))]
    return found


def _facts(
    view: TraceView, observations: list[Observation], piece: Piece | None = None
) -> TraceFacts:
    """The facts of a trace, or of what is new in a piece of one."""
    trace = view.trace
    spans, steps, errors = trace.spans, view.steps, view.leaf_errors
    failed = tuple(span for span in view.failed if span.span_id in trace.by_id)
    if piece is not None:
        spans = tuple(span for span in spans if span.span_id in piece.new)
        steps = tuple(span for span in steps if view.recorded_id(span.span_id) in piece.new)
        errors = tuple(
            error for error in errors if view.recorded_id(error.span.span_id) in piece.told
        )
        failed = tuple(span for span in failed if span.span_id in piece.new)
    wasted = any(o.wasted.end > o.wasted.first for o in observations)
    by_call = {
        span.span_id: used
        for span, used in zip(trace.spans, view.used, strict=True)
        if used is not NOTHING_USED
    }
    # A model call around another one repeats what that one used.
    enclosing: Collection[str] = ()
    if not by_call.keys().isdisjoint([span.parent_span_id for span in trace.spans]):
        parents = {span.span_id: span.parent_span_id for span in trace.spans}
        enclosing = spans_above(parents, by_call)
    if piece is not None:
        by_call = {span_id: used for span_id, used in by_call.items() if span_id in piece.new}
    counted = [used for span_id, used in by_call.items() if span_id not in enclosing]
    costs = [used.usd for used in counted if used.usd is not None]
    stated = view.settings.contract.outcome
    session_id = _first_text(spans, "inference.session_id")
    return TraceFacts(
        trace_id=trace.trace_id,
        agent=view.agent_of(view.root),
        is_open=trace.is_open,
        spans=len(spans),
        steps=len(steps),
        model_calls=len([span for span in steps if span.observation_kind == LLM]),
        stopped_at=stopped_at(view),
        duplicate_spans=trace.duplicate_spans,
        start_unix_ns=trace.start_unix_ns,
        end_unix_ns=trace.end_unix_ns,
        task=view.task,
        request=request_of(asked_of(view)) if session_id else NO_REQUEST,
        outcome=outcome_of(trace, view.root, stated) if stated else view.outcome,
        session_id=session_id,
        user_id=_first_text(spans, "inference.user_id"),
        service_version=view.root.service_version,
        models=tuple(sorted({call.model for call in view.model_calls} - {""})),
        input_tokens=sum([used.input_tokens for used in counted]),
        output_tokens=sum([used.output_tokens for used in counted]),
        cost_usd=math.fsum(costs) if costs else None,
        leaf_errors=len(errors),
        # Whatever states that it failed is among what failed.
        has_recorded_error=any(
            span.has_error_status or span.has_derived_error
            for span in map(view.recorded.by_id.__getitem__, [span.span_id for span in failed])
        ),
        step_tokens=tuple(sum(used_tokens(span)) for span in steps) if wasted else (),
        step_ms=tuple(span.duration_ns // _NS_PER_MS for span in steps) if wasted else (),
        step_usd=tuple(used_usd(span) or 0.0 for span in steps) if wasted and costs else (),
        signals=risk_signals(view, observations),
        decisive_span_id=decisive_span(view, observations),
        root_span_id=view.root.span_id,
        features=features_of(view),
    )


def _first_text(spans: Iterable[Span], key: str) -> str:
    """The first text that an attribute has in *spans*; ``""`` when there is none."""
    for span in spans:
        value = span.attributes.get(key)
        if value and isinstance(value, str):
            return value
    return ""
