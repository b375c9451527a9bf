"""
How likely a trace failed, and where it most likely went wrong.

Risk orders traces; it is no probability. Half of it is how much work the trace
was beside the other traces of its window (steps, words, tools, errors, by rank, so
that no unit and no scale matters): what is hard takes long and fails more often.
The other half is what the rules found.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.content import used_tokens
from halo_daemon.analyzer.delegation import replies
from halo_daemon.analyzer.observation import Observation
from halo_daemon.analyzer.trace_view import TraceView

_WEIGHTS: dict[str, float] = {
    "budget_exhausted": 1.0,
    "claimed_not_done": 0.6,
    "cycle": 0.6,
    "double_side_effect": 0.8,
    "failed_value_used": 0.5,
    "filtered_output": 0.5,
    "made_up_tool": 0.5,
    "negative_feedback": 1.0,
    "near_repeat": 0.3,
    "output_decay": 0.3,
    "precondition": 0.8,
    "premature_end": 1.0,
    "repeated_call": 0.3,
    "truncated_output": 0.5,
    "ungrounded_answer": 0.4,
}
"""What a rule adds to the score; errors are counted by rank and add little by themselves."""

NO_BLAME = frozenset({"context_growth", "model_swap", "refusal"})
"""Rules that report facts and costs: their spans are not where a run went wrong."""

_OTHER_WEIGHT = 0.2
_RECOVERED = 0.3
_SLOPE = 5.0
_BASE = -1.0
_CHARS_PER_TOKEN = 4


class RiskSignals(NamedTuple):
    """What one trace brings into its risk."""

    found: float
    """Weight of what the rules found."""
    steps: int
    output_size: int
    """Tokens that the models wrote, or a quarter of the characters where tokens are unknown."""
    longest_output: int
    tools: int
    """Different tools used."""
    errors: int


def risk_signals(view: TraceView, observations: Sequence[Observation]) -> RiskSignals:
    """Weigh the findings of one trace and measure its work."""
    weights: dict[str, float] = {}
    for found in observations:
        if found.is_weak:
            continue
        weight = _WEIGHTS.get(found.key.rule, _OTHER_WEIGHT)
        weight *= _RECOVERED if found.recovered else 1.0
        weights[found.key.rule] = max(weight, weights.get(found.key.rule, 0.0))
    sizes = [
        used_tokens(call.span)[1] or len(call.answer.value) // _CHARS_PER_TOKEN
        for call in view.model_calls
    ]
    return RiskSignals(
        found=math.fsum(sorted(weights.values())),
        steps=len(view.steps),
        output_size=sum(sizes),
        longest_output=max(sizes, default=0),
        tools=len(view.used_tools),
        errors=len(view.leaf_errors),
    )


class RiskScale:
    """The traces of one window, to rank each one among them."""

    def __init__(self, window: Iterable[RiskSignals]) -> None:
        rows = list(window)
        self._columns = [sorted(column) for column in zip(*(row[1:] for row in rows), strict=True)]
        self._traces = len(rows)

    def risk_of(self, signals: RiskSignals) -> float:
        """Risk from 0 to 1 of a trace of the window."""
        ranks = [
            (bisect_left(column, value) + bisect_right(column, value)) / 2 / self._traces
            for column, value in zip(self._columns, signals[1:], strict=True)
        ]
        work = math.fsum(ranks) / len(ranks) - 0.5
        return round(1 / (1 + math.exp(-(_BASE + _SLOPE * work + signals.found))), 6)


def decisive_span(view: TraceView, observations: Sequence[Observation]) -> str | None:
    """
    Where the trace most likely went wrong; None when nothing speaks against it.

    The decision behind the last lasting occurrence, else behind the first. Where
    occurrences name no decision, the symptom. Where nothing was found and one agent
    directs others, the reply that the answer was taken from: it went in unchecked.
    """
    found = [one for one in observations if not one.is_weak and one.key.rule not in NO_BLAME]
    for role in ("decision", "symptom"):
        blamed = [
            (one.recovered, cited.span_id)
            for one in found
            for cited in [next((q for q in one.quotes if q.role == role), None)]
            if cited is not None
        ]
        if blamed:
            return _last_lasting(view, blamed)
    answers = replies(view)
    return answers[-1].span.span_id if answers else None


def _last_lasting(view: TraceView, blamed: list[tuple[bool, str]]) -> str:
    order = view.step_index
    lasting = [span_id for recovered, span_id in blamed if not recovered]
    if lasting:
        return max(lasting, key=lambda span_id: (order.get(span_id, -1), span_id))
    return min((span_id for _, span_id in blamed), key=lambda s: (order.get(s, -1), s))
