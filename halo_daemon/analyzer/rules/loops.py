"""Longer ways of getting nowhere: rounds of several calls, and calls that hardly differ."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from halo_daemon.analyzer.content import parse_json
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, StepRange, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.hand_offs import CYCLE, hand_off_circle
from halo_daemon.analyzer.rules.side_effects import changes_world
from halo_daemon.analyzer.rules.stuck_lookups import is_id, stuck_run
from halo_daemon.analyzer.rules.tool_words import repeats_are_normal, runs_anything
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView

NEAR_REPEAT = "near_repeat"
_MIN_CYCLE_CALLS = 6
_PERIODS = (2, 3, 4)
_ROUNDS = 3
_MIN_NEAR_CALLS = 4
_ALIKE = 0.9
_COMPARED_CHARS = 400
_DIGITS = re.compile(r"[0-9]+")


def check_cycles(view: TraceView) -> RuleOutput:
    """
    Two to four calls made again and again in the same order with the same results.

    Or two to four agents that hand the run on in the same order with the same words.
    """
    calls = view.tool_calls
    handed = hand_off_circle(view)
    if len(calls) < _MIN_CYCLE_CALLS and len(view.model_calls) < _MIN_CYCLE_CALLS and not handed:
        return RuleOutput(of=1, not_checked={"too_few": 1})
    found = next(_cycles(calls), None)
    observations = [_cycle(view, *found)] if found else []
    if handed:
        observations.append(handed)
    root = Population("agent", view.agent_of(view.root), "")
    eligible = view.agent_populations
    if root not in eligible:
        # A circle of others is counted over the agent that set them to work.
        eligible |= {root}
    return RuleOutput(tuple(observations), eligible, checked=1, of=1)


def calls_in_cycle(view: TraceView) -> frozenset[str]:
    """Span ids of the calls that a cycle is made of; they are not reported one by one."""
    found = next(_cycles(view.tool_calls), None)
    return frozenset(call.span.span_id for call in found[0]) if found else frozenset()


def _cycles(calls: Sequence[ToolCall]) -> Iterator[tuple[Sequence[ToolCall], int]]:
    tools = [call.tool for call in calls]
    for period in _PERIODS:
        length = period * _ROUNDS
        run = 0
        for at in range(period, len(calls)):
            # Names first: most calls differ in them already.
            is_equal = tools[at - period] == tools[at] and _is_equal(calls[at - period], calls[at])
            run = run + 1 if is_equal else 0
            if run >= length - period:
                rounds = calls[at - length + 1 : at + 1]
                if _is_round(rounds[:period]):
                    yield rounds, period
                    return


def _is_equal(left: ToolCall, right: ToolCall) -> bool:
    return (
        left.agent == right.agent
        and left.canonical == right.canonical
        and left.has_result_of(right)
    )


def _is_round(calls: Sequence[ToolCall]) -> bool:
    distinct = {(call.tool, call.canonical) for call in calls}
    return len(distinct) > 1 and not any(repeats_are_normal(call.tool) for call in calls)


def _cycle(view: TraceView, rounds: Sequence[ToolCall], period: int) -> Observation:
    tools = sorted({call.tool for call in rounds[:period]})
    second, last = rounds[period], rounds[-1]
    return Observation(
        key=FindingKey(CYCLE, last.agent, " + ".join(tools), "", ""),
        quotes=tuple(_shown(view, last, rounds[-2])),
        recovered=_left(view, rounds),
        wasted=StepRange(
            view.step_at(second.span.start_unix_ns), view.step_at(last.span.start_unix_ns) + 1
        ),
        spans=len(rounds),
    )


def _left(view: TraceView, rounds: Sequence[ToolCall]) -> bool:
    """Whether something else was called after the rounds; further rounds are none."""
    inside = {(call.tool, call.canonical) for call in rounds}
    later = view.tool_calls[rounds[-1].position + 1 :]
    return any((call.tool, call.canonical) not in inside for call in later)


def _shown(view: TraceView, last: ToolCall, other: ToolCall) -> Iterator[Quote]:
    yield quote(last.span, "symptom", last.arguments)
    decision = view.decision_of(last.span)
    if decision:
        yield decision_quote(decision)
    yield quote(other.span, "symptom", other.arguments)


def check_near_repeats(view: TraceView) -> RuleOutput:
    """Calls of one tool whose arguments hardly differ and whose results are the same."""
    eligible = [
        subject
        for subject, calls in view.used_tools.items()
        if calls >= _MIN_NEAR_CALLS and not repeats_are_normal(subject.name)
    ]
    found = (_near(view, subject) for subject in sorted(eligible))
    return RuleOutput(
        tuple(observation for observation in found if observation),
        frozenset(Population("repeated", *subject) for subject in eligible),
        checked=len(eligible),
        of=len(eligible),
    )


def _near(view: TraceView, subject: Subject) -> Observation | None:
    if runs_anything(subject.name) or changes_world(view, subject.name):
        # The same done to one thing after the other is work.
        return None
    run: list[ToolCall] = []
    longest: list[ToolCall] = []
    for call in view.calls_of(subject):
        if run and _is_near(run[-1], call):
            run.append(call)
        else:
            run = [call]
        if len(run) > len(longest):
            longest = run
    if len(longest) < _MIN_NEAR_CALLS or len({call.canonical for call in longest}) < 2:  # noqa: PLR2004 -- equal calls are another rule's
        return None
    if stuck_run(view, subject):
        # Asked for different things: the tool is at fault, not who asks.
        return None
    second, last = longest[1], longest[-1]
    return Observation(
        key=FindingKey(NEAR_REPEAT, subject.agent, subject.name, "", ""),
        quotes=tuple(_shown(view, last, longest[0])),
        recovered=last.position + 1 < len(view.tool_calls),
        wasted=StepRange(
            view.step_at(second.span.start_unix_ns), view.step_at(last.span.start_unix_ns) + 1
        ),
        spans=len(longest),
    )


def _is_near(left: ToolCall, right: ToolCall) -> bool:
    if left.signal or right.signal or not left.result.value or left.result.value.isspace():
        return False
    shorter, longer = sorted((len(left.canonical), len(right.canonical)))
    if shorter < _ALIKE * longer or not left.has_result_of(right):
        return False
    if _DIGITS.findall(left.canonical) != _DIGITS.findall(right.canonical):
        # Another number is another thing, page or place.
        return False
    matcher = SequenceMatcher(
        None, left.canonical[:_COMPARED_CHARS], right.canonical[:_COMPARED_CHARS], autojunk=False
    )
    if matcher.quick_ratio() < _ALIKE or matcher.ratio() < _ALIKE:
        return False
    return not _name_different_things(left, right)


def _name_different_things(left: ToolCall, right: ToolCall) -> bool:
    """Whether the ids that both calls are given differ."""
    asked, again = parse_json(left.arguments.value), parse_json(right.arguments.value)
    if not isinstance(asked, dict) or not isinstance(again, dict):
        return False
    return any(asked[key] != again[key] for key in asked.keys() & again.keys() if is_id(key))
