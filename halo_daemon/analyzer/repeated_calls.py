"""
Model calls that two spans tell of, one around the other, counted once.

A client library, the framework above it and a gateway between them may each be
instrumented, and what drives a loop of calls may be a model call by its own words. One
span cannot know; the tree can.

Rule 1: the innermost span that tells of a call is the call: usage stands there too.

Rule 2: what stands between two calls must only hand on. A call below a tool, an agent or
a judge of the call above it is another call.

Rule 3: being inside is no evidence. The two must name one model and one question, answer
or count of tokens, unless one of them tells nothing but that it was called.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.content import NOTHING_USED, ModelCall, text_of
from halo_daemon.proto.span import LLM, Span

_HANDS_ON = frozenset({"CHAIN", "SPAN"})
"""Kinds that may stand between a call and the same call."""
_NEARLY = 0.02
"""Share by which two counts of the same tokens may differ."""
_DATED = frozenset("0123456789v")
"""What the version behind a model's name begins with."""


class _Told(NamedTuple):
    """What can be compared of a call; empty where it is not told."""

    model: str
    question: str
    answer: str
    asked: tuple[tuple[str, str], ...]
    tokens: tuple[int, int]

    @property
    def is_silent(self) -> bool:
        return not (self.answer or self.asked or any(self.tokens))


def repeated_calls(calls: Sequence[ModelCall], by_id: dict[str, Span]) -> frozenset[str]:
    """
    Ids of the spans among *calls* that tell of a call which another one stands for.

    Args:
        calls: Every LLM span of a trace, in order of start.
        by_id: All spans of the trace.
    """
    above = _calls_above(calls, by_id)
    if not above:
        return frozenset()
    known = {call.span.span_id: call for call in calls}
    inner: dict[str, list[str]] = {}
    for span_id, holder in above.items():
        inner.setdefault(holder, []).append(span_id)
    repeated: set[str] = set()
    for span_id in _innermost_first(above, inner):
        counted = [one for one in inner[span_id] if one not in repeated]
        around = known[span_id]
        within = [known[one] for one in counted]
        if _is_told_within(around, within):
            repeated.add(span_id)
            if span_id in above:
                inner[above[span_id]] += counted
        elif _is_told_around(around, within):
            repeated.update(counted)
    return frozenset(repeated)


def _calls_above(calls: Sequence[ModelCall], by_id: dict[str, Span]) -> dict[str, str]:
    """The call that each call is in, with nothing between them but what hands on."""
    found: dict[str, str] = {}
    met: dict[str, str] = {}
    for call in calls:
        way: list[str] = []
        parent = by_id.get(call.span.parent_span_id)
        while parent is not None and parent.observation_kind in _HANDS_ON:
            if parent.span_id in met or parent.span_id in way:
                break
            way.append(parent.span_id)
            parent = by_id.get(parent.parent_span_id)
        if parent is None:
            holder = ""
        elif parent.observation_kind == LLM:
            holder = parent.span_id
        else:
            holder = met.get(parent.span_id, "")
        met.update(dict.fromkeys(way, holder))
        if holder:
            found[call.span.span_id] = holder
    return found


def _innermost_first(above: dict[str, str], inner: dict[str, list[str]]) -> Iterator[str]:
    """Calls around others, each behind those within it; none of a cycle."""
    waiting = dict.fromkeys(inner, 0)
    for holder in inner:
        if above.get(holder) in waiting:
            waiting[above[holder]] += 1
    ready = [holder for holder, within in waiting.items() if not within]
    for holder in ready:
        yield holder
        outer = above.get(holder)
        if outer is not None:
            waiting[outer] -= 1
            if not waiting[outer]:
                ready.append(outer)


def _is_told_within(around: ModelCall, within: Sequence[ModelCall]) -> bool:
    """Whether the calls *within* are what the one *around* them tells of."""
    outer, told = _told(around), [_told(call) for call in within]
    if outer.is_silent:
        return any(_may_be_one_model(outer.model, one.model) for one in told)
    told = [one for one in told if not one.is_silent]
    return any(_are_one(outer, one) for one in told) or (
        len(told) > 1
        and any(_may_be_one_model(outer.model, one.model) for one in told)
        and _are_near(outer.tokens, _sum(told))
    )


def _is_told_around(around: ModelCall, within: Sequence[ModelCall]) -> bool:
    """Whether the one call *within* says nothing that the one *around* it does not say."""
    if len(within) != 1:
        return False
    outer, one = _told(around), _told(within[0])
    fails_alone = within[0].span.has_error_status and not around.span.has_error_status
    asks_else = one.question and outer.question and one.question != outer.question
    return (
        one.is_silent
        and not (fails_alone or asks_else)
        and _may_be_one_model(outer.model, one.model)
    )


def _are_one(outer: _Told, one: _Told) -> bool:
    has_one_count = _are_near(outer.tokens, one.tokens)
    has_one_answer = _is_one(outer.answer, one.answer) or _is_one(outer.asked, one.asked)
    if not _may_be_one_model(outer.model, one.model):
        # A gateway may name the model as it pleases.
        return has_one_count and has_one_answer
    return has_one_count or has_one_answer or _is_one(outer.question, one.question)


def _is_one(left: object, right: object) -> bool:
    return bool(left) and left == right


def _are_near(left: tuple[int, int], right: tuple[int, int]) -> bool:
    """Whether two counts of tokens are the same where both are told; False where none is."""
    pairs = [(a, b) for a, b in zip(left, right, strict=True) if a and b]
    return bool(pairs) and all(abs(a - b) <= _NEARLY * max(a, b) for a, b in pairs)


def _sum(told: Sequence[_Told]) -> tuple[int, int]:
    return sum(one.tokens[0] for one in told), sum(one.tokens[1] for one in told)


def _may_be_one_model(left: str, right: str) -> bool:
    """Whether two names can be of one model: alike but for a provider before, a version behind."""
    if not left or not right:
        return True
    short, long = sorted(
        (left.rpartition("/")[2].lower(), right.rpartition("/")[2].lower()), key=len
    )
    behind = long[len(short) :]
    return long.startswith(short) and (
        not behind or (behind[0] in "-@:" and (behind[1:2] in _DATED or behind[1:] == "latest"))
    )


def _told(call: ModelCall) -> _Told:
    used = call.used
    newest = call.shape.newest
    question = call.span.attributes.get(newest.content) if newest is not None else None
    return _Told(
        call.model,
        text_of(question).strip(),
        call.answer.value.strip(),
        tuple((one.name, one.call_id or one.arguments.value) for one in call.requested),
        (0, 0) if used is NOTHING_USED else (used.input_tokens, used.output_tokens),
    )
