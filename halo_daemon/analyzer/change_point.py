"""
When a rate changed, where no version says so.

The days are cut in two where the two halves differ most (binomial likelihood); the
p-value is the share of shuffled orders of the same days that can be cut as well. A
fixed seed makes it the same number each time.
"""

import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from halo_daemon.findings import DayCount

MIN_DAYS = 8
MIN_AFFECTED = 8
"""Days, and affected traces over all of them, below which no change is looked for."""

_SEED = 1
_MIN_SIDE = 2
_MOST_SHUFFLES = 4_999
# Once so many orders did as well, more of them would not make the change likelier.
_ENOUGH = 20


class Cut(NamedTuple):
    """Where a series of days changes most."""

    at: str
    """The first day of the second half."""
    before: float
    after: float
    p: float


def change_point(days: Iterable[DayCount]) -> Cut | None:
    """The likeliest change of the daily rate; None for too few days or affected traces."""
    rows = sorted(day for day in days if day.eligible)
    affected = sum(day.affected for day in rows)
    if len(rows) < MIN_DAYS or affected < MIN_AFFECTED:
        return None
    observed, place = _best(rows)
    if observed <= 0:
        return None
    return Cut(rows[place].at, _rate(rows[:place]), _rate(rows[place:]), _p_value(rows, observed))


def _rate(rows: Sequence[DayCount]) -> float:
    return sum(row.affected for row in rows) / sum(row.eligible for row in rows)


def _p_value(rows: Sequence[DayCount], observed: float) -> float:
    draw, order = Random(_SEED), list(rows)  # noqa: S311 -- a test, not a secret
    as_good = 0
    for shuffles in range(1, _MOST_SHUFFLES + 1):
        draw.shuffle(order)
        as_good += _best(order)[0] >= observed - 1e-9
        if as_good == _ENOUGH:
            return as_good / shuffles
    return (as_good + 1) / (_MOST_SHUFFLES + 1)


def _best(rows: Sequence[DayCount]) -> tuple[float, int]:
    """Twice the gain in log-likelihood of the best cut, and its place."""
    affected = sum(row.affected for row in rows)
    eligible = sum(row.eligible for row in rows)
    whole = _log_likelihood(affected, eligible)
    best, place = 0.0, _MIN_SIDE
    hits = units = 0
    for at, row in enumerate(rows[:-_MIN_SIDE], start=1):
        hits, units = hits + row.affected, units + row.eligible
        if at < _MIN_SIDE:
            continue
        halves = _log_likelihood(hits, units)
        halves += _log_likelihood(affected - hits, eligible - units)
        gain = 2 * (halves - whole)
        if gain > best:
            best, place = gain, at
    return best, place


def _log_likelihood(hits: int, units: int) -> float:
    if hits in {0, units}:
        return 0.0
    return hits * math.log(hits / units) + (units - hits) * math.log(1 - hits / units)
