"""What is different: between two windows, and between two releases within one."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from halo_daemon.analyzer.contract_drift import definitions_of
from halo_daemon.analyzer.features import Feature
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.stats import Table, fisher_exact, newcombe
from halo_daemon.findings import Finding, InventoryItem, ReleaseDiff, Report, WhatChanged
from halo_daemon.proto.times import format_unix_ns

MAX_INVENTORY = 500
_KINDS = frozenset({"agent", "model", "prompt", "service.version", "tool", "tool list"})
SPAN_NAME = "span name"
MAX_SPAN_NAMES = 100
_WORSE = frozenset({"new", "regressed", "reopened"})
_MAX_BESIDE = 5
_MIN_TRACES = 3
_MIN_RELEASE_TRACES = 10
_UNLIKELY = 0.05
_DIGITS = 6


def inventory_of(known: Partial) -> tuple[InventoryItem, ...]:
    """What the traces used, by kind, the most used first, then by name."""
    counted: dict[Feature, list[int]] = {}
    for facts in known.traces.values():
        for feature in facts.features:
            if feature.kind in _KINDS:
                row = counted.setdefault(feature, [0, facts.start_unix_ns])
                row[0] += 1
                row[1] = min(row[1], facts.start_unix_ns)
    ranked = sorted(counted.items(), key=lambda item: (item[0].kind, -item[1][0], item[0]))
    ranked += _span_names(known)
    ranked += sorted(_definitions(known))
    return tuple(
        InventoryItem(
            kind=feature.kind,
            agent=feature.agent,
            name=feature.name,
            traces=traces,
            first_seen=format_unix_ns(start),
        )
        for feature, (traces, start) in ranked[:MAX_INVENTORY]
    )


def _span_names(known: Partial) -> list[tuple[Feature, list[int]]]:
    """Names of spans that are no tools, the most frequent first; at most a hundred."""
    tools = {
        (feature.agent, feature.name)
        for facts in known.traces.values()
        for feature in facts.features
        if feature.kind == "tool"
    }
    rows = [
        (
            Feature(SPAN_NAME, population.agent, population.name),
            [len(traces), min(known.traces[trace_id].start_unix_ns for trace_id in traces)],
        )
        for population, traces in known.eligible.items()
        if population.unit == "span" and (population.agent, population.name) not in tools
    ]
    return sorted(rows, key=lambda row: (-row[1][0], row[0]))[:MAX_SPAN_NAMES]


def _definitions(known: Partial) -> Iterator[tuple[Feature, list[int]]]:
    for feature, traces in definitions_of(known):
        yield feature, [len(traces), min(traces.values())]


def changes_since(
    previous: Report | None, inventory: tuple[InventoryItem, ...], traces: int
) -> tuple[WhatChanged, ...]:
    """
    What came and went since the previous report.

    New and gone is what at least three traces of one window use, and what so many traces
    of the other without it make unlikely, had nothing changed. Nothing is said where an
    inventory was cut short.
    """
    if previous is None or not previous.dataset.inventory:
        return ()
    if MAX_INVENTORY in {len(inventory), len(previous.dataset.inventory)}:
        return ()
    kinds = _KINDS | _names_compared(previous.dataset.inventory, inventory)
    before = {_identity(item): item for item in previous.dataset.inventory if item.kind in kinds}
    now = {_identity(item): item for item in inventory if item.kind in kinds}
    new = [
        _changed("new", item)
        for identity, item in sorted(now.items())
        if identity not in before and _is_missed(item.traces, traces, previous.dataset.traces)
    ]
    gone = [
        _changed("gone", item)
        for identity, item in sorted(before.items())
        if identity not in now and _is_missed(item.traces, previous.dataset.traces, traces)
    ]
    return (*new, *gone)


def changes_beside(report: Report, finding: Finding) -> tuple[WhatChanged, ...]:
    """
    What came and went of a finding's own agent, where the finding got worse; at most five.

    Beside it, not behind it: both began in this window, and that is all that is known.
    """
    if finding.state not in _WORSE:
        return ()
    parts = finding.fingerprint.parts
    agent = parts[1] if len(parts) > 1 else ""
    rows = [row for row in report.what_changed if row.agent in {"", agent}]
    return tuple(rows[:_MAX_BESIDE])


def _names_compared(*inventories: tuple[InventoryItem, ...]) -> frozenset[str]:
    """Names of spans, where both windows tell them, and tell all of them."""
    counts = [sum(item.kind == SPAN_NAME for item in inventory) for inventory in inventories]
    return frozenset({SPAN_NAME}) if all(0 < n < MAX_SPAN_NAMES for n in counts) else frozenset()


def _identity(item: InventoryItem) -> tuple[str, str, str]:
    return item.kind, item.agent, item.name


def _changed(change: Literal["new", "gone"], item: InventoryItem) -> WhatChanged:
    return WhatChanged(
        change=change,
        kind=item.kind,
        agent=item.agent,
        name=item.name,
        traces=item.traces,
        first_seen=item.first_seen if change == "new" else None,
    )


def _is_missed(used: int, among: int, others: int) -> bool:
    """Whether what *used* of *among* traces use could hardly be missing in *others* by chance."""
    share = min(1.0, used / among) if among else 0.0
    return used >= _MIN_TRACES and others > 0 and (1 - share) ** others < _UNLIKELY


class ReleaseTest(NamedTuple):
    """One finding's rate in two releases."""

    finding_id: str
    older: str
    newer: str
    diff: float
    ci95: tuple[float, float]
    p: float


