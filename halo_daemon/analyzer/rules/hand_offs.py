"""
Agents that hand a run round in circles: each says again what it said before.

A turn is what one agent says in a row, whether spans of agents frame it or not. What is
compared is what the agent was told last and what it answered; numbers may count the
rounds. Rounds in which an answer differs, or a tool brings something new, are work.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from halo_daemon.analyzer.content import NO_TEXT, ModelCall, Text, first_text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_volatile
from halo_daemon.analyzer.observation import Observation, StepRange, quote
from halo_daemon.analyzer.rules.tool_words import repeats_are_normal
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import AGENT, Span

CYCLE = "cycle"
HAND_OFFS = "hand-offs"
_PERIODS = (2, 3, 4)
_ROUNDS = 3
_INPUT_KEYS = ("input.value",)
_OUTPUT_KEYS = ("output.value",)
_MAX_CHARS = 20_000
_GROWN_CHARS = 8
_MODEL = "assistant"
_NUMBER = re.compile(r"[0-9]{1,18}")


class _Said(NamedTuple):
    """One span in which an agent speaks."""

    agent: str
    span: Span
    asked: Text
    answer: Text


class _Turn(NamedTuple):
    """What one agent says before another one does."""

    agent: str
    first: _Said
    last: _Said


def hand_off_circle(view: TraceView) -> Observation | None:
    """Two to four agents that take turns three times over and say the same each time, or None."""
    if len({subject.agent for subject in view.span_subjects}) < _PERIODS[0]:
        return None
    turns = list(_turns(view))
    for period in _PERIODS:
        length = period * _ROUNDS
        run = 0
        for at in range(period, len(turns)):
            run = run + 1 if _is_same_again(turns[at - period], turns[at]) else 0
            if run >= length - period:
                rounds = turns[at - length + 1 : at + 1]
                if _is_circle(view, rounds, period):
                    return _observation(view, rounds, period)
    return None


def _turns(view: TraceView) -> Iterator[_Turn]:
    for agent, spoken in groupby(_spoken(view), key=lambda said: said.agent):
        rows = list(spoken)
        yield _Turn(agent, rows[0], rows[-1])


def _spoken(view: TraceView) -> list[_Said]:
    """Model calls, and spans of agents that record none, by start."""
    said = [_said_by_model(call) for call in view.model_calls]
    silent = (
        span
        for span in view.trace.spans
        if span.observation_kind == AGENT
        and span is not view.root
        and not view.model_calls_under(span)
    )
    for span in silent:
        asked, answer = first_text(span, _INPUT_KEYS), first_text(span, _OUTPUT_KEYS)
        said.append(_Said(view.agent_of(span), span, asked, answer))
    return sorted(said, key=lambda row: (row.span.start_unix_ns, row.span.span_id))


def _said_by_model(call: ModelCall) -> _Said:
    newest, asked = call.shape.newest, NO_TEXT
    # What another agent said is compared as its answer.
    if newest and call.span.text(newest.role) != _MODEL:
        asked = Text(newest.content, call.span.text(newest.content))
    answer = call.answer
    if not answer.value and call.requested:
        answer = call.requested[0].arguments
    return _Said(call.agent, call.span, asked, answer)


def _is_circle(view: TraceView, rounds: Sequence[_Turn], period: int) -> bool:
    first = rounds[:period]
    agents = {turn.agent for turn in first}
    if len(agents) == 1 or any(map(repeats_are_normal, agents)):
        return False
    in_turn = all(_follows(view, *pair) for pair in pairwise(rounds))
    return in_turn and not _brings_news(view, rounds, period)


def _follows(view: TraceView, before: _Turn, after: _Turn) -> bool:
    """Whether *after* began when *before* was over, or was called by it."""
    last, first = before.last.span, after.first.span
    if last.is_complete and last.end_unix_ns <= first.start_unix_ns:
        return True
    by_id, above = view.trace.by_id, first.parent_span_id
    for _ in range(len(by_id)):
        if above == last.span_id:
            return True
        if above not in by_id:
            return False
        above = by_id[above].parent_span_id
    return False


def _is_same_again(before: _Turn, after: _Turn) -> bool:
    """Whether one agent was told and answered the same; numbers stay, or go up by one."""
    return (
        before.agent == after.agent
        and bool(after.last.answer.value.strip())
        and _counts_on(before.last.answer.value, after.last.answer.value)
        and _is_told_the_same(before.first.asked.value, after.first.asked.value)
    )


def _is_told_the_same(left: str, right: str) -> bool:
    """Whether nothing else was asked; not everyone records what an agent is told."""
    return not (left and right) or _counts_on(left, right)


def _counts_on(left: str, right: str) -> bool:
    if left == right:
        return True
    # A cheap no comes first: what only counts hardly grows.
    if abs(len(left) - len(right)) >= _GROWN_CHARS or _worded(left) != _worded(right):
        return False
    numbers = zip(_numbers(left), _numbers(right), strict=True)
    return all(int(after) - int(before) in {0, 1} for before, after in numbers)


def _worded(text: str) -> str:
    return " ".join(_NUMBER.sub("0", _stable(text)).split())


def _numbers(text: str) -> list[str]:
    return _NUMBER.findall(_stable(text))


def _stable(text: str) -> str:
    return mask_volatile(text[:_MAX_CHARS])


def _brings_news(view: TraceView, rounds: Sequence[_Turn], period: int) -> bool:
    """Whether a tool says after the first round what none said in it."""
    start, again, end = (rounds[at].first.span.start_unix_ns for at in (0, period, len(rounds) - 1))
    known: set[bytes] = set()
    for call in view.tool_calls:
        if start <= call.span.start_unix_ns < again:
            known.add(call.exact_result)
        elif again <= call.span.start_unix_ns < end and call.exact_result not in known:
            return True
    return False


def _observation(view: TraceView, rounds: Sequence[_Turn], period: int) -> Observation:
    agents = sorted({turn.agent for turn in rounds[:period]})
    second, last = rounds[period].first.span, rounds[-1].last
    wasted = StepRange(
        view.step_at(second.start_unix_ns), view.step_at(last.span.start_unix_ns) + 1
    )
    return Observation(
        key=FindingKey(CYCLE, view.agent_of(view.root), " + ".join(agents), HAND_OFFS, ""),
        quotes=(
            quote(last.span, "symptom", last.answer),
            quote(rounds[-2].last.span, "decision", rounds[-2].last.answer),
            quote(rounds[period - 1].last.span, "symptom", rounds[period - 1].last.answer),
        ),
        recovered=view.step_at(last.span.start_unix_ns) + 1 < len(view.steps),
        wasted=wasted,
        spans=len(rounds),
    )
