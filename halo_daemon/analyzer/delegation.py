"""
Who directs whom in a run of several agents, and what they answered.

One agent directs a run when most turns of the others are followed by one of its own.
"""

from collections import Counter
from itertools import groupby, pairwise
from typing import NamedTuple

from halo_daemon.analyzer.content import ModelCall
from halo_daemon.analyzer.trace_view import TraceView

_DIRECTED_SHARE = 0.8
_PEOPLE = frozenset({"human", "user", "user_proxy", "userproxy"})


class _Turn(NamedTuple):
    agent: str
    last: ModelCall


def replies(view: TraceView) -> list[ModelCall]:
    """
    The last model call of every turn of a directed agent, in order.

    Empty where no agent directs the others; what people say is left out.
    """
    if len(view.agents) == 1:
        return []
    turns = _turns(view)
    director = _director(turns)
    if not director:
        return []
    return [turn.last for turn in turns if turn.agent != director]


def _turns(view: TraceView) -> list[_Turn]:
    spoken = [(view.agent_of(call.span), call) for call in view.model_calls]
    by_agent = groupby(
        (row for row in spoken if row[0].casefold() not in _PEOPLE), key=lambda row: row[0]
    )
    return [_Turn(agent, list(rows)[-1][1]) for agent, rows in by_agent]


def _director(turns: list[_Turn]) -> str:
    """The agent that speaks after the others; ``""`` when none does, or when two take turns."""
    after: Counter[str] = Counter()
    before: Counter[str] = Counter()
    for turn, following in pairwise(turns):
        after[following.agent] += 1
        before[turn.agent] += 1
    if not turns:
        return ""
    first = turns[0].agent
    others = sum(count for agent, count in before.items() if agent != first)
    asked = len([turn for turn in turns if turn.agent != first])
    if not asked or after[first] < _DIRECTED_SHARE * others:
        return ""
    return first
