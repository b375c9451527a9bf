"""
The seam between stored traces and everything that asks about them.

No caller may assume local files: a window and a trace id are all that is said
about where a trace lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple, Protocol

from halo_daemon.proto.trace import Trace


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

    def has(self, trace_id: str) -> bool:
        """Whether the trace belongs to this part."""
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


class TraceReader(Protocol):
    """
    Reads the traces of one project.

    - Reads its own writes: everything acknowledged before the call is in the answer.
    - A trace is one trace however many shards, days and deliveries it came in by;
      a span counts once, in its later complete version (`proto.trace.later_version`).
    - The order of arrival changes no answer but `TraceSummary.last_received_unix_ns`
      and the membership in windows by time of receipt.
    - Damaged lines are left out and counted; they never fail a read.
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

        Empty when the window is, or when *offset* is past its end.
        """

    def load_trace(self, trace_id: str) -> Trace | None:
        """Load one whole trace; None when there is no span of it."""

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """
        Load every trace of *window* that *share* has, whole, in ascending order of trace id.

        Memory is bounded by the largest trace, not by the window; and time by what was
        stored when it began: what arrives meanwhile may be left out.
        """
