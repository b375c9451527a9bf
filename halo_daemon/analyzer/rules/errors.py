"""
Leaf errors: grouped by template, with what became of them.

Every leaf error belongs to one finding. Its rule follows from the kind of error
(`error_kinds`), else from the kind of span; the denominator is the traces that
used the same tool, or that ran a span of the same name.
"""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from halo_daemon.analyzer.content import Text, parse_json
from halo_daemon.analyzer.error_place import place_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import core_message, mask_name
from halo_daemon.analyzer.observation import (
    Observation,
    Quote,
    RuleOutput,
    StepRange,
    quote,
)
from halo_daemon.analyzer.outage import NOWHERE, FailedAt, way_of
from halo_daemon.analyzer.rules.error_kinds import error_kind
from halo_daemon.analyzer.rules.pages import Pages
from halo_daemon.analyzer.rules.tool_words import purpose_of, runs_anything
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.trace_view import LeafError, TraceView
from halo_daemon.proto.span import LLM, TOOL, Span

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty

TOOL_ERROR = "tool_error"
SPAN_ERROR = "span_error"
INFRA_ERROR = "infra_error"
BAD_ARGUMENTS = "bad_arguments"
MADE_UP_TOOL = "made_up_tool"
BUDGET_EXHAUSTED = "budget_exhausted"
PREMATURE_END = "premature_end"
_MAX_TRIES = 10
_OF_ARGUMENTS = frozenset({"formatting", "other"})
"""Kinds of errors that arguments lead to which are no JSON."""


def rule_of(view: TraceView, error: LeafError) -> str:
    """Name of the rule that reports *error*."""
    kind = error_kind(error.signal.error_type, error.template)
    if kind.rule in {INFRA_ERROR, BUDGET_EXHAUSTED} or (kind.rule and _is_tool(error.span)):
        return kind.rule
    if kind.rule == BAD_ARGUMENTS and view.decision_of(error.span):
        return kind.rule
    if kind.name in _OF_ARGUMENTS and _is_broken_json(view, error.span):
        return BAD_ARGUMENTS
    return TOOL_ERROR if _is_tool(error.span) else SPAN_ERROR


def _is_broken_json(view: TraceView, span: Span) -> bool:
    """Whether the tool was given what was meant to be a JSON object and is none."""
    call = view.call_of.get(span.span_id)
    text = call.arguments.value.lstrip() if call else ""
    return text.startswith("{") and parse_json(text) is None


def _is_tool(span: Span) -> bool:
    return span.observation_kind == TOOL


def subject_of(view: TraceView, span: Span) -> Subject:
    """Agent and masked name that a span's errors are counted under."""
    return view.subject_of(span)


def observe_errors(view: TraceView, rule: str) -> RuleOutput:
    """Report the leaf errors that belong to *rule*."""
    eligible = view.span_populations
    if not view.leaf_errors:
        return RuleOutput((), eligible, checked=len(eligible), of=len(eligible))
    pages = Pages(view)
    observations = [
        _observe(view, error, rule, pages)
        for error in view.leaf_errors
        if rule_of(view, error) == rule
    ]
    return RuleOutput(tuple(observations), eligible, checked=len(eligible), of=len(eligible))


def _observe(view: TraceView, error: LeafError, rule: str, pages: Pages) -> Observation:
    subject = subject_of(view, error.span)
    page = pages.another(error.span)
    recovery = find_recovery(view, error) or page
    key = FindingKey(rule, subject.agent, subject.name, error.signal.error_type, error.template)
    is_proved = rule in {BAD_ARGUMENTS, MADE_UP_TOOL} or error.signal.kind == "contract"
    certainty: Certainty = "proved" if is_proved else "event"
    return Observation(
        key=key,
        quotes=tuple(_quotes(view, error, recovery)),
        certainty=certainty,
        recovered=recovery is not None,
        is_weak=recovery is not None and _is_work(view, rule, error.span),
        wasted=_wasted(view, error, recovery, is_made_up_for=page is not None),
        failed_at=_failed_at(error) if rule == INFRA_ERROR else NOWHERE,
    )


def _failed_at(error: LeafError) -> FailedAt:
    message = core_message(error.signal.message)
    way = way_of(error.signal.error_type, message, error.template)
    return FailedAt(place_of(error.span, message), way)


def _is_work(view: TraceView, rule: str, span: Span) -> bool:
    """
    Whether a failure that was recovered from belongs to working with the tool.

    What runs anything answers with exit codes; looking, trying and testing make
    most of them. Such a one is no finding unless the agent stopped there. The same
    holds for a step of a framework that runs the code its model wrote.
    """
    if rule == TOOL_ERROR:
        return runs_anything(mask_name(span.tool_name))
    return rule == SPAN_ERROR and any(
        "```" in call.answer.value for call in view.model_calls_under(span)
    )


