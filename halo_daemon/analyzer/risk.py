"""
How likely a trace failed, and where it most likely went wrong.

Risk orders traces; it is no probability. It is made of what the rules found and
of how long the trace is among the traces of its window: longer runs fail more
often almost everywhere.
"""

import math
from collections.abc import Sequence

from halo_daemon.analyzer.observation import Observation
from halo_daemon.analyzer.trace_view import TraceView

_BY_RULE: dict[str, float] = {
    "tool_error": 0.35,
    "span_error": 0.35,
    "infra_error": 0.35,
    "bad_arguments": 0.3,
    "made_up_tool": 0.4,
    "premature_end": 1.5,
    "budget_exhausted": 1.5,
    "truncated_output": 0.5,
    "filtered_output": 0.5,
    "repeated_call": 0.5,
    "blind_retry": 0.3,
}
_UNRECOVERED = 2.0
_LENGTH = 2.0
_BASE = -2.0


def risk_signals(view: TraceView, observations: Sequence[Observation]) -> tuple[float, ...]:
    """What one trace brings into its risk: the weight of its findings, and its length."""
    weights: dict[str, float] = {}
    for found in observations:
        weight = _BY_RULE.get(found.key.rule, 0.2) * (1.0 if found.recovered else _UNRECOVERED)
        if found.is_weak:
            weight /= 2
        weights[found.key.rule] = max(weight, weights.get(found.key.rule, 0.0))
    repeated = math.log1p(len(observations)) / 2
    return (math.fsum(sorted(weights.values())) + repeated, math.log1p(len(view.steps)))


def risk_of(signals: Sequence[float], typical_length: float, spread: float) -> float:
    """
    Risk from 0 to 1.

    Args:
        signals: What `risk_signals` returned.

        typical_length: Median of the length signal over the window.

        spread: Median absolute deviation of the same; 0 when all are alike.
    """
    found, length = signals
    unusual = (length - typical_length) / spread if spread else 0.0
    score = _BASE + found + _LENGTH * math.tanh(unusual / 2)
    return round(1 / (1 + math.exp(-score)), 6)


def decisive_span(view: TraceView, observations: Sequence[Observation]) -> str | None:
    """The decision behind the last lasting occurrence, else behind the first; None without any."""
    decisions = [
        (found.recovered, cited.span_id)
        for found in observations
        if not found.is_weak
        for cited in found.quotes
        if cited.role == "decision"
    ]
    if not decisions:
        return None
    order = view.step_index
    lasting = [span_id for recovered, span_id in decisions if not recovered]
    if lasting:
        return max(lasting, key=lambda span_id: (order.get(span_id, -1), span_id))
    return min((span_id for _, span_id in decisions), key=lambda s: (order.get(s, -1), s))
