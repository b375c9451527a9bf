"""
Intervals and tests, in plain Python, deterministic.

All take counts of traces (or of groups of traces), never of spans. Functions
that have no answer for degenerate input say what they return instead.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Z95 = 1.959963984540054


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Table(NamedTuple):
    """
    A two by two table of one stratum.

    Rows are with and without the feature, columns failed and not failed.
    """

    with_failed: int
    with_ok: int
    without_failed: int
    without_ok: int

    @property
    def total(self) -> int:
        """All traces of the stratum."""
        return sum(self)


class Odds(NamedTuple):
    """A common odds ratio with its interval and its two-sided p-value."""

    ratio: float
    ci95: Interval
    p: float


def wilson(affected: int, eligible: int) -> Interval:
    """Interval of a rate by Wilson's score; from 0 to 1 when nothing was eligible."""
    return wilson_rate(affected / eligible, eligible) if eligible > 0 else Interval(0.0, 1.0)


def wilson_rate(rate: float, eligible: float) -> Interval:
    """
    Interval of *rate*, where *eligible* may be a fraction: traces divided by a design effect.

    From 0 to 1 when nothing was eligible.
    """
    if eligible <= 0:
        return Interval(0.0, 1.0)
    spread = Z95**2 / eligible
    centre = (rate + spread / 2) / (1 + spread)
    half = Z95 * math.sqrt(rate * (1 - rate) / eligible + spread / (4 * eligible)) / (1 + spread)
    low = 0.0 if rate <= 0 else max(0.0, centre - half)
    high = 1.0 if rate >= 1 else min(1.0, centre + half)
    return Interval(low, high)


def newcombe(affected: int, eligible: int, before_affected: int, before_eligible: int) -> Interval:
    """
    Interval of the difference of two rates, the first minus the second, by Newcombe.

    Made from the two Wilson intervals;
    from -1 to 1 when either side had nothing eligible.
    """
    if eligible <= 0 or before_eligible <= 0:
        return Interval(-1.0, 1.0)
    now, then = affected / eligible, before_affected / before_eligible
    now_ci, then_ci = wilson(affected, eligible), wilson(before_affected, before_eligible)
    below = math.hypot(now - now_ci.low, then_ci.high - then)
    above = math.hypot(now_ci.high - now, then - then_ci.low)
    return Interval(max(-1.0, now - then - below), min(1.0, now - then + above))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def fisher_exact(table: Table) -> float:
    """
    Two-sided p-value of Fisher's exact test.

    1 for an empty table and for one with an empty margin.
    """
    row = table.with_failed + table.with_ok
    column = table.with_failed + table.without_failed
    total = table.total
    whole = _log_choose(total, row)

    def log_p(cell: int) -> float:
        return _log_choose(column, cell) + _log_choose(total - column, row - cell) - whole

    observed = log_p(table.with_failed)
    cells = range(max(0, row + column - total), min(row, column) + 1)
    tail = math.fsum(math.exp(p) for cell in cells if (p := log_p(cell)) <= observed + 1e-7)
    return min(1.0, tail)


def _odds_of_one(table: Table) -> Odds:
    a, b, c, d = (cell + 0.5 for cell in table) if 0 in table else table
    log_ratio = math.log(a * d / (b * c))
    half = Z95 * math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    interval = Interval(math.exp(log_ratio - half), math.exp(log_ratio + half))
    return Odds(math.exp(log_ratio), interval, fisher_exact(table))


def mantel_haenszel(strata: Iterable[Table]) -> Odds | None:
    """
    Odds of failing with the feature against without it, alike traces compared with alike.

    Strata without both rows or without both columns say nothing and are left out.
    One informative stratum is tested exactly (Fisher); several by the chi-square
    with continuity correction, their interval is that of Robins, Breslow and Greenland.
    None when no stratum is informative.
    """
    informative = [table for table in strata if _is_informative(table)]
    if not informative:
        return None
    if len(informative) == 1:
        return _odds_of_one(informative[0])
    p = _mantel_haenszel_p(informative)
    if not _has_finite_ratio(informative):
        pooled = Table(*(sum(column) for column in zip(*informative, strict=True)))
        return _odds_of_one(pooled)._replace(p=p)
    return _pooled_odds(informative, p)


