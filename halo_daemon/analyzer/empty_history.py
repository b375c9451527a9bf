"""
Empty results against a tool's own history.

That a look-up found nothing says little by itself. A tool that mostly finds nothing is
made so; one that usually finds something and no longer does has broken. No run shows
which of the two it is: it is told when all traces are known, from counts only.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.partial import MAX_CASES, Group, Partial, best
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.rules.retrieval import EMPTY_RESULT
from halo_daemon.analyzer.stats import newcombe
from halo_daemon.findings import InventoryItem

EMPTY_KIND = "empty result"
"""Kind of the inventory's rows that say in how many traces a tool found nothing."""

_USUAL = 0.5
_MIN_USUAL_TRACES = 5
_MIN_RISEN_TRACES = 5
_MIN_BEFORE_TRACES = 10
_RISEN_RATIO = 1.5


class _Counts(NamedTuple):
    empty: int
    used: int


def settle_empty_results(
    known: Partial, before: Iterable[InventoryItem], open_ids: Collection[str]
) -> None:
    """
    Let empty results count by what is usual for their tool.

    Where the share of traces is well above that of the window *before* (its inventory),
    they are lasting failures. Where a tool finds nothing in most traces, and nothing is
    known of better times, they are weak signals. A finding in *open_ids* was not usual
    once and stays one until it is gone. Settling twice changes nothing.
    """
    earlier = _earlier(before)
    for key, group in known.groups.items():
        if key.rule != EMPTY_RESULT:
            continue
        now = _Counts(len(group.hits), len(known.eligible[population_of(key)]))
        is_usual = now.used >= _MIN_USUAL_TRACES and now.empty >= _USUAL * now.used
        is_open = finding_id(key) in open_ids
        if _has_risen(now, earlier.get((key.agent, key.subject))) or (is_usual and is_open):
            _let_last(group)
        elif is_usual:
            _weaken(group)


def _earlier(before: Iterable[InventoryItem]) -> dict[tuple[str, str], _Counts]:
    empty: dict[tuple[str, str], int] = {}
    used: dict[tuple[str, str], int] = {}
    for item in before:
        if item.kind == EMPTY_KIND:
            empty[item.agent, item.name] = item.traces
        elif item.kind == "tool":
            used[item.agent, item.name] = item.traces
    return {tool: _Counts(empty.get(tool, 0), traces) for tool, traces in used.items()}


def _has_risen(now: _Counts, before: _Counts | None) -> bool:
    if before is None or before.used < _MIN_BEFORE_TRACES or now.empty < _MIN_RISEN_TRACES:
        return False
    low = newcombe(now.empty, now.used, min(before.empty, before.used), before.used).low
    return low > 0 and now.empty * before.used >= _RISEN_RATIO * before.empty * now.used


def _let_last(group: Group) -> None:
    for trace_id, hit in group.hits.items():
        group.hits[trace_id] = hit._replace(is_weak=False, is_recovered=False)
    group.unrecovered = best([*group.unrecovered, *group.recovered], MAX_CASES)
    group.recovered = []


def _weaken(group: Group) -> None:
    for trace_id, hit in group.hits.items():
        group.hits[trace_id] = hit._replace(is_weak=True)


def empty_counts(known: Partial) -> dict[FindingKey, frozenset[str]]:
    """Traces in which a tool found nothing, by the finding's key."""
    return {
        key: frozenset(group.hits)
        for key, group in known.groups.items()
        if key.rule == EMPTY_RESULT
    }
