"""
Calls that a model asked for in the middle of a run, and that nothing answered.

A tool that is not recorded may have run all the same. So a call counts as lost only
where the record would show it: the prompt that follows repeats the call and holds no
answer to it, or spans of that very tool are recorded and none is this call's.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from halo_daemon.analyzer.content import (
    ModelCall,
    RequestedCall,
    Text,
    bare_name,
    canonical_arguments,
)
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, quote
from halo_daemon.analyzer.rules.errors import PREMATURE_END
from halo_daemon.analyzer.rules.tool_words import finishes, hands_over
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.computed_once import computed_once

NO_RESULT = "call without a result"
_NEVER = 2**63


class _Asked(NamedTuple):
    """What one model call asks of one tool, and the same agent's model call that follows."""

    call: ModelCall
    following: ModelCall
    tool: str
    calls: tuple[RequestedCall, ...]


def lost_calls(view: TraceView) -> list[Observation]:
    """Calls without a result although the run went on; one for each tool of a model call."""
    if not _may_be_lost(view):
        return []
    record = _Record(view)
    observations = []
    for asked in _asked(view):
        lost = record.lost(asked)
        if lost:
            works = record.works_after(asked)
            observations.append(_observation(view, asked, lost, recovered=works))
    return observations


def _may_be_lost(view: TraceView) -> bool:
    """A cheap no: each call was run as often as it was asked for."""
    asked = [
        (bare_name(one.name), one.arguments.value)
        for call in view.model_calls
        for one in call.requested
    ]
    ran = [(bare_name(call.span.tool_name), call.arguments.value) for call in view.tool_calls]
    return asked != ran and bool(Counter(asked) - Counter(ran))


def _asked(view: TraceView) -> Iterator[_Asked]:
    """What was asked for by calls after which the same agent's model went on; the last first."""
    following: dict[str, ModelCall] = {}
    calls = view.model_calls
    # Of calls at the same time none can be told to have gone on without the other's tools.
    is_alone = [a.span.end_unix_ns <= b.span.start_unix_ns for a, b in pairwise(calls)]
    for call, alone in zip(reversed(calls), (False, *reversed(is_alone)), strict=False):
        after = following.get(call.agent)
        following[call.agent] = call
        if not (after and alone and call.requested and call.span.is_complete):
            continue
        if view.has_error(call.span):
            continue
        by_tool: dict[str, list[RequestedCall]] = {}
        for one in call.requested:
            if one.name and not (finishes(one.name) or hands_over(one.name)):
                by_tool.setdefault(bare_name(one.name), []).append(one)
        for tool, asked in by_tool.items():
            yield _Asked(call, after, tool, tuple(asked))


class _Runs:
    """The recorded calls of one tool; what is asked of them takes no look at each."""

    def __init__(self, calls: Sequence[ToolCall]) -> None:
        """Take *calls* by start."""
        self._calls = calls
        self._starts = [ran.span.start_unix_ns for ran in calls]
        self._ids = self._last_starts(lambda ran: ran.call_id)
        self._texts = self._last_starts(lambda ran: ran.arguments.value)
        self._last_success = max(
            (ran.span.start_unix_ns for ran in calls if ran.signal is None), default=-1
        )

    def number(self, since: int, until: int = _NEVER) -> int:
        """How many began at *since* or later, and before *until*."""
        return bisect_left(self._starts, until) - bisect_left(self._starts, since)

    def has_worked(self, since: int) -> bool:
        """Whether one that began at *since* or later worked."""
        return self._last_success >= since

    def all_have_ids(self, since: int) -> bool:
        """Whether there are later ones, and each names the call that asked for it."""
        return self.number(since) > 0 and self._ids.get("", -1) < since

    def has_id(self, call_id: str, since: int) -> bool:
        """Whether a later one answers the call of that id."""
        return self._ids.get(call_id, -1) >= since

    def has_arguments(self, text: str, since: int) -> bool:
        """Whether a later one has these arguments, as they stand or in another order."""
        if self._texts.get(text, -1) >= since:
            return True
        return self.number(since) > 0 and self._forms.get(canonical_arguments(text), -1) >= since

    @computed_once
    def _forms(self) -> dict[str, int]:
        return self._last_starts(lambda ran: ran.canonical)

    def _last_starts(self, key: Callable[[ToolCall], str]) -> dict[str, int]:
        """When the last of each key began."""
        return {key(ran): ran.span.start_unix_ns for ran in self._calls}


