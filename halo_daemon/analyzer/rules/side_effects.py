"""Calls that change the world: done twice, done too early, done with a failed call's value."""

import re
from fnmatch import fnmatchcase

from halo_daemon.analyzer.content import Text, parse_json
from halo_daemon.analyzer.contract import Requirement, at_pointer
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.tool_words import (
    hands_over,
    looks,
    runs_anything,
    words_of,
    writes,
)
from halo_daemon.analyzer.trace_view import ToolCall, TraceView
from halo_daemon.findings import Certainty

DOUBLE_SIDE_EFFECT = "double_side_effect"
PRECONDITION = "precondition"
FAILED_VALUE_USED = "failed_value_used"
OFF_LIMITS_SOURCE = "off_limits_source"
_ONCE_ONLY = frozenset(
    {"book", "buy", "charge", "email", "order", "pay", "publish", "refund", "reserve", "send"}
    | {"transfer", "withdraw"}
)
_TOKEN = re.compile(r"[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*")
_MIN_VALUE_CHARS = 6
_MAX_VALUES = 50
_ADDRESS = re.compile(r"(?:https?://)?([a-z0-9.-]+\.[a-z]{2,}(?:/[^\s\"'<>)\]}]*)?)", re.IGNORECASE)


def check_double_side_effects(view: TraceView) -> RuleOutput:
    """A call that must happen once, made again with equal arguments after it succeeded."""
    done: dict[tuple[str, str, str], ToolCall] = {}
    observations = []
    units = 0
    for call in view.tool_calls:
        certainty = _once_only(view, call.tool)
        if certainty is None or call.signal is not None:
            continue
        units += 1
        identity = (call.agent, call.tool, call.canonical)
        first = done.setdefault(identity, call)
        if first is not call:
            observations.append(_again(view, first, call, certainty))
    return RuleOutput(tuple(observations), view.span_populations, checked=units, of=units)


def _once_only(view: TraceView, tool: str) -> Certainty | None:
    stated = view.settings.contract.tools.get(tool)
    if stated is not None:
        return "proved" if stated.side_effecting and not stated.idempotent else None
    is_named = not words_of(tool).isdisjoint(_ONCE_ONLY) and not runs_anything(tool)
    return "candidate" if is_named and not looks(tool) else None


def _again(view: TraceView, first: ToolCall, call: ToolCall, certainty: Certainty) -> Observation:
    quotes = [quote(call.span, "symptom", call.arguments)]
    decision = view.decision_of(call.span)
    if decision:
        quotes.append(decision_quote(decision))
    quotes.append(quote(first.span, "symptom", first.arguments))
    key = FindingKey(DOUBLE_SIDE_EFFECT, call.agent, call.tool, "", "")
    return Observation(key, tuple(quotes), certainty=certainty)


def check_preconditions(view: TraceView) -> RuleOutput:
    """Calls made before what the contract requires had succeeded."""
    observations = []
    units = 0
    for call in view.tool_calls:
        stated = view.settings.contract.tools.get(call.tool)
        for requirement in stated.requires if stated else ():
            units += 1
            if not _is_met(view, call, requirement):
                key = FindingKey(PRECONDITION, call.agent, call.tool, requirement.tool, "")
                quotes = [quote(call.span, "symptom", call.arguments)]
                decision = view.decision_of(call.span)
                if decision:
                    quotes.append(decision_quote(decision))
                observations.append(Observation(key, tuple(quotes), certainty="proved"))
    unstated = 0 if view.settings.contract.tools else len(view.tool_calls)
    return RuleOutput(
        tuple(observations),
        view.span_populations,
        checked=units,
        of=units + unstated,
        not_checked={"needs_contract": unstated},
    )


def _is_met(view: TraceView, call: ToolCall, requirement: Requirement) -> bool:
    wanted = at_pointer(parse_json(call.arguments.value), requirement.same)
    return any(
        earlier.tool == requirement.tool
        and earlier.signal is None
        and at_pointer(parse_json(earlier.arguments.value), requirement.same) == wanted
        for earlier in view.tool_calls[: call.position]
    )


def check_failed_values(view: TraceView) -> RuleOutput:
    """A value that only a failed result supplied, in the arguments of a later write."""
    if not any(call.signal for call in view.tool_calls):
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    observations = []
    for failed in view.tool_calls:
        if failed.signal is None:
            continue
        told = failed_text(view, failed)
        values = _values(told.value) - _values(failed.arguments.value)
        for call in view.tool_calls[failed.position + 1 :]:
            if not values or not _is_write(view, call):
                continue
            used = next((v for v in sorted(values) if v in call.arguments.value), "")
            if used and not _is_supplied(view, used, failed, call):
                key = FindingKey(FAILED_VALUE_USED, call.agent, call.tool, failed.tool, "")
                quotes = [quote(call.span, "symptom", call.arguments, used)]
                decision = view.decision_of(call.span)
                if decision:
                    quotes.append(decision_quote(decision))
                quotes.append(quote(failed.span, "symptom", told, used))
                observations.append(Observation(key, tuple(quotes)))
                break
    return RuleOutput(tuple(observations), view.span_populations, checked=1, of=1)


def failed_text(view: TraceView, failed: ToolCall) -> Text:
    """Where a failed call says what it says: its result, else the message of its error."""
    if failed.result.value:
        return failed.result
    errors = (error for error in view.leaf_errors if error.span is failed.span)
    return next((view.message_text(error) for error in errors), failed.result)


def _is_write(view: TraceView, call: ToolCall) -> bool:
    stated = view.settings.contract.tools.get(call.tool)
    return stated.side_effecting if stated else writes(call.tool)


def changes_world(view: TraceView, tool: str) -> bool:
    """Whether the contract, else the name, says that *tool* changes something outside the agent."""
    stated = view.settings.contract.tools.get(tool)
    return stated.side_effecting if stated else writes(tool) and not hands_over(tool)


def _values(text: str) -> set[str]:
    found = (match[0] for match in _TOKEN.finditer(text))
    return set(sorted({v for v in found if len(v) >= _MIN_VALUE_CHARS})[:_MAX_VALUES])


def _is_supplied(view: TraceView, value: str, failed: ToolCall, call: ToolCall) -> bool:
    if value in view.task_input.value:
        return True
    return any(
        other is not failed
        and other.signal is None
        and (value in other.result.value or value in other.arguments.value)
        for other in view.tool_calls[: call.position]
    )


def check_off_limits(view: TraceView) -> RuleOutput:
    """Calls that name a source on the contract's list of those not to be used."""
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
    eligible = view.agent_populations
    return RuleOutput(tuple(observations), eligible, checked=1, of=1)


def is_source(address: str, pattern: str) -> bool:
    """Whether *address* (host and path) is what *pattern* names, or lies below it."""
    host, _, _ = address.lower().partition("/")
    wanted = pattern.lower().removeprefix("https://").removeprefix("http://")
    if "/" in wanted:
        return fnmatchcase(address.lower(), wanted) or address.lower().startswith(wanted)
    return fnmatchcase(host, wanted) or host.endswith("." + wanted) or host.split(".")[0] == wanted
