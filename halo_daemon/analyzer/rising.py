"""
Whether a finding is rising faster than its weekday and hour explain; counts alone, pure.

Occurrences are counted in half-hours by the start of their trace. A rise is an
episode: it begins when the last hour and the last six hours both exceed what is
expected, it ends when they no longer do or after three days. Whether one is under
way is worked out anew from the counts each time, so it does not depend on how
often or in which order reports were made of the same windows.
"""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate

from halo_daemon.analyzer.partial import Group, Partial
from halo_daemon.findings import Finding, History, WatchedWindow
from halo_daemon.proto.times import parse_unix_ns

Occurrences = tuple[tuple[int, int], ...]
"""Half-hours since the epoch that had any, and how many; in order."""

SLOT_NS = 1_800 * 10**9
_HOUR = 2
_SIX_HOURS = 6 * _HOUR
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY

_K = 3
_K_LESS_HISTORY = 1
"""Added to k while there are less than two weeks of history."""
_HOLD = 0.7
_MIN_COLD = 20
"""Occurrences that count as a rise where nothing is known of before."""
_MAX_EPISODE = 3 * _DAY
_WEEKS_COMPARED = 4
_DAYS_COMPARED = 13
_MIN_WEEKS = 2
# Longer ago than twice the longest episode nothing that is still under way has begun.
_REPLAYED = 2 * _MAX_EPISODE
KEPT_SLOTS = _WEEKS_COMPARED * _WEEK + _REPLAYED + _DAY
"""Half-hours that are looked at; older ones need not be kept."""


