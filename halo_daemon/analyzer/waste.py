"""What a finding wasted: the steps from the first bad call to recovery, each counted once."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from halo_daemon.analyzer.partial import Hit, Partial, TraceFacts
from halo_daemon.findings import Cost

_DIGITS = 6


class Waste(NamedTuple):
    """Steps that one finding wasted, all its traces added up."""

    tokens: int
    ms: int
    usd: float | None


def window_cost(traces: Iterable[TraceFacts]) -> Waste:
    """Tokens and time of all *traces*, whole."""
    tokens = ms = 0
    for facts in traces:
        tokens += facts.input_tokens + facts.output_tokens
        ms += facts.duration_ms
    return Waste(tokens, ms, None)


def waste_of(
    known: Partial, hits: dict[str, Hit], spent: dict[str, set[int]] | None = None
) -> Waste:
    """What the hits wasted; steps in *spent* are left out, and the others added to it."""
    tokens = ms = 0
    usd: list[float] = []
    for trace_id, hit in sorted(hits.items()):
        facts = known.traces[trace_id]
        steps = {step for part in hit.wasted for step in range(*part)}
        if spent is not None and steps:
            known_steps = spent.setdefault(trace_id, set())
            steps -= known_steps
            known_steps |= steps
        tokens += sum(facts.step_tokens[step] for step in steps)
        ms += sum(facts.step_ms[step] for step in steps)
        if facts.step_usd:
            usd.append(math.fsum(facts.step_usd[step] for step in steps))
    return Waste(tokens, ms, round(math.fsum(usd), _DIGITS) if usd else None)


def share_of(waste: Waste, window: Waste) -> float:
    """Share of the window's tokens; of its time where no tokens are recorded."""
    if window.tokens:
        return min(1.0, waste.tokens / window.tokens)
    return min(1.0, waste.ms / window.ms) if window.ms else 0.0


def cost_of(waste: Waste) -> Cost:
    """The record of what was wasted."""
    basis = "steps from the first bad call to recovery" if waste.tokens or waste.ms else ""
    return Cost(wasted_tokens=waste.tokens, wasted_usd=waste.usd, wasted_ms=waste.ms, basis=basis)
