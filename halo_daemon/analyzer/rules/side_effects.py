"""Calls that change the world: done twice, done too early, done with a failed call's value."""

import re
from bisect import bisect_left
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from halo_daemon.analyzer.content import Text, parse_json, text_of
from halo_daemon.analyzer.contract import Requirement, at_pointer
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.feedback import user_turns
from halo_daemon.analyzer.rules.tool_words import (
    hands_over,
    looks,
    runs_anything,
    words_of,
    writes,
)
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty

DOUBLE_SIDE_EFFECT = "double_side_effect"
PRECONDITION = "precondition"
FAILED_VALUE_USED = "failed_value_used"
OFF_LIMITS_SOURCE = "off_limits_source"
_ONCE_ONLY = frozenset(
    {"book", "buy", "charge", "email", "order", "pay", "publish", "refund", "reserve", "send"}
    | {"transfer", "withdraw"}
)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{6,}")
_DIGIT = re.compile(r"[0-9]")
_MAX_VALUES = 50
_MAX_SCANNED_CHARS = 100_000
_ADDRESS = re.compile(r"(?:https?://)?([a-z0-9.-]+\.[a-z]{2,}(?:/[^\s\"'<>)\]}]*)?)", re.IGNORECASE)


def check_double_side_effects(view: TraceView) -> RuleOutput:
    """
    A call that must happen once, made again with equal arguments after it succeeded.

    Where the user spoke in between, "send it again" may be what was wanted; only a contract
    can say that it must not happen then.
    """
    done: dict[tuple[str, str, str], ToolCall] = {}
    again: list[tuple[ToolCall, ToolCall, Certainty]] = []
    units = 0
    once_only = {tool: _once_only(view, tool) for tool in {call.tool for call in view.tool_calls}}
    for call in view.tool_calls if any(once_only.values()) else ():
        certainty = once_only[call.tool]
        if certainty is None or call.signal is not None:
            continue
        units += 1
        identity = (call.agent, call.tool, call.canonical)
        first = done.setdefault(identity, call)
        if first is not call:
            again.append((first, call, certainty))
    spoke_unix_ns = user_turns(view) if again else []
    observations = [
        _again(view, first, call, certainty)
        for first, call, certainty in again
        if certainty != "candidate" or not _is_between(spoke_unix_ns, first, call)
    ]
    return RuleOutput(tuple(observations), view.span_populations, checked=units, of=units)


def _is_between(moments_unix_ns: list[int], first: ToolCall, later: ToolCall) -> bool:
    """Whether one of the moments, in order, is after *first* and before *later*."""
    at = bisect_left(moments_unix_ns, first.span.end_unix_ns)
    return at < len(moments_unix_ns) and moments_unix_ns[at] <= later.span.start_unix_ns


def _once_only(view: TraceView, tool: str) -> "Certainty | None":
    stated = view.settings.contract.tools.get(tool)
    if stated is not None:
        return "proved" if stated.side_effecting and not stated.idempotent else None
    is_named = not words_of(tool).isdisjoint(_ONCE_ONLY) and not runs_anything(tool)
    return "candidate" if is_named and not (looks(tool) or hands_over(tool)) else None


def _again(view: TraceView, first: ToolCall, call: ToolCall, certainty: "Certainty") -> Observation:
    quotes = [quote(call.span, "symptom", call.arguments)]
    decision = view.decision_of(call.span)
    if decision:
        quotes.append(decision_quote(decision))
    quotes.append(quote(first.span, "symptom", first.arguments))
    key = FindingKey(DOUBLE_SIDE_EFFECT, call.agent, call.tool, "", "")
    return Observation(key, tuple(quotes), certainty=certainty)


def check_preconditions(view: TraceView) -> RuleOutput:
    """Calls made before what the contract requires had succeeded."""
    tools = view.settings.contract.tools
    if not tools:
        calls = len(view.tool_calls)
        return RuleOutput(
            eligible=view.span_populations, of=calls, not_checked={"needs_contract": calls}
        )
    asked = {(needed.tool, needed.same) for stated in tools.values() for needed in stated.requires}
    met: set[tuple[str, str, str]] = set()
    observations = []
    units = 0
    for call in view.tool_calls:
        stated = tools.get(call.tool)
        for requirement in stated.requires if stated else ():
            units += 1
            if (requirement.tool, requirement.same, _value(call, requirement.same)) not in met:
                observations.append(_unmet(view, call, requirement))
        if call.signal is None:
            met |= {(tool, same, _value(call, same)) for tool, same in asked if tool == call.tool}
    return RuleOutput(tuple(observations), view.span_populations, checked=units, of=units)


def _value(call: ToolCall, pointer: str) -> str:
    """The value that two calls have to share, as text."""
    return text_of(at_pointer(parse_json(call.arguments.value), pointer))


def _unmet(view: TraceView, call: ToolCall, requirement: Requirement) -> Observation:
    key = FindingKey(PRECONDITION, call.agent, call.tool, requirement.tool, "")
    quotes = [quote(call.span, "symptom", call.arguments)]
    decision = view.decision_of(call.span)
    if decision:
        quotes.append(decision_quote(decision))
    return Observation(key, tuple(quotes), certainty="proved")


