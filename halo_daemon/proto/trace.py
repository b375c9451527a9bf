"""One trace: its spans, merged over files and deliveries."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple, Self

from halo_daemon.proto.computed_once import computed_once
from halo_daemon.proto.span import Span

_END = attrgetter("end_unix_ns")


def later_version(old: Span, new: Span) -> Span:
    """
    Which of two versions of one span counts; *new* arrived after *old*.

    A pending version (no end) never replaces a complete one; of two alike the
    one that ends later wins. Arrival decides only between different contents
    with one and the same end.
    """
    if old.is_complete != new.is_complete:
        return old if old.is_complete else new
    return old if old.end_unix_ns > new.end_unix_ns else new


class Cut(NamedTuple):
    """What of a trace stands behind the spans that one answer had room for."""

    spans: int
    line_bytes: int
    """Bytes of their stored lines."""

    after: str
    """The last span that is there; the next part begins behind it."""


@dataclass(frozen=True)
class Trace:
    """
    The spans of one trace, each ``span_id`` once, ordered by start and then by id.

    Never empty. Properties derived from the tree are computed once on first use.
    """

    trace_id: str
    spans: tuple[Span, ...]
    duplicate_spans: int = 0
    """Stored versions that were merged away."""

    is_open: bool = field(default=False)
    """More spans are expected: no root has ended, and the trace was not yet quiet for
    `analysis.settle`."""

    cut: Cut | None = None
    """What follows where this is a part of a trace that is too large for one answer; None at
    the end of the trace."""

    @classmethod
    def merge(cls, spans: Iterable[Span], *, is_open: bool = False) -> Self:
        """
        Build a trace from all stored versions of its spans, in order of arrival.

        Raises:
            ValueError: No spans, or spans of several traces.
        """
        versions: dict[str, Span] = {}
        trace_ids: set[str] = set()
        stored = 0
        for span in spans:
            stored += 1
            trace_ids.add(span.trace_id)
            old = versions.get(span.span_id)
            versions[span.span_id] = span if old is None else later_version(old, span)
        if not versions:
            raise ValueError("a trace has at least one span")
        if len(trace_ids) != 1:
            raise ValueError(f"spans of {len(trace_ids)} traces")
        ordered = sorted(versions.values(), key=lambda span: (span.start_unix_ns, span.span_id))
        return cls(trace_ids.pop(), tuple(ordered), stored - len(ordered), is_open)

    @property
    def stored_spans(self) -> int:
        """Its spans with those that are cut off behind them."""
        return len(self.spans) + (self.cut.spans if self.cut else 0)

    @computed_once
    def by_id(self) -> dict[str, Span]:
        """Spans by id."""
        return {span.span_id: span for span in self.spans}

    @computed_once
    def children(self) -> dict[str, tuple[Span, ...]]:
        """Children by parent id, in span order; no entry for a span without children."""
        found: dict[str, list[Span]] = {}
        for span in self.spans:
            if span.parent_span_id in self.by_id:
                found.setdefault(span.parent_span_id, []).append(span)
        return {parent: tuple(spans) for parent, spans in found.items()}

    @computed_once
    def roots(self) -> tuple[Span, ...]:
        """Spans whose parent is absent or not stored, in span order; empty only in a cycle."""
        return tuple(span for span in self.spans if span.parent_span_id not in self.by_id)

    @property
    def missing_parents(self) -> int:
        """Spans that name a parent which is not stored."""
        return sum(1 for span in self.roots if span.parent_span_id)

    @property
    def start_unix_ns(self) -> int:
        """Start of the earliest span."""
        return self.spans[0].start_unix_ns

    @computed_once
    def end_unix_ns(self) -> int:
        """End of the span that ended last; 0 when none has ended."""
        end: int = max(map(_END, self.spans))
        return end
