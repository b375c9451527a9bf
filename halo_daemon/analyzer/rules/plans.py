"""
Plans that a run makes and does not carry out.

A plan is an answer of a model that numbers three points or more and is no code. It is
held against what ran afterwards in two ways: a tool that the plan names and that never
ran, and a finishing call before anything at all had run.
"""

import re
from collections.abc import Iterator

from halo_daemon.analyzer.content import ModelCall, bare_name
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.tool_words import finishes
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import LLM

SKIPPED_PLAN = "skipped_plan"
_TOOL_NOT_RUN = "tool not run"
_NOTHING_RUN = "nothing run"
_MIN_POINTS = 3
_MAX_PLAN_CHARS = 8_000
_POINT = re.compile(r"^[ \t]*(?:\*\*)?(?:step[ \t]+)?[0-9]{1,2}[.):]", re.IGNORECASE | re.MULTILINE)
_MENTION = re.compile(
    r"\b(?:us(?:e|ing)|utili[sz](?:e|ing)|call(?:ing)?|invok(?:e|ing)|ask(?:ing)?|quer(?:y|ying)"
    r"|run(?:ning)?|via|with|through|employ(?:ing)?)[ \t]+(?:(?:the|our|an?)[ \t]+)?(?:\w+[ \t]+)?"
    r"[`'\"“*]{0,3}([a-z][a-z0-9]*(?:_[a-z0-9]+)+)\b[`'\"”*]{0,3}(?:[ \t]+(tool|agent|function|api))?",
    re.IGNORECASE,
)


def check_skipped_plans(view: TraceView) -> RuleOutput:
    """Answers given although what the run had planned to do first was never done."""
    plan = None if view.is_open or view.final_answer is None else _plan(view)
    if plan is None:
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    found = _tool_not_run(view, plan) or _nothing_run(view, plan)
    return RuleOutput((found,) if found else (), view.agent_populations, checked=1, of=1)


def _plan(view: TraceView) -> int | None:
    """Place of the last model call but the final one that only plans; None without one."""
    places = range(len(view.model_calls) - 2, -1, -1)
    return next((at for at in places if _is_plan(view.model_calls[at])), None)


def _is_plan(call: ModelCall) -> bool:
    text = call.answer.value[:_MAX_PLAN_CHARS]
    if "3" not in text or "```" in text or call.requested:
        return False
    return sum(1 for _ in _POINT.finditer(text)) >= _MIN_POINTS


def _tool_not_run(view: TraceView, at: int) -> Observation | None:
    """A plan none of whose named tools ran, neither before nor after."""
    plan = view.model_calls[at]
    named = _named_tools(view, plan)
    if not named or any(_ran(view, name, at) for name in named):
        return None
    agent = view.agent_of(plan.span)
    key = FindingKey(SKIPPED_PLAN, agent, mask_name(named[0]), _TOOL_NOT_RUN, "")
    return _observation(view, plan, key, at)


def _named_tools(view: TraceView, plan: ModelCall) -> list[str]:
    """Tools that the plan says it will use; a bare name counts only when it was offered."""
    offered = {bare_name(tool.name) for call in view.model_calls for tool in call.offered}
    named = (
        match[1].casefold()
        for match in _MENTION.finditer(plan.answer.value[:_MAX_PLAN_CHARS])
        if match[2] or match[1].casefold() in offered
    )
    return [name for name in dict.fromkeys(named) if not finishes(name)]


def _ran(view: TraceView, name: str, at: int) -> bool:
    names = {bare_name(call.span.tool_name) for call in view.tool_calls}
    names |= {bare_name(text) for span in view.trace.spans for text in (span.name, span.agent_name)}
    if name in names:
        return True
    return any(
        f"{name}(" in call.answer.value
        or any(bare_name(requested.name) == name for requested in call.requested)
        for call in (*view.model_calls[at + 1 :], *view.model_calls[:at])
    )


def _nothing_run(view: TraceView, at: int) -> Observation | None:
    """A finishing call right after the plan, before which nothing ran."""
    finish = next((call for call in view.tool_calls if finishes(call.tool)), None)
    if finish is None or finish.position > 0 or len(view.tool_calls) > 1:
        return None
    decision = view.decision_of(finish.span)
    plan = view.model_calls[at]
    following = view.model_calls[at + 1 : at + 2]
    if not following or decision is not following[0].span or _worked_before(view, finish):
        return None
    key = FindingKey(SKIPPED_PLAN, view.agent_of(plan.span), "", _NOTHING_RUN, "")
    return _observation(view, plan, key, at)


def _worked_before(view: TraceView, finish: ToolCall) -> bool:
    """Whether anything but a model call had ended with a result: code, a look-up, a sub-agent."""
    return any(
        span.observation_kind != LLM
        and span.is_complete
        and span.end_unix_ns <= finish.span.start_unix_ns
        and bool(span.text("output.value").strip())
        for span in view.trace.spans
    )


def _observation(view: TraceView, plan: ModelCall, key: FindingKey, at: int) -> Observation:
    quotes = (*_answer_quotes(view, at), quote(plan.span, "symptom", plan.answer))
    return Observation(key, quotes)


def _answer_quotes(view: TraceView, at: int) -> Iterator[Quote]:
    """The model call that decided the answer."""
    finish = [call for call in view.tool_calls if finishes(call.tool)]
    later = view.model_calls[at + 1 :]
    decided = view.decision_of(finish[-1].span) if finish else None
    if decided is None and later:
        decided = later[-1].span
    if decided is not None:
        yield decision_quote(decided)
