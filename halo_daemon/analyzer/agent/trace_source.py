"""
The traces that a run may look at: one window of one reader, with a row per trace.

Rows are read once, on first use, and kept for the run: they are small, and a
run asks for them in every turn. Whole traces are loaded when they are viewed.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.masking import template_of
from halo_daemon.proto.semconv import facts_of
from halo_daemon.proto.span import Span
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.trace import Trace
from halo_daemon.store.query import TraceQueries
from halo_daemon.store.trace_reader import TraceReader, Window

_MAX_SEQUENCE = 200
_MAX_ERROR_CHARS = 2_000


class TraceFilter(NamedTuple):
    """Which traces are meant; empty fields forbid nothing, lists match on any element."""

    has_errors: bool | None = None
    model_names: frozenset[str] = frozenset()
    service_names: frozenset[str] = frozenset()
    agent_names: frozenset[str] = frozenset()
    tool_names: frozenset[str] = frozenset()
    trace_ids: frozenset[str] = frozenset()
    session_ids: frozenset[str] = frozenset()
    project_id: str | None = None
    start_unix_ns_gte: int | None = None
    end_unix_ns_lte: int | None = None


@dataclass(frozen=True, slots=True)
class TraceRow:
    """What is known of one trace without its text."""

    trace_id: str
    span_count: int
    start_unix_ns: int
    end_unix_ns: int
    error_span_count: int
    service_names: tuple[str, ...]
    model_names: tuple[str, ...]
    agent_names: tuple[str, ...]
    tool_names: tuple[str, ...]
    session_id: str
    project_id: str
    input_tokens: int
    output_tokens: int
    raw_jsonl_bytes: int
    missing_parent_count: int
    duplicate_spans: int
    tool_sequence: tuple[str, ...]
    """Tools in the order of their calls, the first 200."""

    error_templates: tuple[str, ...]
    """What errors say, masked; sorted."""

    @classmethod
    def of(cls, trace: Trace) -> "TraceRow":
        """Count one trace."""
        spans, usage = trace.spans, facts_of(trace).usage
        return cls(
            trace_id=trace.trace_id,
            span_count=len(spans),
            start_unix_ns=trace.start_unix_ns,
            end_unix_ns=trace.end_unix_ns,
            error_span_count=sum(has_error(span) for span in spans),
            service_names=distinct(span.service_name for span in spans),
            model_names=distinct(span.model for span in spans),
            agent_names=distinct(span.agent_name for span in spans),
            tool_names=distinct(span.tool_name for span in spans),
            session_id=next((span.session_id for span in spans if span.session_id), ""),
            project_id=next(filter(None, (s.text("inference.project_id") for s in spans)), ""),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            raw_jsonl_bytes=sum(len(span.to_line()) for span in spans),
            missing_parent_count=trace.missing_parents,
            duplicate_spans=trace.duplicate_spans,
            tool_sequence=tuple(s.tool_name for s in spans if s.tool_name)[:_MAX_SEQUENCE],
            error_templates=distinct(
                template_of(span.status_message[:_MAX_ERROR_CHARS])
                for span in spans
                if has_error(span)
            ),
        )

    @property
    def duration_ms(self) -> int:
        """From the first start to the last end; 0 while nothing has ended."""
        return max(0, self.end_unix_ns - self.start_unix_ns) // 1_000_000

    @property
    def end_time(self) -> str:
        """When the last span ended, as text; ``""`` while none has."""
        return format_unix_ns(self.end_unix_ns) if self.end_unix_ns else ""

    def matches(self, wanted: TraceFilter) -> bool:
        """Whether every field of *wanted* holds."""
        return (
            wanted.has_errors in {None, self.error_span_count > 0}
            and _any(wanted.model_names, self.model_names)
            and _any(wanted.service_names, self.service_names)
            and _any(wanted.agent_names, self.agent_names)
            and _any(wanted.tool_names, self.tool_names)
            and _any(wanted.trace_ids, (self.trace_id,))
            and _any(wanted.session_ids, (self.session_id,))
            and wanted.project_id in {None, self.project_id}
            and self.start_unix_ns >= (wanted.start_unix_ns_gte or 0)
            and (wanted.end_unix_ns_lte is None or self.end_unix_ns <= wanted.end_unix_ns_lte)
        )


@dataclass(slots=True)
class TraceSource:
    """One window of traces, and which of them were opened."""

    reader: TraceReader
    window: Window
    queries: TraceQueries | None = None
    """An index that answers faster than reading everything; None where there is none."""

    viewed: set[str] = field(default_factory=set)
    """Traces whose text was shown to a model."""

    _rows: list[TraceRow] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def rows(self) -> list[TraceRow]:
        """One row per trace, by trace id."""
        with self._lock:
            if self._rows is None:
                self._rows = [TraceRow.of(trace) for trace in self.reader.iter_traces(self.window)]
            return self._rows

    def count(self) -> int:
        """Read the rows unless they are read already; how many traces there are."""
        return len(self.rows)

    def select(self, wanted: TraceFilter) -> list[TraceRow]:
        """Rows that match, by trace id."""
        return [row for row in self.rows if row.matches(wanted)]

    def load(self, trace_id: str) -> Trace:
        """
        Load one trace that the run may look at.

        Raises:
            EngineToolError: There is no such trace in the window.
        """
        known = any(row.trace_id == trace_id for row in self.rows)
        trace = self.reader.load_trace(trace_id) if known else None
        if trace is None:
            raise EngineToolError(
                f"no trace `{trace_id[:64]}`", hint="take ids from `query_traces`; never invent one"
            )
        self.viewed.add(trace_id)
        return trace


def has_error(span: Span) -> bool:
    """Whether the status is ERROR or a signal outside the status says so."""
    return span.has_error_status or span.has_derived_error


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """The different texts that are not empty, sorted."""
    return tuple(sorted({text for text in texts if text}))


def _any(wanted: frozenset[str], found: tuple[str, ...]) -> bool:
    return not wanted or not wanted.isdisjoint(found)
