"""Ways to look at traces that do not need their text: outline, comparison, sample; pure."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.records import TraceRecord

_TIME_STRATA = 3
_LENGTH_STRATA = 3


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


class Difference(NamedTuple):
    """How many traces of two groups have one feature."""

    feature: str
    value: str
    a_traces: int
    b_traces: int
    a_share: float
    b_share: float


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


def compare(a: Iterable[Trace], b: Iterable[Trace]) -> list[Difference]:
    """
    Which tools, models, agents, versions, errors and names tell two groups of traces apart.

    Returns:
        Features that differ in their share of traces, the largest difference first, ties by
        name; empty when a group is. A difference is no cause.
    """
    counts_a, size_a = _feature_counts(a)
    counts_b, size_b = _feature_counts(b)
    if not size_a or not size_b:
        return []
    rows = [
        Difference(
            *feature,
            counts_a[feature],
            counts_b[feature],
            counts_a[feature] / size_a,
            counts_b[feature] / size_b,
        )
        for feature in counts_a.keys() | counts_b.keys()
    ]
    rows = [row for row in rows if row.a_share != row.b_share]
    return sorted(rows, key=lambda row: (-abs(row.a_share - row.b_share), row.feature, row.value))


def sample(traces: Sequence[TraceRecord], size: int) -> list[TraceRecord]:
    """
    Up to *size* traces, spread over outcome, time and length; the same for the same input.

    Strata take turns, so rare kinds of trace are in the sample too.

    Returns:
        The chosen traces by start and then by trace id.
    """
    strata: dict[tuple[bool, int, int], list[TraceRecord]] = {}
    by_time = _thirds(traces, lambda trace: trace.start_unix_ns, _TIME_STRATA)
    by_length = _thirds(traces, lambda trace: trace.spans, _LENGTH_STRATA)
    for trace in traces:
        has_errors = trace.error_spans + trace.derived_error_spans > 0
        key = (has_errors, by_time[trace.trace_id], by_length[trace.trace_id])
        strata.setdefault(key, []).append(trace)
    queues = [sorted(strata[key], key=_shuffled) for key in sorted(strata)]
    chosen: list[TraceRecord] = []
    turn = 0
    while len(chosen) < min(size, len(traces)):
        chosen += [queue[turn] for queue in queues if turn < len(queue)]
        turn += 1
    return sorted(chosen[:size], key=lambda trace: (trace.start_unix_ns, trace.trace_id))


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


def _feature_counts(traces: Iterable[Trace]) -> tuple[Counter[tuple[str, str]], int]:
    counts: Counter[tuple[str, str]] = Counter()
    size = 0
    for trace in traces:
        size += 1
        features = {feature for span in trace.spans for feature in _features(span)}
        counts.update(feature for feature in features if feature[1])
    return counts, size


def _features(span: Span) -> list[tuple[str, str]]:
    return [
        ("name", span.name),
        ("tool", span.tool_name),
        ("model", span.model),
        ("agent", span.agent_name),
        ("service", span.service_name),
        ("version", span.service_version),
        ("error_type", span.text("error.type")),
    ]


def _thirds(
    traces: Sequence[TraceRecord], value_of: Callable[[TraceRecord], int], parts: int
) -> dict[str, int]:
    ordered = sorted(traces, key=lambda trace: (value_of(trace), trace.trace_id))
    return {trace.trace_id: place * parts // len(ordered) for place, trace in enumerate(ordered)}


def _shuffled(trace: TraceRecord) -> bytes:
    return hashlib.sha256(trace.trace_id.encode()).digest()