def _is_informative(table: Table) -> bool:
    a, b, c, d = table
    return min(a + b, c + d, a + c, b + d) > 0


def _has_finite_ratio(strata: Sequence[Table]) -> bool:
    return any(t.with_failed * t.without_ok for t in strata) and any(
        t.with_ok * t.without_failed for t in strata
    )


def _mantel_haenszel_p(strata: Sequence[Table]) -> float:
    observed = expected = variance = 0.0
    for table in strata:
        a, b, c, d = table
        n = table.total
        observed += a
        expected += (a + b) * (a + c) / n
        variance += (a + b) * (c + d) * (a + c) * (b + d) / (n * n * (n - 1))
    chi_square = max(0.0, abs(observed - expected) - 0.5) ** 2 / variance
    return math.erfc(math.sqrt(chi_square / 2))


def _pooled_odds(strata: Sequence[Table], p: float) -> Odds:
    r_sum = s_sum = pr = ps_qr = qs = 0.0
    for table in strata:
        a, b, c, d = table
        n = table.total
        agree, differ = (a + d) / n, (b + c) / n
        r, s = a * d / n, b * c / n
        r_sum, s_sum = r_sum + r, s_sum + s
        pr += agree * r
        ps_qr += agree * s + differ * r
        qs += differ * s
    variance = pr / (2 * r_sum**2) + ps_qr / (2 * r_sum * s_sum) + qs / (2 * s_sum**2)
    log_ratio, half = math.log(r_sum / s_sum), Z95 * math.sqrt(variance)
    interval = Interval(math.exp(log_ratio - half), math.exp(log_ratio + half))
    return Odds(r_sum / s_sum, interval, p)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """
    Adjust p-values for the number of tests; in the order given.

    The result for each is the smallest false-discovery rate at which it counts as
    a discovery. Empty for no tests.
    """
    order = sorted(range(len(p_values)), key=lambda at: p_values[at], reverse=True)
    adjusted = [1.0] * len(p_values)
    smallest = 1.0
    for place, at in enumerate(order):
        rank = len(p_values) - place
        smallest = min(smallest, p_values[at] * len(p_values) / rank)
        adjusted[at] = smallest
    return adjusted


def median(values: Sequence[float]) -> float:
    """
    Middle value, the mean of the two middle ones for an even number.

    Raises:
        ValueError: *values* is empty.
    """
    if not values:
        raise ValueError("no median of no values")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def percentile(values: Sequence[float], share: float) -> float:
    """
    Smallest value with at least *share* (0 to 1) of all values at or below it.

    Raises:
        ValueError: *values* is empty.
    """
    if not values:
        raise ValueError("no percentile of no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def design_effect(cluster_hits: Sequence[tuple[int, int]]) -> float:
    """
    By how much clustering shrinks the information in a rate; at least 1.

    Args:
        cluster_hits: (affected, eligible) traces of each session or task.

    Returns:
        1 + (mean size - 1) x ICC, with the intra-class correlation of the
        one-way analysis of variance and the mean size weighted by size.
        1 when no cluster holds two traces.
    """
    clusters = [(hits, size) for hits, size in cluster_hits if size > 0]
    total = sum(size for _, size in clusters)
    if total <= len(clusters) or len(clusters) < 2:  # noqa: PLR2004 -- one cluster has no "between"
        return 1.0
    rate = sum(hits for hits, _ in clusters) / total
    between = sum(size * (hits / size - rate) ** 2 for hits, size in clusters)
    within = sum(hits * (size - hits) / size for hits, size in clusters)
    mean_between = between / (len(clusters) - 1)
    mean_within = within / (total - len(clusters))
    squares = sum(size * size for _, size in clusters)
    typical = (total - squares / total) / (len(clusters) - 1)
    spread = mean_between + (typical - 1) * mean_within
    if spread <= 0:
        return 1.0
    icc = max(0.0, (mean_between - mean_within) / spread)
    return 1.0 + (squares / total - 1) * icc
