"""
What failed traces have that others do not, tested, never claimed as a cause.

Rule 1: compared are traces of like length (thirds of the window) and, where tasks
come back, of one task: longer and harder runs fail more, whatever they use.

Rule 2: every test of a report, of findings and of features, goes into one
correction for their number.

Rule 3: a feature that marks nearly the same traces as a better one says nothing new, nor
does what runs did where nearly all of them have a finding that goes with failure. Two
features together say something only where each makes runs with the other fail more.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from halo_daemon.analyzer.features import ATTRIBUTES, Feature, both_of
from halo_daemon.analyzer.outcome import Outcome
from halo_daemon.analyzer.partial import Partial, TraceFacts
from halo_daemon.analyzer.stats import (
    Odds,
    Table,
    benjamini_hochberg,
    fisher_exact,
    mantel_haenszel,
)
from halo_daemon.findings import Association

MIN_TRACES = 5
"""Traces with and without a feature, and failed and not failed ones, below which nothing is tested."""

_MAX_TESTED_FEATURES = 500
_MAX_TESTED_PAIRS = 100
_SAME_TRACES = 0.8
_UNLIKELY = 0.05
_DIGITS = 6
_REPEATED_SHARE = 0.5


class Contrast(NamedTuple):
    """A feature that goes with failure."""

    feature: Feature
    traces: frozenset[str]
    association: Association


class Contrasts(NamedTuple):
    """All tests of one report."""

    findings: dict[str, Association]
    """By finding id; only what could be tested."""
    features: list[Contrast]
    """Discoveries alone, the surest first."""
    tests: int
    discoveries: int
    further_q: list[float]
    """Adjusted p-values of the caller's own tests, in their order."""


class _Marked(NamedTuple):
    """A feature, or two together, and the traces that have it."""

    feature: Feature
    traces: frozenset[str]
    parts: tuple[frozenset[str], ...] = ()
    """Of two together: the traces of each."""


class _Test(NamedTuple):
    finding_id: str
    feature: Feature | None
    traces: frozenset[str]
    odds: Odds
    parts: tuple[frozenset[str], ...] = ()


def contrast(
    known: Partial,
    affected: Mapping[str, frozenset[str]],
    outcomes: Mapping[str, Outcome],
    *,
    fdr_q: float,
    further_p: Sequence[float] = (),
) -> Contrasts:
    """
    Test findings and features against the outcome.

    Args:
        known: The examined traces.

        affected: Traces of every finding, by its id.

        outcomes: What became of the traces, by id; unknown ones are left out.

        fdr_q: Share of false discoveries allowed.

        further_p: P-values of other tests of the same report, corrected together with these.

    Returns:
        No associations at all where fewer than five traces failed or fewer than five did not.
    """
    failed = {t: o.verdict == "failed" for t, o in outcomes.items() if o.verdict != "unknown"}
    facts = [known.traces[trace_id] for trace_id in sorted(failed) if trace_id in known.traces]
    failures = sum(failed[row.trace_id] for row in facts)
    if min(failures, len(facts) - failures) < MIN_TRACES:
        facts = []
    strata, adjusted_for = _strata(facts)
    tests = list(_tests(affected, facts, strata, failed)) if facts else []
    q_values = benjamini_hochberg([*(test.odds.p for test in tests), *further_p])
    further_q = q_values[len(tests) :]
    rows = [
        (test, _association(test.odds, q, adjusted_for, fdr_q=fdr_q))
        for test, q in zip(tests, q_values, strict=False)
    ]
    found = [(t, a) for t, a in rows if a.q <= fdr_q]
    return Contrasts(
        findings={test.finding_id: row for test, row in rows if test.finding_id},
        features=_distinct(found, failed),
        tests=len(tests) + len(further_q),
        discoveries=len(found) + sum(q <= fdr_q for q in further_q),
        further_q=further_q,
    )


