"""
A trace that is too large for one answer, examined part by part.

Rule 1: every span is looked at, and a part with what leads into it is no larger than two
answers; the part before is held only while the next one is read.

Rule 2: a part is examined with what leads into it: the root, the spans that were still
running where the part before ended, and the last turns before it. What happened in these
is told by the later part, which sees how it went on: an error near the end of a part
is not called unrecovered because its recovery stands in the next one.

Rule 3: only the last part shows an end, and nothing is asked of a part that needs the
whole run (`Rule.needs_whole`).

Rule 4: what is known of the parts adds up to what is known of one trace.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from halo_daemon.analyzer.features import MAX_FEATURES
from halo_daemon.analyzer.observation import Observation, StepRange
from halo_daemon.analyzer.partial import TraceFacts
from halo_daemon.analyzer.risk import RiskSignals
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import LLM, Span
from halo_daemon.proto.trace import Trace

_Number = TypeVar("_Number", int, float)

_MAX_RUNNING_SHARE = 0.25
_MAX_TURNS_SHARE = 0.75
_MAX_TAIL_SHARE = 0.25
_TAIL_SPANS = 32
"""What leads into the next part, in shares of the bytes of this one, and in spans."""


class Lead(NamedTuple):
    """What leads from one part into the next."""

    spans: tuple[Span, ...]
    """By start and then by id."""
    failed_above: frozenset[str]
    """Those of them under which something failed in an earlier part."""
    steps: int
    """Steps of the trace before the next part."""


NO_LEAD = Lead((), frozenset(), 0)


class Piece(NamedTuple):
    """A part with what leads into it."""

    view: TraceView
    new: frozenset[str]
    """The spans of the part itself; all others were counted before."""
    told: frozenset[str]
    """The spans whose findings are told here; each span of the trace is in one piece's."""
    lead: Lead
    """What leads into the next part."""
    first_step: int
    """Steps of the trace before the first one of the view."""


def piece_of(part: Trace, lead: Lead, view: TraceView, *, is_last: bool) -> Piece:
    """The next piece of a trace, whose *view* is that of `with_lead`."""
    new = frozenset(span.span_id for span in part.spans)
    steps = sum(view.recorded_id(span.span_id) in new for span in view.steps)
    handed_on = () if is_last else _handed_on(view, sum(span.line_bytes for span in part.spans))
    ids = frozenset(span.span_id for span in handed_on)
    above = lead.failed_above | _above_errors(view)
    return Piece(
        view,
        new=new,
        told=frozenset(view.trace.by_id) - ids,
        lead=Lead(handed_on, above & ids, lead.steps + steps),
        first_step=lead.steps - (len(view.steps) - steps),
    )


def told_by(piece: Piece, observations: Iterable[Observation]) -> list[Observation]:
    """Those of *observations* that the piece tells, with their steps counted from the first."""
    return [
        replace(found, wasted=_moved(found.wasted, piece.first_step))
        for found in observations
        if not found.quotes or found.quotes[0].span_id in piece.told
    ]


def _moved(steps: StepRange, by: int) -> StepRange:
    return StepRange(steps.first + by, steps.end + by) if steps.end > steps.first else steps


def with_lead(part: Trace, lead: Lead) -> Trace:
    """*part* with the spans that lead into it."""
    spans = sorted((*lead.spans, *part.spans), key=lambda one: (one.start_unix_ns, one.span_id))
    return replace(part, spans=tuple(spans))


def _handed_on(view: TraceView, part_bytes: int) -> tuple[Span, ...]:
    """The spans that the next part is examined with, in order; smaller than this part."""
    spans = view.trace.spans
    kept = {view.root.span_id, *_last_turns(spans, part_bytes, view.settings.recovery_turns + 1)}
    left_bytes = part_bytes * _MAX_RUNNING_SHARE
    for span in spans:
        runs_on = not span.is_complete or span.end_unix_ns > spans[-1].start_unix_ns
        if runs_on and span.span_id not in kept and span.line_bytes <= left_bytes:
            left_bytes -= span.line_bytes
            kept.add(span.span_id)
    return tuple(span for span in spans if span.span_id in kept)


