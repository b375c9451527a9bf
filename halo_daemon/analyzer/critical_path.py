"""
The critical path of a trace: at each moment the one span that the end of the run waited for.

Theory of operation
===================

From the end of a span backwards: what ended last before that moment was waited for, so
the path goes through it and on from where it began; moments in which no child was
waited for are the span's own. Work beside the path, however long, made nobody wait and
counts nothing. The times on the path add up to the duration of the trace. Several roots
stand side by side under the trace itself, whose own time is work that is not recorded.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from halo_daemon.analyzer.masking import mask_name
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

_NOTHING = ("", "")
"""Kind and name of stretches in which no span was at work."""


class Carried(NamedTuple):
    """What the spans of one kind and name carry of a critical path."""

    share: float
    """Of the duration of the trace."""
    kind: str
    name: str
    """Masked; ``""`` for stretches in which no span was at work."""
    spans: int
    span_id: str
    """The span of them that carries most; ``""`` where there is none."""


def carriers_of(trace: Trace) -> tuple[Carried, ...]:
    """What carries the critical path of *trace*, the largest share first; empty without a time."""
    carried: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for span, own_ns in _path(trace):
        key = (
            (span.observation_kind, mask_name(span.tool_name or span.name))
            if span is not None
            else _NOTHING
        )
        carried.setdefault(key, []).append((-own_ns, span.span_id if span is not None else ""))
    total_ns = -sum(own_ns for parts in carried.values() for own_ns, _ in parts)
    rows = [
        Carried(-sum(own_ns for own_ns, _ in parts) / total_ns, *key, len(parts), min(parts)[1])
        for key, parts in carried.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.kind, row.name)))


def _path(trace: Trace) -> Iterator[tuple[Span | None, int]]:
    """Every span on the path with the nanoseconds that are its own; None for the trace itself."""
    children: dict[str, list[Span]] = {}
    for one in trace.spans:
        if one.is_complete:
            parent = one.parent_span_id
            children.setdefault(parent if parent in trace.by_id else "", []).append(one)
    for spans in children.values():
        spans.sort(key=lambda span: (span.end_unix_ns, span.start_unix_ns, span.span_id))
    pending: list[tuple[Span | None, int, int]] = [(None, trace.start_unix_ns, trace.end_unix_ns)]
    entered: set[str] = set()
    while pending:
        span, start_ns, until_ns = pending.pop()
        own_ns, moment_ns = 0, until_ns
        for child in reversed(children.get(span.span_id if span is not None else "", ())):
            end_ns = min(child.end_unix_ns, moment_ns)
            begin_ns = max(child.start_unix_ns, start_ns)
            if begin_ns >= end_ns or child.span_id in entered:
                continue
            entered.add(child.span_id)
            own_ns += moment_ns - end_ns
            pending.append((child, begin_ns, end_ns))
            moment_ns = begin_ns
        own_ns += moment_ns - start_ns
        if own_ns > 0:
            yield span, own_ns


def mean_carriers(traces: Iterable[Trace]) -> tuple[Carried, ...]:
    """
    What carries the critical paths of several traces, shares averaged; spans add up.

    Each trace counts alike, however long it took. Empty for none.
    """
    paths = [path for path in map(carriers_of, traces) if path]
    rows: dict[tuple[str, str], list[Carried]] = {}
    for path in paths:
        for row in path:
            rows.setdefault((row.kind, row.name), []).append(row)
    return tuple(
        sorted(
            (
                Carried(
                    sum(sorted(part.share for part in parts)) / len(paths),
                    *key,
                    sum(part.spans for part in parts),
                    max(parts).span_id,
                )
                for key, parts in rows.items()
            ),
            key=lambda row: (-row.share, row.kind, row.name),
        )
    )