def _strata(facts: list[TraceFacts]) -> tuple[dict[str, tuple[int, str]], tuple[str, ...]]:
    if not facts:
        return {}, ()
    lengths = sorted(row.steps for row in facts)
    cuts = [lengths[len(lengths) // 3], lengths[2 * len(lengths) // 3]]
    tasks: dict[str, int] = {}
    for row in facts:
        tasks[row.task] = tasks.get(row.task, 0) + 1
    repeated = sum(n for task, n in tasks.items() if task and n > 1)
    by_task = repeated >= _REPEATED_SHARE * len(facts)
    strata = {
        row.trace_id: (bisect_right(cuts, row.steps), row.task if by_task else "") for row in facts
    }
    return strata, ("length", "task") if by_task else ("length",)


def _tests(
    affected: Mapping[str, frozenset[str]],
    facts: list[TraceFacts],
    strata: Mapping[str, tuple[int, str]],
    failed: Mapping[str, bool],
) -> Iterable[_Test]:
    for identity in sorted(affected):
        odds = _odds(affected[identity], strata, failed)
        if odds:
            yield _Test(identity, None, affected[identity], odds)
    for marked in _features(facts):
        odds = _odds(marked.traces, strata, failed)
        if odds:
            yield _Test("", marked.feature, marked.traces, odds, marked.parts)


def _features(facts: list[TraceFacts]) -> list[_Marked]:
    """Features that some traces have and some do not, the most common first, bounded."""
    found: dict[Feature, set[str]] = {}
    for row in facts:
        for feature in row.features:
            found.setdefault(feature, set()).add(row.trace_id)
    usable = [
        _Marked(feature, frozenset(traces))
        for feature, traces in found.items()
        if MIN_TRACES <= len(traces) <= len(facts) - MIN_TRACES
    ]
    usable.sort(key=lambda row: (-len(row.traces), row.feature))
    usable = usable[:_MAX_TESTED_FEATURES]
    return [*usable, *islice(_pairs(usable, len(facts)), _MAX_TESTED_PAIRS)]


def _pairs(usable: list[_Marked], traces: int) -> Iterator[_Marked]:
    """
    What a run was given, with what else it was given or which tool it used; two at most.

    Only pairs that mark other traces than each part does: the model alone and the tool
    alone are tested as they are.
    """
    given = [row for row in usable if row.feature.kind in ATTRIBUTES]
    partners = [row for row in usable if row.feature.kind in {*ATTRIBUTES, "tool"}]
    for left in given[:_MAX_TESTED_PAIRS]:
        for right in partners[:_MAX_TESTED_PAIRS]:
            parts = left.traces, right.traces
            both = left.traces & right.traces
            is_new = MIN_TRACES <= len(both) <= traces - MIN_TRACES
            is_new = is_new and left.feature.kind < right.feature.kind
            if is_new and len(both) < _SAME_TRACES * min(map(len, parts)):
                yield _Marked(both_of(left.feature, right.feature), both, parts)


def _adds(test: _Test, failed: Mapping[str, bool]) -> bool:
    """Whether runs with both of two features fail more than those with one of them alone."""
    return all(_fails_more(test.traces, part - test.traces, failed) for part in test.parts)


def _fails_more(ours: frozenset[str], others: frozenset[str], failed: Mapping[str, bool]) -> bool:
    bad, worse = sum(failed[trace_id] for trace_id in ours), sum(failed[t] for t in others)
    table = Table(bad, len(ours) - bad, worse, len(others) - worse)
    is_higher = bad * len(others) > worse * len(ours)
    return is_higher and fisher_exact(table) < _UNLIKELY


def _odds(
    traces: frozenset[str],
    strata: Mapping[str, tuple[int, str]],
    failed: Mapping[str, bool],
) -> Odds | None:
    cells: dict[tuple[int, str], list[int]] = {}
    with_it = 0
    for trace_id, stratum in strata.items():
        has = trace_id in traces
        with_it += has
        row = cells.setdefault(stratum, [0, 0, 0, 0])
        row[(0 if has else 2) + (0 if failed[trace_id] else 1)] += 1
    if min(with_it, len(strata) - with_it) < MIN_TRACES:
        return None
    return mantel_haenszel(Table(*row) for _, row in sorted(cells.items()))


def _association(
    odds: Odds, q: float, adjusted_for: tuple[str, ...], *, fdr_q: float
) -> Association:
    wording = "is not shown to go with"
    if q <= fdr_q and odds.ratio != 1:
        wording = "goes with" if odds.ratio > 1 else "is rarer in"
    return Association(
        wording=wording,
        odds_ratio=round(odds.ratio, _DIGITS),
        ci95=(round(odds.ci95.low, _DIGITS), round(odds.ci95.high, _DIGITS)),
        q=round(q, _DIGITS),
        adjusted_for=adjusted_for,
    )


def _distinct(found: list[tuple[_Test, Association]], failed: Mapping[str, bool]) -> list[Contrast]:
    """Discovered features that go with failure, without those that say nothing new."""
    ranked = sorted(
        found, key=lambda row: (row[0].feature is not None, row[1].q, row[0].feature or ())
    )
    kept: list[frozenset[str]] = []
    explained: list[frozenset[str]] = []
    contrasts = []
    for test, association in ranked:
        if any(_overlap(test.traces, other) >= _SAME_TRACES for other in kept):
            continue
        if not _adds(test, failed):
            continue
        kept.append(test.traces)
        if association.odds_ratio <= 1:
            continue
        if test.feature is None:
            explained.append(test.traces)
        elif test.feature.kind in ATTRIBUTES or not _is_within(test.traces, explained):
            contrasts.append(Contrast(test.feature, test.traces, association))
    return contrasts


def _is_within(traces: frozenset[str], explained: list[frozenset[str]]) -> bool:
    return any(len(traces & other) >= _SAME_TRACES * len(traces) for other in explained)


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)
