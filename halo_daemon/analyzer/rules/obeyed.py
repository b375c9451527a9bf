"""
What a text led to: a value that it alone supplied goes into a later call that changes something.

The text may give orders to the model (`injection`), or hold a secret (`security`).
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.content import Text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, quote
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.side_effects import changes_world
from halo_daemon.analyzer.rules.tool_words import runs_anything
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

OBEYED = "obeyed"
_BEFORE_CHARS = 200
_AFTER_CHARS = 800
_MAX_VALUES = 50
_VALUE = re.compile(
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
    r"|https?://[^\s\"'<>)\]}]+"
    r"|\b(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{6,}\b"
)


def obeyed(view: TraceView, span: Span, *, text: Text, words: str, rule: str) -> Observation | None:
    """
    The first later call that changes something with a value that only *text* supplied, or None.

    Looked at are addresses and ids around the *words* that give the order; what the task
    or an earlier call named as well may have come from there.
    """
    at = max(0, text.value.find(words))
    around = text.value[max(0, at - _BEFORE_CHARS) : at + len(words) + _AFTER_CHARS]
    values = [value.rstrip(".,;:") for value in _VALUE.findall(around)][:_MAX_VALUES]
    led_to = first_use(view, span, values)
    if led_to is None:
        return None
    call, used = led_to
    quotes = [quote(call.span, "symptom", call.arguments, used)]
    decision = view.decision_of(call.span)
    if decision:
        quotes.append(decision_quote(decision))
    quotes.append(quote(span, "symptom", text, words))
    return Observation(FindingKey(rule, call.agent, call.tool, OBEYED, ""), tuple(quotes))


class Use(NamedTuple):
    """A call that changes something, and the value in its arguments."""

    call: ToolCall
    value: str


def first_use(
    view: TraceView,
    span: Span,
    values: Sequence[str],
    *,
    is_use: Callable[[ToolCall], bool] = lambda _call: True,
) -> Use | None:
    """
    The first call after *span* that changes something with one of *values*, or None.

    Of calls that *is_use* allows, and not of values that the task or an earlier call
    named as well.
    """
    if view.is_part:
        # What the parts before named is not known.
        return None
    moment = span.end_unix_ns if span.is_complete else span.start_unix_ns
    calls = view.tool_calls
    new = list(dict.fromkeys(values))
    for call in calls[bisect_left(calls, moment, key=_start) :]:
        # The cheapest question first: of most values no later call knows.
        used = [value for value in new if value in call.arguments.value]
        if not used or not (_acts(view, call) and is_use(call)):
            continue
        for value in used:
            if not _is_known_before(view, span, moment, value):
                return Use(call, value)
            new.remove(value)
    return None


def _start(call: ToolCall) -> int:
    return call.span.start_unix_ns


def _acts(view: TraceView, call: ToolCall) -> bool:
    return changes_world(view, call.tool) or runs_anything(call.tool)


def _is_known_before(view: TraceView, span: Span, moment: int, value: str) -> bool:
    """Whether the task, or a call before *moment* that is not *span*'s, named *value* as well."""
    return value in view.task_input.value or any(
        value in call.arguments.value or value in call.result.value
        for call in view.tool_calls
        if call.span is not span and call.span.start_unix_ns < moment
    )
