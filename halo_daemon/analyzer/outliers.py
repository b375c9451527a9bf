"""
Steps that take far longer, cost far more or weigh far more than their like.

Compared are steps of one agent, name and model, the longest pause of each run, and how
long runs of one agent take. Values are kept as a histogram of their logarithms, of which a
threshold is always an edge, so that what stands out is counted to the last one. With it go the
few largest values, to show, and for traces that reach what is worth a word the bucket of their
largest. Memory grows with traces, not with spans, and partial results add up in any order.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from halo_daemon.analyzer.content import NOTHING_USED
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.trace_spans import STEP_KINDS
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

MAX_LARGEST = 3
"""Values of a measure kept to show."""

MIN_STEPS = 20
_BUCKETS_PER_E = 20
_Z = 3.5
_MAD_TO_SIGMA = 0.6745
_WITHOUT_SPREAD = 3.0
_NS_PER_MS = 1_000_000
_PARENT = attrgetter("parent_span_id")

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


Value = tuple[float, str]
"""A value with the id of its span."""


class Large(NamedTuple):
    """One of the largest values; the least of these tuples is the largest value."""

    negative_value: float
    trace_id: str
    span_id: str


class Outstanding(NamedTuple):
    """All that stands out of the values of one measure."""

    threshold: float
    """The value from which one stands out."""
    values: int
    traces: frozenset[str]


@dataclass(slots=True)
class Spread:
    """The values of one measure."""

    floor: float
    """Smallest value worth a word, above zero: where bucket 0 begins."""
    buckets: Counter[int] = field(default_factory=Counter)
    reached: dict[str, int] = field(default_factory=dict)
    """Bucket of the largest value by trace, for traces with a value of at least the floor."""
    largest: list[Large] = field(default_factory=list)
    """Of the values of at least the floor."""

    def add(self, trace_id: str, values: Iterable[Value]) -> None:
        """Count values above zero of one trace."""
        buckets, floor = self.buckets, self.floor
        for value, span_id in values:
            bucket = math.floor(math.log(value / floor) * _BUCKETS_PER_E)
            buckets[bucket] += 1
            if bucket >= 0:
                self._reach(bucket, Large(-value, trace_id, span_id))

    def _reach(self, bucket: int, row: Large) -> None:
        self.reached[row.trace_id] = max(bucket, self.reached.get(row.trace_id, 0))
        if len(self.largest) < MAX_LARGEST or row < self.largest[-1]:
            self._keep_largest([row])

    def absorb(self, other: "Spread") -> None:
        """Add the values of *other*, of the same measure and of other traces."""
        self.buckets.update(other.buckets)
        self.reached.update(other.reached)
        self._keep_largest(other.largest)

    def _keep_largest(self, rows: list[Large]) -> None:
        self.largest = sorted([*self.largest, *rows])[:MAX_LARGEST]

    def outstanding(self) -> Outstanding | None:
        """What stands out of the values, however little; None with fewer than twenty values."""
        first = self._first_bucket()
        if first is None:
            return None
        return Outstanding(
            threshold=self.floor * math.exp(first / _BUCKETS_PER_E),
            values=sum(values for bucket, values in self.buckets.items() if bucket >= first),
            traces=frozenset(trace for trace, bucket in self.reached.items() if bucket >= first),
        )

    def _first_bucket(self) -> int | None:
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
            _Z * spread / _MAD_TO_SIGMA if spread else math.log(_WITHOUT_SPREAD) * _BUCKETS_PER_E
        )
        return max(0, math.ceil(middle + 1 + reach))


def _middle(rows: list[tuple[int, int]], count: int) -> int:
    seen = 0
    for bucket, values in rows:
        seen += values
        if seen * 2 >= count:
            return bucket
    return rows[-1][0]


def measured(view: TraceView) -> dict[Measure, list[Value]]:
    """Every value of the trace and of its steps, by its measure."""
    found = _of_steps(view)
    agent = view.agent_of(view.root)
    run_ms = (view.trace.end_unix_ns - view.trace.start_unix_ns) / _NS_PER_MS
    if run_ms > 0 and view.steps and not view.is_open:
        found[Measure(SLOW_RUN, agent, "", "")] = [(run_ms, view.root.span_id)]
    pause = _longest_pause(view)
    if pause is not None:
        found[Measure(IDLE, agent, "", "")] = [(pause[0], pause[1].span_id)]
    return found


def _of_steps(view: TraceView) -> dict[Measure, list[Value]]:
    alike: dict[tuple[Subject, str], tuple[list[Value], list[Value], list[Value]]] = {}
    repeated = view.repeated_calls
    subjects = view.subjects
    for span, used in zip(view.trace.spans, view.used, strict=True):
        if span.observation_kind not in STEP_KINDS or span.span_id in repeated:
            continue
        like = subjects[span.span_id], span.model
        values = alike.get(like)
        if values is None:
            values = alike[like] = ([], [], [])
        slow, costly, heavy = values
        duration_ns = span.end_unix_ns - span.start_unix_ns
        if duration_ns > 0:
            slow.append((duration_ns / _NS_PER_MS, span.span_id))
        if used is NOTHING_USED:
            continue
        if used.usd:
            costly.append((used.usd, span.span_id))
        tokens = used.input_tokens + used.output_tokens
        if tokens:
            heavy.append((float(tokens), span.span_id))
    return {
        Measure(rule, *subject, model): of_rule
        for (subject, model), values in alike.items()
        for rule, of_rule in zip(("slow", "costly", "heavy"), values, strict=True)
        if of_rule
    }


def _longest_pause(view: TraceView) -> tuple[float, Span] | None:
    """
    Milliseconds of the longest time between two spans in which none was at work, and what ended it.

    Spans that hold others say nothing, for they last as long as what they wait for. Before
    a prompt that brings the result of a tool without a span, that tool may have been at work.
    None where nothing pauses. What follows a span without an end is not looked at.
    """
    spans = view.trace.spans
    holders = set(map(_PARENT, spans))
    after_tools = {call.holder.span_id for call in view.told.values()}
    busy_until_ns, longest_ns, ended_by = 0, 0, None
    for span in spans:
        if span.span_id in holders:
            continue
        pause_ns = span.start_unix_ns - busy_until_ns
        if busy_until_ns and pause_ns > longest_ns and span.span_id not in after_tools:
            longest_ns, ended_by = pause_ns, span
        end_unix_ns = span.end_unix_ns
        if end_unix_ns <= 0:
            break
        busy_until_ns = max(busy_until_ns, end_unix_ns)
    return (longest_ns / _NS_PER_MS, ended_by) if ended_by else None
