"""The outline of a trace: its tree without its texts; pure."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace


class OutlineEntry(NamedTuple):
    """One span of an outline."""

    span_id: str
    parent_span_id: str
    depth: int
    """0 for a root."""
    name: str
    observation_kind: str
    tool_name: str
    model_name: str
    status_code: str
    has_error: bool
    """An ERROR status, or an error signal outside the status."""
    start_unix_ns: int
    duration_ms: float
    line_bytes: int
    folded_spans: int
    """Descendants that are left out; 0 when all are shown."""
    folded_bytes: int = 0
    """Bytes of the descendants that are left out."""


def outline(trace: Trace, *, max_depth: int | None = None) -> list[OutlineEntry]:
    """
    The tree of a trace in reading order: parents before children, siblings by start.

    Spans of a cycle come last, as roots. Below *max_depth* spans are folded into
    their last shown ancestor.
    """
    found: list[OutlineEntry] = []
    seen: set[str] = set()
    for root in (*trace.roots, *trace.spans):
        found += _walk(trace, root, seen)
    return found if max_depth is None else _folded(found, max_depth)


def below(entries: Sequence[OutlineEntry], span_id: str) -> list[OutlineEntry]:
    """A span of an outline and what stands below it; empty when there is no such span."""
    found: list[OutlineEntry] = []
    for entry in entries:
        if found and entry.depth <= found[0].depth:
            break
        if found or entry.span_id == span_id:
            found.append(entry)
    return found


def fit(entries: Sequence[OutlineEntry], *, max_entries: int) -> list[OutlineEntry]:
    """
    The deepest cut of an outline that has at most *max_entries*, subtrees folded.

    All roots stay, however many there are.
    """
    depths = Counter(entry.depth for entry in entries)
    shown, depth = 0, 0
    for depth in sorted(depths):
        shown += depths[depth]
        if shown > max_entries and depth > 0:
            return _folded(entries, depth - 1)
    return list(entries) if shown <= max_entries else _folded(entries, 0)


def _walk(trace: Trace, root: Span, seen: set[str]) -> list[OutlineEntry]:
    """A span and what is below it, but for what was seen."""
    found: list[OutlineEntry] = []
    # A stack, not recursion: a trace may be as deep as it has spans.
    stack = [(root, 0)]
    while stack:
        span, depth = stack.pop()
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        found.append(_entry(span, depth))
        children = trace.children.get(span.span_id, ())
        stack.extend((child, depth + 1) for child in reversed(children))
    return found


def _entry(span: Span, depth: int) -> OutlineEntry:
    return OutlineEntry(
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        depth=depth,
        name=span.name,
        observation_kind=span.observation_kind,
        tool_name=span.tool_name,
        model_name=span.model,
        status_code=span.status_code,
        has_error=span.has_error_status or span.has_derived_error,
        start_unix_ns=span.start_unix_ns,
        duration_ms=span.duration_ns / 1e6,
        line_bytes=span.line_bytes,
        folded_spans=0,
    )


def _folded(entries: Sequence[OutlineEntry], max_depth: int) -> list[OutlineEntry]:
    shown: list[OutlineEntry] = []
    for entry in entries:
        if entry.depth <= max_depth:
            shown.append(entry)
        else:
            last = shown[-1]
            shown[-1] = last._replace(
                folded_spans=last.folded_spans + 1 + entry.folded_spans,
                folded_bytes=last.folded_bytes + entry.line_bytes + entry.folded_bytes,
            )
    return shown
