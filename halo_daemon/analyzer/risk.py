"""
How likely a trace failed, and where it most likely went wrong.

Risk orders traces; it is no probability. Part of it is how the run went beside the
others of its window, by rank, so that no unit and no scale matters: how much work it
was (what is hard takes long), how much it tried out (tools, words a call), what it
changed outside (what is only looked at can hardly be broken), and how it got on late
(errors towards the end, results with nothing new). The rest is what the rules found;
errors count by rank and add next to nothing there, for most are part of the work.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.delegation import replies
from halo_daemon.analyzer.observation import Observation
from halo_daemon.analyzer.rules.side_effects import changes_world
from halo_daemon.analyzer.trace_view import TraceView

_WEIGHTS: dict[str, float] = {
    "budget_exhausted": 1.0,
    "claimed_not_done": 0.6,
    "cycle": 0.6,
    "degenerate_output": 0.6,
    "double_side_effect": 0.8,
    "echoed_result": 0.4,
    "failed_value_used": 0.5,
    "filtered_output": 0.5,
    "made_up_tool": 0.5,
    "negative_feedback": 1.0,
    "near_repeat": 0.3,
    "no_progress": 0.6,
    "output_decay": 0.3,
    "output_format": 0.5,
    "precondition": 0.8,
    "premature_end": 1.0,
    "repeated_call": 0.3,
    "skipped_plan": 0.8,
    "stuck_lookup": 0.4,
    "truncated_output": 0.5,
    "ungrounded_answer": 0.4,
    "written_call": 0.8,
    "ungrounded_argument": 0.5,
}
"""What a rule adds to the score."""

_BY_RANK = frozenset({"bad_arguments", "blind_retry", "infra_error", "span_error", "tool_error"})
"""Rules that report errors, which the ranks count; their weight only breaks ties."""

NO_BLAME = frozenset({"context_growth", "contract_drift", "model_swap", "refusal"})
"""Rules that report facts and costs: their spans are not where a run went wrong."""

_OTHER_WEIGHT = 0.2
_TIE_WEIGHT = 0.01
_RECOVERED = 0.3
_SLOPE = 5.0
_DIGITS = 6
_BASE = -1.0
_CHARS_PER_TOKEN = 4
_LATE = 2 / 3
_STALE_SHARE = 0.2
_NOVELTY_CHARS = 1_000


class RiskSignals(NamedTuple):
    """What one trace brings into its risk; all but the first are ranked in the window."""

    found: float
    """Weight of what the rules found."""
    spans: int
    output_size: int
    """Tokens that the models wrote, or a quarter of the characters where tokens are unknown."""
    output_per_call: float
    largest_prompt: int
    """Tokens; 0 when unknown."""
    tools: int
    """Different tools used."""
    late_errors: int
    """Leaf errors in the last third of the steps."""
    stale_results: int
    """Results of tools at most a fifth of whose words are new to the run."""
    changed_something: bool
    """Whether a call may have changed something outside the agent."""


def risk_signals(view: TraceView, observations: Sequence[Observation]) -> RiskSignals:
    """Weigh the findings of one trace and measure how it went."""
    calls = view.model_calls
    sizes = [
        call.used.output_tokens or len(call.answer.value) // _CHARS_PER_TOKEN for call in calls
    ]
    prompts = [call.used.input_tokens for call in calls]
    return RiskSignals(
        found=_found(observations),
        spans=len(view.trace.spans),
        output_size=sum(sizes),
        output_per_call=sum(sizes) / max(1, len(sizes)),
        largest_prompt=max(prompts, default=0),
        tools=len(view.used_tools),
        late_errors=_late_errors(view),
        stale_results=_stale_results(view),
        changed_something=any(changes_world(view, subject.name) for subject in view.used_tools),
    )


def _found(observations: Sequence[Observation]) -> float:
    weights: dict[str, float] = {}
    for found in observations:
        rule = found.key.rule
        if found.is_weak:
            continue
        weight = _TIE_WEIGHT if rule in _BY_RANK else _WEIGHTS.get(rule, _OTHER_WEIGHT)
        weight *= _RECOVERED if found.recovered else 1.0
        weights[rule] = max(weight, weights.get(rule, 0.0))
    return math.fsum(sorted(weights.values()))


def _late_errors(view: TraceView) -> int:
    if not view.leaf_errors:
        return 0
    late = _LATE * len(view.steps)
    return sum(view.step_at(error.span.start_unix_ns) >= late for error in view.leaf_errors)


def _stale_results(view: TraceView) -> int:
    """Beginnings are compared: what a result is about stands at its start."""
    known = set(view.task_input.value[:_NOVELTY_CHARS].split())
    stale = 0
    for call in view.tool_calls:
        known.update(call.arguments.value[:_NOVELTY_CHARS].split())
        words = call.result.value[:_NOVELTY_CHARS].split()
        before = len(known)
        known.update(words)
        new = len(known) - before
        # How many words differ need be counted only where their number does not tell.
        stale += new == 0 or (
            new <= _STALE_SHARE * len(words) and new <= _STALE_SHARE * len(set(words))
        )
    return stale


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
        return round(1 / (1 + math.exp(-(_BASE + _SLOPE * work + signals.found))), _DIGITS)


def decisive_span(view: TraceView, observations: Sequence[Observation]) -> str | None:
    """
    Where the trace most likely went wrong, if it did; None where nothing tells.

    The decision behind the last lasting occurrence, else behind the first. Where
    occurrences name no decision, the symptom. Where several agents share the work, what
    is weak counts if nothing is strong: one agent handed its failure to another. Where
    nothing was found and one agent directs others, the reply that the answer was taken
    from: it went in unchecked. Else the decision behind the last call that changed
    something outside the agent: until then, all could still have been mended.
    """
    found = [one for one in observations if one.key.rule not in NO_BLAME]
    strong = [one for one in found if not one.is_weak]
    if strong or len(view.agents) == 1:
        found = strong
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
    return answers[-1].span.span_id if answers else _last_change(view)


def _last_change(view: TraceView) -> str | None:
    for call in reversed(view.tool_calls):
        if call.signal is None and changes_world(view, call.tool):
            return view.recorded_id((view.decision_of(call.span) or call.span).span_id)
    return None


def _last_lasting(view: TraceView, blamed: list[tuple[bool, str]]) -> str:
    order = view.step_index
    lasting = [span_id for recovered, span_id in blamed if not recovered]
    if lasting:
        return max(lasting, key=lambda span_id: (order.get(span_id, -1), span_id))
    return min((span_id for _, span_id in blamed), key=lambda s: (order.get(s, -1), s))
