"""Traces that stop before they are done, or go on without what they asked for."""

from halo_daemon.analyzer.content import ModelCall, Text, bare_name
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.errors import (
    BUDGET_EXHAUSTED,
    PREMATURE_END,
    decision_quote,
    observe_errors,
)
from halo_daemon.analyzer.rules.orphans import lost_calls
from halo_daemon.analyzer.rules.tool_words import finishes, hands_over
from halo_daemon.analyzer.step_limit import LIMIT
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import AGENT, LLM

_EMPTY_ANSWER = "empty answer"
_CALL_NOT_RUN = "call not run"
_LIMIT_WORDS = ("step", "iteration", "turn", "round", "tool call", "recursion", "limit", "llm call")
"""What every limit that `LIMIT` knows is named by."""

_ANSWERING_KINDS = frozenset({AGENT, "CHAIN"})
_HEAD_CHARS = 120
_FINISHED = frozenset({"stop", "end_turn", "finished", "completed"})


def check_premature_end(view: TraceView) -> RuleOutput:
    """Finished traces without an answer, or with calls that were asked for and have no result."""
    if view.is_open:
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    agent = view.agent_of(view.root)
    eligible = {Population("agent", agent, "")} | view.requested_populations
    observations = [found for found in (_unrun_call(view), _no_answer(view)) if found][:1]
    observations += lost_calls(view)
    return RuleOutput(tuple(observations), frozenset(eligible), checked=1, of=1)


def _unrun_call(view: TraceView) -> Observation | None:
    last = view.final_call
    # A project that records no tool spans at all says nothing about what ran.
    if last is None or not last.requested or not view.tool_calls or _ran_after(view, last):
        return None
    if view.answered_after(last.span):
        return None
    requested = last.requested[0]
    subject = Subject(view.agent_of(last.span), mask_name(requested.name))
    # What is told in a later prompt only says nothing of a call that no prompt follows.
    ran = {bare_name(call.span.tool_name) for call in view.tool_calls if not call.is_told}
    if not requested.name or bare_name(requested.name) not in ran:
        return None
    cited = requested.arguments if requested.arguments.value else Text("", "")
    return Observation(
        key=FindingKey(PREMATURE_END, subject.agent, subject.name, _CALL_NOT_RUN, ""),
        quotes=(quote(last.span, "decision", cited),),
        certainty="event",
    )


def _ran_after(view: TraceView, call: ModelCall) -> bool:
    moment = call.span.start_unix_ns
    # The last calls first: they tell at once where one did.
    return any(ran.span.start_unix_ns >= moment for ran in reversed(view.tool_calls))


def _no_answer(view: TraceView) -> Observation | None:
    root = view.root
    if root.observation_kind not in _ANSWERING_KINDS or view.has_error(root):
        return None
    last = view.tool_calls[-1] if view.tool_calls else None
    if last and last.span is view.steps[-1] and (finishes(last.tool) or hands_over(last.tool)):
        # Who hangs up or hands over has said all there was to say before.
        return None
    recorded = root.attributes.get("output.value")
    if recorded is None:
        if not _ends_in_silence(view):
            return None
    elif not isinstance(recorded, str) or recorded.strip() not in {"", "null", '""'}:
        return None
    quotes = [quote(root, "symptom", Text("", ""))]
    if view.final_call:
        quotes.append(decision_quote(view.final_call.span))
    return Observation(
        key=FindingKey(PREMATURE_END, view.agent_of(root), "", _EMPTY_ANSWER, ""),
        quotes=tuple(quotes),
        certainty="event",
    )


def _ends_in_silence(view: TraceView) -> bool:
    """
    Whether the last model call is over and says nothing, where others of the trace say something.

    Where no call has words, words are not recorded, and silence says nothing.
    """
    last = view.final_call
    if last is None or last.answer.value.strip() or last.requested:
        return False
    if last.finish_reason.value.strip("[]\"' ").lower() not in _FINISHED:
        return False
    is_last = view.steps[-1] is last.span
    return is_last and any(call.requested or call.answer.value for call in view.model_calls)


def stopped_at(view: TraceView) -> str:
    """
    Id of the last step of a run that was cut off in its work; ``""`` for any other run.

    It is a tool call that worked, or a model call that asks for one, with no answer
    after it. A step that failed has an end of its own to tell of.
    """
    last = view.steps[-1] if view.steps else None
    if last is None or view.is_open or view.has_error(last):
        return ""
    if view.root is not last and view.root.text("output.value").strip():
        return ""
    if last.observation_kind == LLM and not view.model_calls[-1].requested:
        return ""
    return last.span_id


def check_budget(view: TraceView) -> RuleOutput:
    """Runs that were stopped by a limit on steps or turns, by what they say of it."""
    stopped = observe_errors(view, BUDGET_EXHAUSTED)
    told = None if stopped.observations else _from_answer(view)
    eligible = stopped.eligible | {Population("agent", view.agent_of(view.root), "")}
    observations = (told,) if told else stopped.observations
    return RuleOutput(observations, eligible, checked=1, of=1)


def _may_tell_limit(text: str) -> bool:
    """A cheap no; three letters have forms that the pattern takes and small letters do not."""
    plain = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return holds_any(plain.lower(), _LIMIT_WORDS)


def _from_answer(view: TraceView) -> Observation | None:
    answer = None if view.is_open else view.final_answer
    head = answer[1].value[:_HEAD_CHARS] if answer else ""
    match = LIMIT.search(head) if _may_tell_limit(head) else None
    if answer is None or match is None or match.start() > len("Agent stopped: reached the limit"):
        return None
    key = FindingKey(BUDGET_EXHAUSTED, view.agent_of(view.root), "", "", "")
    return Observation(key, (quote(answer[0], "symptom", answer[1]),))
