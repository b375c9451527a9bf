"""
The wall: many runs of one agent that stop unanswered after the very same number of steps.

No run says so, so no run can show it alone. It is seen when all traces are known,
from their facts only, and does not depend on their order.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Quote
from halo_daemon.analyzer.partial import MAX_CASES, Case, Group, Hit, Partial, SpanRole, TraceFacts
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.rules.errors import BUDGET_EXHAUSTED

WALL = "wall"
_MIN_TRACES = 5
_TIMES_NEIGHBOURS = 3
_NEIGHBOURS = 2
"""Step counts on either side that are compared; calls come in pairs, so one is too few."""
_MIN_LENGTH = 5
_MOST = 0.5

_MEASURES: tuple[tuple[str, Callable[[TraceFacts], int]], ...] = (
    ("steps", lambda facts: facts.steps),
    ("model calls", lambda facts: facts.model_calls),
)
"""What a limit may count, the usual one first."""


def add_step_walls(known: Partial) -> None:
    """
    Add a finding for every agent whose runs end at a wall.

    A wall is the largest length of all: at least five runs, most of them without an
    answer, and three times as many as at the lengths around. Runs that name their
    limit are findings already. Where most shorter runs give no answer either, giving
    none is how the agent ends, and nothing is added. Adding twice changes nothing.
    """
    by_agent: dict[str, list[TraceFacts]] = {}
    for facts in known.traces.values():
        if not facts.is_open:
            by_agent.setdefault(facts.agent, []).append(facts)
    for agent, runs in by_agent.items():
        told = _told(known, agent)
        for unit, length_of in _MEASURES:
            stopped = [row for row in _at_wall(runs, length_of) if row.trace_id not in told]
            if len(stopped) >= _MIN_TRACES:
                _add(known, agent, f"{length_of(stopped[0])} {unit}", stopped)
                break


def _told(known: Partial, agent: str) -> set[str]:
    """Traces that say themselves that a limit ended them."""
    return {
        trace_id
        for key, group in known.groups.items()
        if key.rule == BUDGET_EXHAUSTED and key.agent == agent and key.error_type != WALL
        for trace_id in group.hits
    }


def _at_wall(runs: list[TraceFacts], length_of: Callable[[TraceFacts], int]) -> list[TraceFacts]:
    """The unanswered runs of the largest length, where that is a wall; else none."""
    counts = Counter(map(length_of, runs))
    longest = max(counts)
    around = max(counts[longest - away] for away in range(1, _NEIGHBOURS + 1))
    if longest < _MIN_LENGTH or counts[longest] < _TIMES_NEIGHBOURS * around:
        return []
    at_wall = [row for row in runs if length_of(row) == longest]
    shorter = [row for row in runs if length_of(row) < longest]
    if not shorter or _unanswered(shorter) > _MOST or _unanswered(at_wall) <= _MOST:
        return []
    return [row for row in at_wall if row.stopped_at]


def _unanswered(runs: Iterable[TraceFacts]) -> float:
    stopped = [bool(row.stopped_at) for row in runs]
    return sum(stopped) / len(stopped)


def _add(known: Partial, agent: str, length: str, stopped: list[TraceFacts]) -> None:
    key = FindingKey(BUDGET_EXHAUSTED, agent, "", WALL, length)
    cases = sorted(
        Case(-1, row.steps, row.trace_id, (Quote(row.stopped_at, "symptom", "", 0, 0, ""),))
        for row in stopped
    )
    hits = {
        row.trace_id: Hit(
            roles=(SpanRole(row.stopped_at, "symptom", row.steps - 1),),
            occurrences=1,
            spans=1,
            is_recovered=False,
            wasted=(),
            certainty="candidate",
            is_weak=False,
        )
        for row in sorted(stopped)
    }
    known.groups[key] = Group(hits, unrecovered=cases[:MAX_CASES])
    known.eligible.setdefault(population_of(key), set()).update(hits)
