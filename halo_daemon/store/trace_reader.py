"""
The seam between stored traces and everything that asks about them.

No caller may assume local files: a window and a trace id are all that is said
about where a trace lies.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, Protocol

from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

MAX_ANSWER_BYTES = 64 * 1024**2
"""What one answer holds where nothing else is said: as much as one request of spans."""

SPAN_BYTES = 2_048
"""What a span counts in an answer beside its line: the objects that its fields become."""

_SUMMARY_BYTES = 200
"""What a summary takes beside its names."""


class WindowBy(StrEnum):
    """Which time of a span decides whether it is in a window."""

    RECEIVED = "received"
    """When the daemon stored it; late and imported spans are in."""

    START = "start_time"
    """When the span began, by the sender's clock."""


@dataclass(frozen=True, slots=True)
class Window:
    """
    A half-open stretch of time, ``[from_unix_ns, to_unix_ns)``.

    A trace is in the window when at least one of its spans is; it is then read
    whole, with the spans outside.
    """

    from_unix_ns: int
    to_unix_ns: int
    by: WindowBy = WindowBy.RECEIVED


class Share(NamedTuple):
    """
    A part of all traces, for readers that divide the work between them.

    Every trace belongs to exactly one *place* of 0 to *parts* - 1, by a hash of its id.
    """

    place: int
    parts: int
    among: frozenset[str] | None = None
    """The traces that are divided; None for all."""

    def has(self, trace_id: str) -> bool:
        """Whether the trace belongs to this part."""
        if self.among is not None and trace_id not in self.among:
            return False
        if self.parts == 1:
            return True
        digest = blake2b(trace_id.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") % self.parts == self.place


WHOLE = Share(0, 1)
"""All traces."""


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What the index knows of one trace, its duplicates merged."""

    trace_id: str
    root_name: str
    """Name of the earliest root span; ``""`` when the trace is a cycle."""
    service_name: str
    start_unix_ns: int
    end_unix_ns: int
    """0 when no span has ended."""
    last_received_unix_ns: int
    spans: int
    error_spans: int
    """Spans with status ERROR."""
    input_tokens: int
    output_tokens: int
    session_id: str
    """The one session that its spans name; ``""`` when none or several."""

    @property
    def size_bytes(self) -> int:
        """What it counts in an answer."""
        names = (self.root_name, self.service_name, self.session_id)
        return _SUMMARY_BYTES + sum(len(name.encode("utf-8", "replace")) for name in names)


@dataclass(frozen=True, slots=True)
class Overview:
    """What a window holds, in counts; all zero when it is empty."""

    traces: int
    spans: int
    """Distinct spans of the traces in the window."""
    duplicate_spans: int
    """Stored versions beside the one that counts."""
    error_traces: int
    """Traces with at least one span of status ERROR."""
    input_tokens: int
    output_tokens: int
    services: tuple[str, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]
    quarantined_lines: int
    """Lines of the window's shards that are not canonical spans."""
    left_out_names: int = 0
    """Services, models, tools and agents that the answer had no room for."""


class TraceReader(Protocol):
    """
    Reads the traces of one project.

    - Reads its own writes: everything acknowledged before the call is in the answer.
    - A trace is one trace however many shards, days and deliveries it came in by;
      a span counts once, in its later complete version (`proto.trace.later_version`).
    - The order of arrival changes no answer but `TraceSummary.last_received_unix_ns`
      and the membership in windows by time of receipt.
    - Damaged lines are left out and counted; they never fail a read.
    - No answer is larger than a bound in bytes (`storage.max_answer`) but for the one span,
      name or summary that is; what was cut is said, and how to go on.
    - Safe to use from several threads and beside a running daemon.

    Raises:
        StoreError: The data directory cannot be read at all.
    """

    def overview(self, window: Window) -> Overview:
        """Count what *window* holds."""

    def list_traces(
        self, window: Window, *, limit: int = 50, offset: int = 0
    ) -> list[TraceSummary]:
        """
        List traces, the one that started last first, ties by trace id.

        Fewer than *limit* where the answer is full or the window ends: the next page begins
        at *offset* plus what came. Empty when the window is, or when *offset* is past its end.
        """

    def load_trace(self, trace_id: str, *, after: str = "") -> Trace | None:
        """
        Load a trace, or the first spans of it that fit into one answer.

        Where spans follow, `Trace.cut` says how many, and *after* goes on behind its span.
        `parts_of` reads them all.

        Returns:
            None when there is no span of the trace, or none behind *after*.

        Raises:
            QueryError: The trace has no span *after*.
        """

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """
        Load every trace of *window* that *share* has, in ascending order of trace id.

        Whole, or as its first part, as `load_trace` does.
        Memory is bounded by the largest trace, not by the window; and time by what was
        stored when it began: a trace that arrives meanwhile is left out, unless an index has
        to be built again; spans that arrive for one that is read later may be in it.
        """


class TraceStream(Protocol):
    """`TraceReader.iter_traces`, for those that need nothing else."""

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """See `TraceReader.iter_traces`."""


class TraceLoader(TraceStream, Protocol):
    """A stream whose large traces can be gone on with."""

    def load_trace(self, trace_id: str, *, after: str = "") -> Trace | None:
        """See `TraceReader.load_trace`."""


class LoadTrace(Protocol):
    """`TraceReader.load_trace`, for those that need nothing else."""

    def __call__(self, trace_id: str, *, after: str = "") -> Trace | None:
        """See `TraceReader.load_trace`."""


def iter_parts(reader: TraceReader, window: Window) -> Iterator[Trace]:
    """Every span of the traces of *window*: by trace id, large traces in several parts."""
    for trace in reader.iter_traces(window):
        yield from parts_of(reader.load_trace, trace)


def trace_parts(load_trace: LoadTrace, trace_id: str) -> Iterator[Trace]:
    """The parts of one trace; none when there is no span of it."""
    first = load_trace(trace_id)
    if first is not None:
        yield from parts_of(load_trace, first)


def spans_of(load_trace: LoadTrace, trace_id: str, span_ids: Collection[str]) -> list[Span]:
    """Some spans of one trace, by start and then by id; ids that it has not are left out."""
    found: list[Span] = []
    for part in trace_parts(load_trace, trace_id):
        found += [span for span in part.spans if span.span_id in span_ids]
        if len(found) == len(span_ids):
            break
    return found


def parts_of(load_trace: LoadTrace, first: Trace) -> Iterator[Trace]:
    """*first* and the parts of the same trace that follow it, each read when it is asked for."""
    part: Trace | None = first
    while part is not None:
        yield part
        part = load_trace(part.trace_id, after=part.cut.after) if part.cut else None


def fitting_names(
    lists: Iterable[Sequence[str]], max_bytes: int
) -> tuple[list[tuple[str, ...]], int]:
    """The first names of *lists*, in order, that *max_bytes* hold, and how many are left out."""
    left_out = 0
    fitting = []
    for names in lists:
        kept = []
        for name in names:
            max_bytes -= len(name.encode("utf-8", "replace"))
            if max_bytes >= 0:
                kept.append(name)
        left_out += len(names) - len(kept)
        fitting.append(tuple(kept))
    return fitting, left_out


def fitting_summaries(page: Iterable[TraceSummary], max_bytes: int) -> list[TraceSummary]:
    """The first of *page* that *max_bytes* hold, at least one where there is one."""
    kept: list[TraceSummary] = []
    for summary in page:
        max_bytes -= summary.size_bytes
        if kept and max_bytes < 0:
            break
        kept.append(summary)
    return kept
