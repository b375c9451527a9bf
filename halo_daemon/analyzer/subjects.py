"""What the spans of a trace are counted over: whose they are and what they call."""

from collections.abc import Container, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.masking import mask_name
from halo_daemon.proto.span import TOOL, Span
from halo_daemon.proto.trace import Trace


class Subject(NamedTuple):
    """What a denominator is counted over: an agent and its tool, model or span name."""

    agent: str
    name: str


def subjects_of(trace: Trace) -> dict[str, Subject]:
    """Agent and name of each span, by its id; an agent is handed down from parent to child."""
    found: dict[str, Subject] = {}
    # Few among the spans of a trace differ: one object for all that are alike.
    known: dict[tuple[str, str], Subject] = {}
    for first in trace.spans:
        # Nearly always the parent was met, and the span was not.
        is_next = first.parent_span_id in found and first.span_id not in found
        for span in (first,) if is_next else _unmet(first, trace, found):
            agent = span.agent_name
            if not agent:
                parent = found.get(span.parent_span_id)
                agent = (parent.agent if parent else "") or span.service_name
            named = agent, (span.tool_name if span.observation_kind == TOOL else "") or span.name
            subject = known.get(named)
            if subject is None:
                subject = known[named] = Subject(*map(mask_name, named))
            found[span.span_id] = subject
    return found


def _unmet(span: Span, trace: Trace, met: Container[str]) -> Sequence[Span]:
    """
    *span* behind those of its ancestors that were not met before it; empty when it was met.

    A parent stands behind its child where a clock ticks too slowly, or where there are two.
    """
    if span.span_id in met:
        return ()
    if not span.parent_span_id or span.parent_span_id in met:
        return (span,)
    line: dict[str, Span] = {}
    above: Span | None = span
    while above is not None and above.span_id not in met and above.span_id not in line:
        line[above.span_id] = above
        above = trace.by_id.get(above.parent_span_id)
    return tuple(reversed(line.values()))
