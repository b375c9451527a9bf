"""
The traces that a run may look at: one window, asked by index and read by trace.

Questions go to the store's index, whose answers take milliseconds however large
the window is. Spans are read where their words are wanted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.masking import template_of
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.query import (
    MAX_PAGE,
    SearchQuery,
    TracePage,
    TraceQueries,
    TraceQuery,
    TraceTotals,
)
from halo_daemon.store.records import TraceRecord
from halo_daemon.store.trace_reader import TraceReader, Window, parts_of

MAX_COMPARED = 20_000
"""Traces of one group that are compared; of more, those that started last."""

_ID_CHARS = 64
_MAX_LISTED = 10_000

NO_TRACE = "-"
"""An id that no trace has: a filter for it means none, where no ids would mean all."""


class TraceSteps(NamedTuple):
    """What a trace does, in words that can be compared."""

    trace_id: str
    span_count: int
    model_names: tuple[str, ...]
    agent_names: tuple[str, ...]
    tool_names: tuple[str, ...]
    tool_sequence: tuple[str, ...]
    """Tools in the order of their calls, the first 200."""

    error_templates: tuple[str, ...]
    """What the first errors say, masked; sorted."""

    @classmethod
    def of(cls, trace: TraceRecord) -> "TraceSteps":
        """What the index knows of one trace, which was asked for names and steps."""
        assert trace.names is not None, "asked for"
        assert trace.steps is not None, "asked for"
        return cls(
            trace_id=trace.trace_id,
            span_count=trace.spans,
            model_names=trace.names.models,
            agent_names=trace.names.agents,
            tool_names=trace.names.tools,
            tool_sequence=trace.steps.tools,
            error_templates=distinct(map(template_of, trace.steps.messages)),
        )


class Compared(NamedTuple):
    """Traces to be compared."""

    traces: list[TraceSteps]
    left_out: int
    """Traces beyond the bound, which are not looked at."""


@dataclass(slots=True)
class TraceSource:
    """One window of traces, and which of them were opened."""

    reader: TraceReader
    window: Window
    queries: TraceQueries
    """The same traces, by index."""

    viewed: set[str] = field(default_factory=set)
    """Traces whose text was shown to a model."""

    listed: set[str] = field(default_factory=set)
    """Some ids that traces of the window have: those that were told last."""

    max_compared: int = MAX_COMPARED
    """Traces of one group that `steps` tells of."""

    _count: int | None = None

    def count(self) -> int:
        """How many traces there are, as of the first call."""
        if self._count is None:
            self._count = self.page(TraceQuery(limit=1)).total
        return self._count

    def totals(self, wanted: TraceFilter) -> TraceTotals:
        """What the traces of a filter hold together."""
        return self.queries.sum_traces(self.window, wanted)

    def page(self, query: TraceQuery) -> TracePage:
        """A page of traces."""
        page = self.queries.query_traces(self.window, query)
        if len(self.listed) > _MAX_LISTED:
            self.listed.clear()
        self.listed.update([trace.trace_id for trace in page.traces])
        return page

    def known(self, trace_ids: Iterable[str]) -> set[str]:
        """Those ids that traces of the window have."""
        found: set[str] = set()
        wanted = tuple(dict.fromkeys(trace_ids))
        for start in range(0, len(wanted), MAX_PAGE):
            part = TraceFilter(trace_ids=wanted[start : start + MAX_PAGE])
            page = self.page(TraceQuery(filter=part, limit=MAX_PAGE))
            found.update(trace.trace_id for trace in page.traces)
        return found

    def matching(self, pattern: str) -> set[str]:
        """
        Ids of the traces with a span whose text matches an RE2 pattern.

        Raises:
            QueryError: The pattern cannot be used.
            EngineToolError: Time ran out.
        """
        found: set[str] = set()
        query = SearchQuery(pattern=pattern, look_at_lines=True, limit=MAX_PAGE)
        while True:
            answer = self.queries.search(self.window, query)
            found.update(match.trace_id for match in answer.matches)
            if answer.timed_out:
                raise EngineToolError(
                    f"`{pattern[:80]}` took more than {query.time_limit_s:g} s over all traces",
                    hint="search for a longer literal, or narrow the other filters",
                )
            if not answer.next:
                return found
            query = query.model_copy(update={"after": answer.next})

    def load(self, trace_id: str, *, after: str = "") -> Trace:
        """
        Load one trace that the run may look at, or the part of it that follows span *after*.

        Capitals in its id do not matter. Where the trace is too large for one answer, its
        `cut` says what follows.

        Raises:
            EngineToolError: There is no such trace in the window, or nothing after the span.
            QueryError: The trace has no span *after*.
        """
        for spelling in dict.fromkeys((trace_id, trace_id.strip().lower())):
            is_known = spelling in self.listed or bool(self.known([spelling]))
            trace = self.reader.load_trace(spelling, after=after) if is_known else None
            if is_known and after and trace is None:
                raise EngineToolError(
                    f"nothing follows span `{after[:_ID_CHARS]}` in trace {spelling}"
                )
            if trace is not None:
                self.viewed.add(trace.trace_id)
                return trace
        raise EngineToolError(
            f"no trace `{trace_id[:_ID_CHARS]}`",
            hint="take ids from `query_traces`; never invent one",
        )

    def parts(self, trace_id: str) -> Iterator[Trace]:
        """
        The parts of one trace, nearly always one; each is read when it is asked for.

        Raises:
            EngineToolError: There is no such trace in the window.
        """
        return parts_of(self.reader.load_trace, self.load(trace_id))

    def part_with(self, trace_id: str, span_id: str) -> Trace:
        """
        The part of a trace that has a span.

        Raises:
            EngineToolError: There is no such trace in the window, or no such span in it.
        """
        for part in self.parts(trace_id):
            if span_id in part.by_id:
                return part
        raise EngineToolError(
            f"no span `{span_id[:_ID_CHARS]}` in trace {trace_id[:_ID_CHARS]}",
            hint="take span ids from `view_trace` or `search_trace`",
        )

    def traces(self, wanted: TraceFilter) -> Iterator[Trace]:
        """Load the traces of a filter, by trace id."""
        if wanted == TraceFilter():
            yield from self.reader.iter_traces(self.window)
            return
        for trace_id in sorted(self.ids(wanted)):
            trace = self.reader.load_trace(trace_id)
            if trace is not None:
                yield trace

    def ids(self, wanted: TraceFilter) -> list[str]:
        """Ids of the traces of a filter, by start."""
        found: list[str] = []
        while True:
            query = TraceQuery(filter=wanted, descending=False, limit=MAX_PAGE, offset=len(found))
            page = self.page(query)
            found += [trace.trace_id for trace in page.traces]
            if len(found) >= page.total or not page.traces:
                return found

    def steps(self, wanted: TraceFilter) -> Compared:
        """
        What each trace of a filter does, by trace id.

        Of more than `max_compared` those that started last.
        """
        found: dict[str, TraceSteps] = {}
        offset = total = 0
        while offset < self.max_compared:
            limit = min(MAX_PAGE, self.max_compared - offset)
            query = TraceQuery(
                filter=wanted, limit=limit, offset=offset, with_names=True, with_steps=True
            )
            page = self.page(query)
            found |= {trace.trace_id: TraceSteps.of(trace) for trace in page.traces}
            total = page.total
            offset += limit
            if offset >= total:
                break
        rows = [found[trace_id] for trace_id in sorted(found)]
        return Compared(rows, max(0, total - len(rows)))


def has_error(span: Span) -> bool:
    """Whether the status is ERROR or a signal outside the status says so."""
    return span.has_error_status or span.has_derived_error


def distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """The different texts that are not empty, sorted."""
    return tuple(sorted({text for text in texts if text}))
