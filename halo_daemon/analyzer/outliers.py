"""
Steps that take far longer, cost far more or weigh far more than their like.

Compared are steps of one agent, name and model, the longest pause of each run, and how
long runs of one agent take. Values are kept as a histogram of their logarithms and the few largest
ones, so that memory does not grow with spans and partial results add up in any order.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from halo_daemon.analyzer.trace_view import STEP_KINDS, Subject, TraceView
from halo_daemon.proto.span import Span

MAX_LARGEST = 50
MIN_STEPS = 20
_BUCKETS_PER_E = 20
_Z = 3.5
_MAD_TO_SIGMA = 0.6745
_WITHOUT_SPREAD = 3.0
_NS_PER_MS = 1_000_000

IDLE = "idle"
SLOW_RUN = "slow_run"
OF_RUNS = frozenset({IDLE, SLOW_RUN})
"""Rules that compare runs; the others compare steps."""

FLOORS: dict[str, float] = {
    "costly": 0.05,
    "heavy": 10_000.0,
    IDLE: 5_000.0,
    "slow": 5_000.0,
    SLOW_RUN: 10_000.0,
}
"""Smallest value worth a word: milliseconds, dollars, tokens."""


class Measure(NamedTuple):
    """What is compared with what."""

    rule: str
    """``slow``, ``costly``, ``heavy``, ``idle`` or ``slow_run``."""
    agent: str
    name: str
    model: str


class Large(NamedTuple):
    """One of the largest values; the least of these tuples is the largest value."""

    negative_value: float
    trace_id: str
    span_id: str


@dataclass(slots=True)
class Spread:
    """The values of one measure."""

    buckets: Counter[int] = field(default_factory=Counter)
    largest: list[Large] = field(default_factory=list)

    def add(self, value: float, trace_id: str, span_id: str) -> None:
        """Count one value above zero."""
        self.buckets[math.floor(math.log(value) * _BUCKETS_PER_E)] += 1
        if len(self.largest) < MAX_LARGEST or -value < self.largest[-1].negative_value:
            self.absorb_largest([Large(-value, trace_id, span_id)])

    def absorb(self, other: "Spread") -> None:
        """Add the values of *other*."""
        self.buckets.update(other.buckets)
        self.absorb_largest(other.largest)

    def absorb_largest(self, rows: list[Large]) -> None:
        """Keep the largest of both."""
        self.largest = sorted([*self.largest, *rows])[:MAX_LARGEST]

    def threshold(self, floor: float) -> float | None:
        """The value from which a step stands out; None with fewer than twenty values."""
        count = self.buckets.total()
        if count < MIN_STEPS:
            return None
        middle = _middle(sorted(self.buckets.items()), count)
        away = Counter[int]()
        for bucket, values in self.buckets.items():
            away[abs(bucket - middle)] += values
        spread = _middle(sorted(away.items()), count)
        # Without any spread a third of one bucket would stand out.
        reach = (
            _Z * spread / _MAD_TO_SIGMA / _BUCKETS_PER_E if spread else math.log(_WITHOUT_SPREAD)
        )
        return max(floor, math.exp((middle + 1) / _BUCKETS_PER_E + reach))


def _middle(rows: list[tuple[int, int]], count: int) -> int:
    seen = 0
    for bucket, values in rows:
        seen += values
        if seen * 2 >= count:
            return bucket
    return rows[-1][0]


def measured(view: TraceView) -> Iterator[tuple[Measure, float, str]]:
    """Every value of the trace and of its steps, with its measure and its span."""
    alike: dict[tuple[Subject, str], tuple[Measure, Measure, Measure]] = {}
    for span, used in zip(view.trace.spans, view.used, strict=True):
        if span.observation_kind not in STEP_KINDS:
            continue
        like = view.subject_of(span), span.model
        measures = alike.get(like)
        if measures is None:
            measures = alike[like] = _measures(*like)
        duration_ms = span.duration_ns / _NS_PER_MS
        if duration_ms > 0:
            yield measures[0], duration_ms, span.span_id
        if used.usd:
            yield measures[1], used.usd, span.span_id
        tokens = used.input_tokens + used.output_tokens
        if tokens:
            yield measures[2], float(tokens), span.span_id
    agent = view.agent_of(view.root)
    run_ms = (view.trace.end_unix_ns - view.trace.start_unix_ns) / _NS_PER_MS
    if run_ms > 0 and view.steps and not view.is_open:
        yield Measure(SLOW_RUN, agent, "", ""), run_ms, view.root.span_id
    pause = _longest_pause(view)
    if pause is not None:
        yield Measure(IDLE, agent, "", ""), pause[0], pause[1].span_id


def _measures(subject: Subject, model: str) -> tuple[Measure, Measure, Measure]:
    return (
        Measure("slow", *subject, model),
        Measure("costly", *subject, model),
        Measure("heavy", *subject, model),
    )


def _longest_pause(view: TraceView) -> tuple[float, Span] | None:
    """
    Milliseconds of the longest time between two spans in which none was at work, and what ended it.

    Spans that hold others say nothing, for they last as long as what they wait for.
    None where nothing pauses. What follows a span without an end is not looked at.
    """
    spans = view.trace.spans
    holders = {span.parent_span_id for span in spans}
    busy_until_ns, longest_ns, ended_by = 0, 0, None
    for span in spans:
        if span.span_id in holders:
            continue
        pause_ns = span.start_unix_ns - busy_until_ns
        if busy_until_ns and pause_ns > longest_ns:
            longest_ns, ended_by = pause_ns, span
        if not span.is_complete:
            break
        busy_until_ns = max(busy_until_ns, span.end_unix_ns)
    return (longest_ns / _NS_PER_MS, ended_by) if ended_by else None
