"""
What one span cannot know and its trace can: an index's view, which rewrites no line.

A span tells what it was told. Only the whole trace shows that a model call encloses
another one and repeats its tokens, that an agent's totals differ from its children's, or
which session and agent a span without either belongs to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_daemon.proto.ancestry import spans_above
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.semconv.targets import (
    AGGREGATES,
    CACHED_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    REASONING_TOKENS,
)
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

_TOKENS: Final = (INPUT_TOKENS, OUTPUT_TOKENS, CACHED_TOKENS, REASONING_TOKENS)


class Usage(NamedTuple):
    """Tokens and cost, summed; all zero when nothing is known."""

    input_tokens: int = 0
    """Cached ones included."""
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    cost_usd: float = 0.0

    def plus(self, other: "Usage") -> "Usage":
        """The sum of both."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.reasoning_output_tokens + other.reasoning_output_tokens,
            self.cost_usd + other.cost_usd,
        )


_NOTHING: Final = Usage()


class UsageMismatch(NamedTuple):
    """A span that states totals which differ from the sum of the model calls below it."""

    span_id: str
    stated_input_tokens: int
    stated_output_tokens: int
    counted: Usage


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """What the whole trace tells; ids are span ids."""

    usage: Usage = _NOTHING
    """Over the innermost model calls, each counted once."""
    enclosing_calls: frozenset[str] = frozenset()
    """Model calls around other model calls that carry usage: theirs is not counted."""
    mismatches: tuple[UsageMismatch, ...] = ()
    """In span order. Spans without model calls below them are not compared."""
    session_id: str = ""
    """The session that the whole trace belongs to; ``""`` when none or several are named."""
    user_id: str = ""
    """The user, likewise."""
    agents: dict[str, str] = field(default_factory=dict)
    """The agent of each span: its own, else that of the nearest enclosing span with one."""


def facts_of(trace: Trace) -> TraceFacts:
    """Work out what the whole of *trace* tells; linear in its spans, whatever their tree."""
    calls = {span.span_id: usage for span in trace.spans if (usage := _usage(span)) is not None}
    above = spans_above({span.span_id: span.parent_span_id for span in trace.spans}, calls)
    below: dict[str, Usage] = {}
    total = Usage()
    for span in _children_first(trace):
        counted = below.pop(span.span_id, Usage())
        if span.span_id in calls and span.span_id not in above:
            counted = counted.plus(calls[span.span_id])
            total = total.plus(calls[span.span_id])
        below[span.span_id] = counted
        parent = span.parent_span_id
        if parent in trace.by_id:
            below[parent] = below.get(parent, Usage()).plus(counted)
    return TraceFacts(
        usage=total,
        enclosing_calls=frozenset(above.intersection(calls)),
        mismatches=tuple(_mismatches(trace, below, above)),
        session_id=_only(span.session_id for span in trace.spans),
        user_id=_only(span.user_id for span in trace.spans),
        agents=_agents(trace),
    )


def with_usage_apart(span: Span) -> JsonObject:
    """
    The line's object of a call that encloses others, for readers that add up all spans.

    Its tokens and cost stand under ``halo.aggregate.*``, where the total of an agent stands.
    *span* is not changed.
    """
    attributes = dict(span.attributes)
    for target, aggregate in AGGREGATES.items():
        if attributes.get(target) is not None:
            attributes[aggregate] = attributes[target]
            attributes[target] = None
    return {**span.fields, "attributes": attributes}


def _usage(span: Span) -> Usage | None:
    """The usage of one model call, the only kind of span that has any; None without."""
    if not _reports_usage(span):
        return None
    cost = span.cost_usd
    read = [span.count(key) or 0 for key in _TOKENS]
    return Usage(read[0], read[1], read[2], read[3], cost or 0.0)


def _reports_usage(span: Span) -> bool:
    return not (span.input_tokens is None and span.output_tokens is None and span.cost_usd is None)


def _mismatches(trace: Trace, below: dict[str, Usage], above: set[str]) -> Iterator[UsageMismatch]:
    for span in trace.spans:
        stated_input = span.count(AGGREGATES[INPUT_TOKENS])
        stated_output = span.count(AGGREGATES[OUTPUT_TOKENS])
        if span.span_id not in above or (stated_input is None and stated_output is None):
            continue
        counted = below[span.span_id]
        stated = (stated_input or 0, stated_output or 0)
        if stated != (counted.input_tokens, counted.output_tokens):
            yield UsageMismatch(span.span_id, *stated, counted)


def _only(values: Iterator[str]) -> str:
    distinct = {value for value in values if value}
    return distinct.pop() if len(distinct) == 1 else ""


def _agents(trace: Trace) -> dict[str, str]:
    agents: dict[str, str] = {}
    for span in _parents_first(trace):
        name = span.agent_name or agents.get(span.parent_span_id, "")
        if name:
            agents[span.span_id] = name
    return agents


def _parents_first(trace: Trace) -> list[Span]:
    """Every span after its parent; spans of a cycle come last, in span order."""
    ordered: list[Span] = []
    waiting = list(reversed(trace.roots))
    while waiting:
        span = waiting.pop()
        ordered.append(span)
        waiting.extend(reversed(trace.children.get(span.span_id, ())))
    if len(ordered) < len(trace.spans):
        reached = {span.span_id for span in ordered}
        ordered.extend(span for span in trace.spans if span.span_id not in reached)
    return ordered


def _children_first(trace: Trace) -> Iterator[Span]:
    return reversed(_parents_first(trace))