def check_failed_values(view: TraceView) -> RuleOutput:
    """A value that only a failed result supplied, in the arguments of a later write."""
    calls = view.tool_calls
    if not view.failed or not any(call.signal for call in calls):
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    observations = []
    told: dict[str, ToolCall] = {}
    known = _Known(view.task_input.value)
    last_write = max((call.position for call in calls if _is_write(view, call)), default=-1)
    for call in calls:
        if told and _is_write(view, call):
            arguments = _tokens(call.arguments.value)
            used = min(known.without(arguments & told.keys()), default="")
            if used:
                observations.append(_failed_value(view, call, told[used], used))
                failed = told[used]
                for value in _told_values(view, failed):
                    if told.get(value) is failed:
                        del told[value]
        if call.signal is None:
            known.add(call.arguments.value, call.result.value)
        elif call.position < last_write:
            for value in _told_values(view, call):
                told.setdefault(value, call)
    return RuleOutput(tuple(observations), view.span_populations, checked=1, of=1)


class _Known:
    """Values that a run knew from elsewhere; texts are read when one is asked for."""

    def __init__(self, text: str) -> None:
        self._values: set[str] = set()
        self._unread = [text]

    def add(self, *texts: str) -> None:
        """Take in what was said."""
        self._unread += texts

    def without(self, values: set[str]) -> set[str]:
        """Those of *values* that are not known."""
        if values:
            self._values.update(*map(_tokens, self._unread))
            self._unread.clear()
        return values - self._values


def _told_values(view: TraceView, failed: ToolCall) -> list[str]:
    """Values in what a failed call said that it was not asked with; at most fifty."""
    values = _tokens(failed_text(view, failed).value) - _tokens(failed.arguments.value)
    return sorted(values)[:_MAX_VALUES]


def _failed_value(view: TraceView, call: ToolCall, failed: ToolCall, used: str) -> Observation:
    key = FindingKey(FAILED_VALUE_USED, call.agent, call.tool, failed.tool, "")
    quotes = [quote(call.span, "symptom", call.arguments, used)]
    decision = view.decision_of(call.span)
    if decision:
        quotes.append(decision_quote(decision))
    quotes.append(quote(failed.span, "symptom", failed_text(view, failed), used))
    certainty: Certainty = "proved" if call.tool in view.settings.contract.tools else "candidate"
    return Observation(key, tuple(quotes), certainty=certainty)


def failed_text(view: TraceView, failed: ToolCall) -> Text:
    """Where a failed call says what it says: its result, else the message of its error."""
    if failed.result.value:
        return failed.result
    error = view.leaf_error_of.get(failed.span.span_id)
    return view.message_text(error) if error else failed.result


def _is_write(view: TraceView, call: ToolCall) -> bool:
    stated = view.settings.contract.tools.get(call.tool)
    return stated.side_effecting if stated else writes(call.tool)


def changes_world(view: TraceView, tool: str) -> bool:
    """Whether the contract, else the name, says that *tool* changes something outside the agent."""
    stated = view.settings.contract.tools.get(tool)
    return stated.side_effecting if stated else writes(tool) and not hands_over(tool)


def _tokens(text: str) -> set[str]:
    """Words with a digit in them, six characters or longer; ids and amounts, mostly."""
    return {v for v in _TOKEN.findall(text[:_MAX_SCANNED_CHARS]) if _DIGIT.search(v)}


def check_off_limits(view: TraceView) -> RuleOutput:
    """Calls and final answers that name a source on the contract's list of those not to be used."""
    patterns = view.settings.contract.off_limits
    if not patterns:
        return RuleOutput(of=1, not_checked={"needs_contract": 1})
    observations = []
    for call in view.tool_calls:
        for match in _ADDRESS.finditer(call.arguments.value):
            pattern = next((p for p in patterns if is_source(match[1], p)), "")
            if pattern:
                key = FindingKey(OFF_LIMITS_SOURCE, call.agent, call.tool, pattern, "")
                cited = quote(call.span, "symptom", call.arguments, match[0])
                observations.append(Observation(key, (cited,), certainty="proved"))
                break
    answer = view.final_answer
    for match in _ADDRESS.finditer(answer[1].value[:_MAX_SCANNED_CHARS]) if answer else ():
        pattern = next((p for p in patterns if is_source(match[1], p)), "")
        if pattern and answer:
            key = FindingKey(OFF_LIMITS_SOURCE, view.agent_of(answer[0]), "", pattern, "")
            cited = quote(answer[0], "symptom", answer[1], match[0])
            observations.append(Observation(key, (cited,), certainty="proved"))
            break
    return RuleOutput(tuple(observations), view.agent_populations, checked=1, of=1)


def is_source(address: str, pattern: str) -> bool:
    """Whether *address* (host and path) is what *pattern* names, or lies below it."""
    host, _, _ = address.lower().partition("/")
    wanted = pattern.lower().removeprefix("https://").removeprefix("http://")
    if "/" in wanted:
        return fnmatchcase(address.lower(), wanted) or address.lower().startswith(wanted)
    return fnmatchcase(host, wanted) or host.endswith("." + wanted) or host.split(".")[0] == wanted