_NO_RUNS = _Runs(())


class _Record:
    """What a trace would show of a call that ran."""

    def __init__(self, view: TraceView) -> None:
        by_tool: dict[str, list[ToolCall]] = {}
        for ran in view.tool_calls:
            by_tool.setdefault(bare_name(ran.span.tool_name), []).append(ran)
        self._runs = {tool: _Runs(calls) for tool, calls in by_tool.items()}
        self._asked_at: dict[str, list[int]] = {}
        for call in view.model_calls:
            for requested in call.requested:
                starts = self._asked_at.setdefault(bare_name(requested.name), [])
                starts.append(call.span.start_unix_ns)
        self._answers_have_ids = any(call.shape.answered_ids for call in view.model_calls)

    def lost(self, asked: _Asked) -> list[RequestedCall]:
        """Those of *asked* that the record shows to have no result."""
        has_spans = asked.tool in self._runs
        found = []
        for requested in self._without_span(asked):
            is_answered = self._is_answered(requested, asked)
            if is_answered is False or (is_answered is None and has_spans):
                found.append(requested)
        return found

    def works_after(self, asked: _Asked) -> bool:
        """Whether a call of the tool that began after it was asked for worked."""
        return self._runs_of(asked).has_worked(asked.call.span.start_unix_ns)

    def _runs_of(self, asked: _Asked) -> _Runs:
        return self._runs.get(asked.tool, _NO_RUNS)

    def _without_span(self, asked: _Asked) -> list[RequestedCall]:
        """Those that no recorded call of the tool stands for: by id, by arguments, by number."""
        runs, since = self._runs_of(asked), asked.call.span.start_unix_ns
        if runs.all_have_ids(since) and all(one.call_id for one in asked.calls):
            return [one for one in asked.calls if not runs.has_id(one.call_id, since)]
        missing = [one for one in asked.calls if not runs.has_arguments(one.arguments.value, since)]
        # Some record arguments in another form; then there are as many spans as calls.
        starts = self._asked_at[asked.tool]
        at = bisect_right(starts, since)
        ran = runs.number(since, starts[at] if at < len(starts) else _NEVER)
        in_other_form = ran + len(missing) - len(asked.calls)
        return missing[max(0, in_other_form) :] if ran < len(asked.calls) else []

    def _is_answered(self, requested: RequestedCall, asked: _Asked) -> bool | None:
        """What the prompt that follows says of it; None when it says nothing."""
        attributes, shape = asked.following.span.attributes, asked.following.shape
        if not requested.call_id or not self._answers_have_ids:
            # Whatever is new in the prompt may be the result, in words.
            return True if _newest(asked.following) != _newest(asked.call) else None
        if any(attributes[key] == requested.call_id for key in shape.answered_ids):
            return True
        # A prompt without the call is another conversation, or one that dropped the call.
        return not any(attributes[key] == requested.call_id for key in shape.asked_ids)


def _newest(call: ModelCall) -> str:
    newest = call.shape.newest
    return call.span.text(newest.content) if newest else ""


def _observation(
    view: TraceView, asked: _Asked, lost: list[RequestedCall], *, recovered: bool
) -> Observation:
    span = asked.call.span
    subject = mask_name(lost[0].name)
    arguments = lost[0].arguments
    cited = arguments if arguments.value else Text("", "")
    return Observation(
        key=FindingKey(PREMATURE_END, view.agent_of(span), subject, NO_RESULT, ""),
        quotes=(quote(span, "decision", cited),),
        certainty="event",
        recovered=recovered,
        spans=len(lost),
    )
