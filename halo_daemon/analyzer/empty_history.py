"""
Empty results against a tool's own history.

That a look-up found nothing says little by itself. A tool that mostly finds nothing is
made so; one that usually finds something and no longer does has broken. No run shows
which of the two it is: it is told when all traces are known, from counts only, and held
against the four windows before.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from halo_daemon.analyzer.fingerprint import finding_id
from halo_daemon.analyzer.partial import MAX_CASES, Group, Partial, best
from halo_daemon.analyzer.populations import population_of
from halo_daemon.analyzer.rules.retrieval import EMPTY_RESULT, is_lookup
from halo_daemon.analyzer.stats import newcombe
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.findings import LookupWindow, Report, ToolLookups, WindowBlock

BASELINE_WINDOWS = 4
_MAX_TOOLS = 200
_USUAL = 0.5
_MIN_USUAL_TRACES = 5
_MIN_RISEN_TRACES = 5
_MIN_BEFORE_TRACES = 10
_RISEN_RATIO = 1.5


class _Counts(NamedTuple):
    empty: int
    used: int


def lookups_before(previous: Report | None, window: WindowBlock) -> tuple[LookupWindow, ...]:
    """The last four windows that *previous* knows of and that end before *window* begins."""
    known = previous.dataset.lookups if previous else ()
    return tuple(row for row in known if row.to <= window.from_)[-BASELINE_WINDOWS:]


def lookups_of(
    known: Partial, previous: Report | None, window: WindowBlock
) -> tuple[LookupWindow, ...]:
    """
    What later windows are held against: this one, and the last before it.

    A window that overlaps one of those would count its traces twice; then they stay.
    """
    earlier = previous.dataset.lookups if previous else ()
    if any(row.to > window.from_ and window.to > row.from_ for row in earlier):
        return earlier
    now = LookupWindow(from_=window.from_, to=window.to, tools=_tools_of(known))
    return tuple(sorted((*earlier, now), key=lambda row: row.from_))[-BASELINE_WINDOWS:]


def _tools_of(known: Partial) -> tuple[ToolLookups, ...]:
    empty = {
        Subject(key.agent, key.subject): len(group.hits)
        for key, group in known.groups.items()
        if key.rule == EMPTY_RESULT
    }
    tools = {
        Subject(feature.agent, feature.name)
        for facts in known.traces.values()
        for feature in facts.features
        if feature.kind == "tool" and is_lookup(feature.name)
    }
    rows = [
        ToolLookups(
            agent=used.agent,
            tool=used.name,
            traces=len(traces),
            empty=empty.get(Subject(used.agent, used.name), 0),
        )
        for used, traces in known.eligible.items()
        if used.unit == "span" and Subject(used.agent, used.name) in tools
    ]
    return tuple(sorted(rows, key=lambda row: (-row.traces, row.agent, row.tool))[:_MAX_TOOLS])


def settle_empty_results(
    known: Partial, before: Iterable[LookupWindow], open_ids: Collection[str]
) -> None:
    """
    Let empty results count by what is usual for their tool.

    Where the share of traces is well above that of the windows *before*, they are lasting
    failures. Where a tool finds nothing in most traces, and nothing is known of better
    times, they are weak signals. A finding in *open_ids* was not usual once and stays one
    until it is gone. Settling twice changes nothing.
    """
    earlier = _added_up(before)
    for key, group in known.groups.items():
        if key.rule != EMPTY_RESULT:
            continue
        now = _Counts(len(group.hits), len(known.eligible[population_of(key)]))
        is_usual = now.used >= _MIN_USUAL_TRACES and now.empty >= _USUAL * now.used
        is_open = finding_id(key) in open_ids
        if _has_risen(now, earlier.get(Subject(key.agent, key.subject))) or (is_usual and is_open):
            _let_last(group)
        elif is_usual:
            _weaken(group)


def _added_up(windows: Iterable[LookupWindow]) -> dict[Subject, _Counts]:
    found: dict[Subject, _Counts] = {}
    for window in windows:
        for row in window.tools:
            tool = Subject(row.agent, row.tool)
            empty, used = found.get(tool, _Counts(0, 0))
            found[tool] = _Counts(empty + row.empty, used + row.traces)
    return found


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