def _last_turns(spans: Sequence[Span], part_bytes: int, wanted: int) -> list[str]:
    """The spans of the *wanted* last turns, and of some more where they are small."""
    kept: list[str] = []
    turns, whole_turns, used_bytes = 0, 0, 0
    for span in reversed(spans):
        used_bytes += span.line_bytes
        share = _MAX_TURNS_SHARE if turns < wanted else _MAX_TAIL_SHARE
        is_enough = turns >= wanted and len(kept) >= _TAIL_SPANS
        if used_bytes > share * part_bytes or is_enough:
            break
        kept.append(span.span_id)
        turns += span.observation_kind == LLM
        if span.observation_kind == LLM:
            whole_turns = len(kept)
    # A call without the decision for it tells less than both in the part before.
    return kept[: whole_turns or None]


def _above_errors(view: TraceView) -> frozenset[str]:
    """The spans above those that failed."""
    by_id = view.trace.by_id
    above: set[str] = set()
    for error in view.leaf_errors:
        parent = error.span.parent_span_id
        while parent in by_id and parent not in above:
            above.add(parent)
            parent = by_id[parent].parent_span_id
    return frozenset(above)


def joined(first: TraceFacts, later: TraceFacts) -> TraceFacts:
    """What is known of one trace by the facts of its pieces, *later* of what follows *first*."""
    costs = [cost for cost in (first.cost_usd, later.cost_usd) if cost is not None]
    was_found = later.signals.found or not first.signals.found
    return first._replace(
        spans=first.spans + later.spans,
        steps=first.steps + later.steps,
        model_calls=first.model_calls + later.model_calls,
        stopped_at=later.stopped_at,
        end_unix_ns=max(first.end_unix_ns, later.end_unix_ns),
        outcome=first.outcome if later.outcome.verdict == "unknown" else later.outcome,
        session_id=first.session_id or later.session_id,
        user_id=first.user_id or later.user_id,
        models=tuple(sorted({*first.models, *later.models})),
        input_tokens=first.input_tokens + later.input_tokens,
        output_tokens=first.output_tokens + later.output_tokens,
        cost_usd=sum(costs) if costs else None,
        leaf_errors=first.leaf_errors + later.leaf_errors,
        has_recorded_error=first.has_recorded_error or later.has_recorded_error,
        step_tokens=_by_step(first.step_tokens, first.steps, later.step_tokens, later.steps),
        step_ms=_by_step(first.step_ms, first.steps, later.step_ms, later.steps),
        step_usd=_by_step(first.step_usd, first.steps, later.step_usd, later.steps),
        signals=_joined_signals(first, later),
        decisive_span_id=(later if was_found else first).decisive_span_id,
        features=tuple(sorted({*first.features, *later.features})[:MAX_FEATURES]),
    )


def _joined_signals(first: TraceFacts, later: TraceFacts) -> RiskSignals:
    """Sums where things add up, else the larger; errors late in the last part are late."""
    left, right = first.signals, later.signals
    output_size = left.output_size + right.output_size
    return RiskSignals(
        found=max(left.found, right.found),
        spans=first.spans + later.spans,
        output_size=output_size,
        output_per_call=output_size / max(1, first.model_calls + later.model_calls),
        largest_prompt=max(left.largest_prompt, right.largest_prompt),
        tools=max(left.tools, right.tools),
        late_errors=right.late_errors,
        stale_results=left.stale_results + right.stale_results,
        changed_something=left.changed_something or right.changed_something,
    )


def _by_step(
    before: tuple[_Number, ...], steps: int, after: tuple[_Number, ...], more_steps: int
) -> tuple[_Number, ...]:
    """Figures of the steps of both; nothing where neither wasted any."""
    if not (before or after):
        return ()
    return (before or (0,) * steps) + (after or (0,) * more_steps)