def _quotes(view: TraceView, error: LeafError, recovery: Span | None) -> Iterator[Quote]:
    text = view.message_text(error)
    yield quote(error.span, "symptom", text, core_message(error.signal.message))
    # No model decided that a model call fails: what asked for it was the loop around it.
    if error.decision and error.span.observation_kind != LLM:
        yield decision_quote(error.decision)
    if recovery:
        yield quote(recovery, "recovery", _result_text(recovery))


def _result_text(span: Span) -> Text:
    value = span.text("output.value")
    return Text("output.value", value) if value else Text("", "")


_DECISION_KEYS = (
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
    "llm.output_messages.0.message.content",
    "output.value",
)


def decision_quote(span: Span) -> Quote:
    """Cite an LLM span by what it decided: the call it asked for, else what it said."""
    for key in _DECISION_KEYS:
        value = span.text(key)
        if value.strip():
            return quote(span, "decision", Text(key, value))
    return quote(span, "decision", Text("", ""))


def find_recovery(view: TraceView, error: LeafError) -> Span | None:
    """
    The first success within the turns allowed; else None.

    Of the same tool or span name, or of another tool that is for the same. While the very
    same call is tried again, at most ten times, the turns begin anew.
    """
    turn = view.turn_at(error.span.start_unix_ns)
    tries = 1
    spans = _alike(view, error.span)
    at = bisect_left(spans, error.span.start_unix_ns, key=lambda span: span.start_unix_ns)
    for span in islice(spans, at, None):
        if span.span_id == error.span.span_id:
            continue
        if view.turn_at(span.start_unix_ns) > turn + view.settings.recovery_turns:
            return None
        if not view.has_error(span):
            return span
        if tries < _MAX_TRIES and _is_same_call(view, span, error.span):
            turn, tries = view.turn_at(span.start_unix_ns), tries + 1
    return None


def _is_same_call(view: TraceView, span: Span, other: Span) -> bool:
    call, earlier = view.call_of.get(span.span_id), view.call_of.get(other.span_id)
    return (
        call is not None
        and earlier is not None
        and (call.tool, call.canonical) == (earlier.tool, earlier.canonical)
    )


def _alike(view: TraceView, span: Span) -> list[Span]:
    """Spans whose success makes up for the failure of *span*, in order of start."""
    subject = subject_of(view, span)
    purpose = purpose_of(subject.name) if _is_tool(span) else frozenset()
    others = [
        other
        for other in view.used_tools
        if other.agent == subject.agent and other != subject and purpose_of(other.name) == purpose
    ]
    if not purpose or not others:
        return view.spans_of(subject)
    found = [one for each in (subject, *others) for one in view.spans_of(each)]
    return sorted(found, key=lambda one: (one.start_unix_ns, one.span_id))


def _wasted(
    view: TraceView, error: LeafError, recovery: Span | None, *, is_made_up_for: bool
) -> StepRange:
    """
    From the decision to the recovery; to the end of the last permitted turn without one.

    Where the same turn had a success as well, or another page came, its call alone was in vain.
    """
    begun = view.step_at(error.span.start_unix_ns)
    if recovery and (
        view.turn_at(recovery.start_unix_ns) <= view.turn_at(error.span.start_unix_ns)
        or is_made_up_for
    ):
        return StepRange(begun, begun + 1)
    first = view.step_at(
        error.decision.start_unix_ns if error.decision else error.span.start_unix_ns
    )
    # A call without a length is a step all the same.
    last = max(error.span.end_unix_ns, error.span.start_unix_ns + 1)
    end = view.step_at(recovery.start_unix_ns if recovery else last)
    return StepRange(first, max(first, end))


def check_tool_errors(view: TraceView) -> RuleOutput:
    """Leaf errors of tools that no other rule reports."""
    return observe_errors(view, TOOL_ERROR)


def check_span_errors(view: TraceView) -> RuleOutput:
    """Leaf errors of spans that are not tools."""
    return observe_errors(view, SPAN_ERROR)


def check_infra_errors(view: TraceView) -> RuleOutput:
    """Leaf errors that come from outside: limits, outages, credentials, resources."""
    return observe_errors(view, INFRA_ERROR)


def check_unrecovered(view: TraceView) -> RuleOutput:
    """
    Count the leaf errors whose recovery was looked for.

    An error and its recovery are one finding: whether it lasted is said by the
    finding's recovered share and weighs in its severity, so nothing is reported twice.
    """
    errors = len(view.leaf_errors)
    return RuleOutput(checked=errors, of=errors)