class Watch:
    """
    Counts of one finding up to a moment, and which half-hours were looked at.

    Args:
        windows: In any order. Of two that overlap the larger count of a half-hour
            holds, because both counted the same traces.

        end_unix_ns: The moment; the half-hour in which it lies is left out.
    """

    def __init__(self, windows: Iterable[WatchedWindow], end_unix_ns: int) -> None:
        self.end = end_unix_ns // SLOT_NS
        self._first = self.end - KEPT_SLOTS
        counts = [0] * KEPT_SLOTS
        seen = [0] * KEPT_SLOTS
        until = -1
        in_order = sorted(windows)
        for begin, end in _joined(in_order):
            low, high = -(-begin // SLOT_NS), end // SLOT_NS
            low, high = max(low, self._first), min(high, self.end)
            seen[max(0, low - self._first) : max(0, high - self._first)] = [1] * max(0, high - low)
        for window in in_order:
            overlaps = window.from_unix_ns < until
            until = max(until, window.to_unix_ns)
            for slot, occurrences in window.occurrences:
                place = slot - self._first
                if 0 <= place < KEPT_SLOTS:
                    known = counts[place]
                    counts[place] = max(known, occurrences) if overlaps else known + occurrences
        self._counts = [0, *accumulate(counts)]
        self._seen = [0, *accumulate(seen)]

    def occurrences(self, begin: int, end: int) -> int:
        """How many there were in half-hours *begin* up to *end*."""
        return self._between(self._counts, begin, end)

    def watched(self, begin: int, end: int) -> int:
        """How many of the half-hours *begin* up to *end* were looked at."""
        return self._between(self._seen, begin, end)

    def _between(self, sums: list[int], begin: int, end: int) -> int:
        low, high = max(0, begin - self._first), max(0, end - self._first)
        return sums[high] - sums[low]


def _joined(windows: Iterable[WatchedWindow]) -> list[tuple[int, int]]:
    """Stretches of time without a gap, in order."""
    stretches: list[tuple[int, int]] = []
    for window in windows:
        if stretches and window.from_unix_ns <= stretches[-1][1]:
            begin, end = stretches[-1]
            stretches[-1] = (begin, max(end, window.to_unix_ns))
        else:
            stretches.append((window.from_unix_ns, window.to_unix_ns))
    return stretches


def is_rising(watch: Watch, first_seen_unix_ns: int) -> bool:
    """
    Whether an episode is under way at the end of *watch*.

    None begins within seven days of *first_seen_unix_ns*: till then a finding is new,
    and nothing else.
    """
    earliest = -(-first_seen_unix_ns // SLOT_NS) + _WEEK
    began: int | None = None
    entry_day = low_slots = 0
    is_spent = False
    for now in range(max(watch.end - _REPLAYED, min(earliest, watch.end)), watch.end + 1):
        if began is None:
            exceeds = _exceeds(watch, now, 1.0)
            if exceeds and not is_spent and now >= earliest:
                began, entry_day, low_slots = now, watch.occurrences(now - _DAY, now), 0
            is_spent = is_spent and exceeds
            continue
        low_slots = 0 if _exceeds(watch, now, _HOLD) else low_slots + 1
        if low_slots > 1:  # now and half an hour ago
            began = None
        elif now - began >= _MAX_EPISODE or 2 * watch.occurrences(now - _DAY, now) < entry_day:
            # What goes on at the same level is no second episode.
            began, is_spent = None, True
    return began is not None


def _exceeds(watch: Watch, now: int, share: float) -> bool:
    """Whether the last hour and the last six exceed the expected by *share* of their k."""
    return all(
        _window_exceeds(watch, now, slots=slots, k=k, share=share)
        for slots, k in ((_HOUR, _K), (_SIX_HOURS, _K - 1))
    )


def _window_exceeds(watch: Watch, now: int, *, slots: int, k: int, share: float) -> bool:
    count = watch.occurrences(now - slots, now)
    if not count:
        return False
    samples = _samples(watch, now, slots)
    if not samples:
        return count >= share * _MIN_COLD
    history = watch.watched(now - slots - _WEEKS_COMPARED * _WEEK, now - slots)
    if history < _MIN_WEEKS * _WEEK - slots:
        k += _K_LESS_HISTORY
    expected = statistics.fmean(samples)
    sigma = max(statistics.pstdev(samples), math.sqrt(expected), 1.0)
    return count > expected + share * k * sigma


def _samples(watch: Watch, now: int, slots: int) -> list[int]:
    """Counts at this weekday and hour in earlier weeks; with fewer than two, on earlier days."""

    def at(lags: Iterable[int]) -> list[int]:
        begins = [now - lag - slots for lag in lags]
        return [
            watch.occurrences(begin, begin + slots)
            for begin in begins
            if watch.watched(begin, begin + slots) == slots
        ]

    weekly = at(week * _WEEK for week in range(1, _WEEKS_COMPARED + 1))
    if len(weekly) >= _MIN_WEEKS:
        return weekly
    return at(day * _DAY for day in range(1, _DAYS_COMPARED + 1))


def occurrences_by_id(known: Partial, groups: Mapping[str, Group]) -> dict[str, Occurrences]:
    """Occurrences of every finding by half-hour, in order; the last `KEPT_SLOTS` that had any."""
    found = {}
    for identity, group in groups.items():
        slots: Counter[int] = Counter()
        for trace_id, hit in group.hits.items():
            if not hit.is_weak:
                slots[known.traces[trace_id].start_unix_ns // SLOT_NS] += hit.occurrences
        found[identity] = tuple(sorted(slots.items()))[-KEPT_SLOTS:]
    return found


def with_rise(
    finding: Finding,
    history: History | None,
    window: WatchedWindow,
    now_unix_ns: int,
) -> Finding:
    """
    *finding*, escalating or not at the end of *window*, or *now_unix_ns* if that is earlier.

    *finding* has its first day already; *history* is that of the windows before.
    """
    if not window.occurrences or finding.first_seen is None:
        return finding
    windows = (*(history.windows if history else ()), window)
    watch = Watch(windows, min(window.to_unix_ns, now_unix_ns))
    rises = is_rising(watch, parse_unix_ns(finding.first_seen))
    return finding.model_copy(update={"escalating": rises}) if rises else finding