def release_tests(
    known: Partial, affected: Mapping[str, frozenset[str]], eligible: Mapping[str, frozenset[str]]
) -> list[ReleaseTest]:
    """
    Compare the two releases with the most traces, the one that began first as the older.

    Empty with fewer than two releases of ten traces each. By finding id.
    """
    releases = _releases(known)
    if len(releases) < 2:  # noqa: PLR2004 -- a comparison has two sides
        return []
    (older, before), (newer, after) = releases
    return list(_release_tests(affected, eligible, (older, before), (newer, after)))


def _release_tests(
    affected: Mapping[str, frozenset[str]],
    eligible: Mapping[str, frozenset[str]],
    older: tuple[str, frozenset[str]],
    newer: tuple[str, frozenset[str]],
) -> Iterator[ReleaseTest]:
    for identity in sorted(affected):
        hits, could = affected[identity], eligible[identity]
        old_hits, old_could = len(hits & older[1]), len(could & older[1])
        new_hits, new_could = len(hits & newer[1]), len(could & newer[1])
        if min(old_could, new_could) < _MIN_RELEASE_TRACES:
            continue
        interval = newcombe(new_hits, new_could, old_hits, old_could)
        table = Table(new_hits, new_could - new_hits, old_hits, old_could - old_hits)
        diff = new_hits / new_could - old_hits / old_could
        yield ReleaseTest(identity, older[0], newer[0], diff, interval, fisher_exact(table))


def _releases(known: Partial) -> list[tuple[str, frozenset[str]]]:
    by_version: dict[str, set[str]] = {}
    for facts in known.traces.values():
        if facts.service_version:
            by_version.setdefault(facts.service_version, set()).add(facts.trace_id)
    large = [
        (version, frozenset(traces))
        for version, traces in by_version.items()
        if len(traces) >= _MIN_RELEASE_TRACES
    ]
    top = sorted(large, key=lambda row: (-len(row[1]), row[0]))[:2]
    return sorted(top, key=lambda row: (_began(known, row[1]), row[0]))


def _began(known: Partial, traces: frozenset[str]) -> int:
    return min(known.traces[trace_id].start_unix_ns for trace_id in traces)


def release_rows(
    tests: list[ReleaseTest], q_values: list[float], *, fdr_q: float
) -> tuple[ReleaseDiff, ...]:
    """The differences that are discoveries among all tests of the report."""
    return tuple(
        ReleaseDiff(
            dimension="service.version",
            from_=test.older,
            to=test.newer,
            metric=f"rate:{test.finding_id}",
            diff=round(test.diff, _DIGITS),
            ci95=(round(test.ci95[0], _DIGITS), round(test.ci95[1], _DIGITS)),
            q=round(q, _DIGITS),
        )
        for test, q in zip(tests, q_values, strict=True)
        if q <= fdr_q
    )
