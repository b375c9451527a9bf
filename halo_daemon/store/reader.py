"""
The `TraceReader` of a local data directory.

Counts come from the index; traces are loaded as `trace_loader` has it.
"""

from collections.abc import Iterator
from operator import itemgetter

from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.rollups import traces_of, window_condition
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.trace_loader import LocalTraceLoader
from halo_daemon.store.trace_reader import (
    Overview,
    TraceSummary,
    Window,
    WindowBy,
    fitting_names,
    fitting_summaries,
)
from halo_daemon.store.trace_summaries import summaries_of
from halo_daemon.store.trace_totals import sum_traces


class LocalTraceReader(LocalTraceLoader):
    """Reads one project of a data directory; see `TraceReader` for the promises."""

    def overview(self, window: Window) -> Overview:
        """Count what *window* holds; see `TraceReader.overview`."""
        with self._lock:
            return self._index.answer(lambda: self._overview(window))

    def list_traces(
        self, window: Window, *, limit: int = 50, offset: int = 0
    ) -> list[TraceSummary]:
        """List traces, the one that started last first; see `TraceReader.list_traces`."""
        with self._lock:
            return self._index.answer(lambda: self._list_traces(window, limit, offset))

    def _overview(self, window: Window) -> Overview:
        totals = sum_traces(self._index, window, TraceFilter())
        names, left_out_names = fitting_names(
            (totals.services, totals.models, totals.tools, totals.agents), self._max_answer_bytes
        )
        services, models, tools, agents = names
        return Overview(
            traces=totals.traces,
            spans=totals.spans,
            duplicate_spans=totals.duplicate_spans,
            error_traces=totals.error_traces,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            services=services,
            models=models,
            tools=tools,
            agents=agents,
            left_out_names=left_out_names,
            quarantined_lines=sum(_bad_lines(day, window) for day in self._index.days),
        )

    def _list_traces(self, window: Window, limit: int, offset: int) -> list[TraceSummary]:
        ranked: list[tuple[int, bytes, SpanIndex]] = []
        for part in self._index.parts:
            ranked.extend(_latest(part, window, offset + limit))
        ranked.sort(key=itemgetter(0, 1))
        page = ranked[offset : offset + limit]
        wanted: dict[SpanIndex, list[bytes]] = {}
        for _, trace_id, part in page:
            wanted.setdefault(part, []).append(trace_id)
        found: dict[bytes, TraceSummary] = {}
        for part, trace_ids in wanted.items():
            found |= summaries_of(part, trace_ids)
        summaries = (found[trace_id] for _, trace_id, _ in page)
        return fitting_summaries(summaries, self._max_answer_bytes)


def _bad_lines(day: DayIndex, window: Window) -> int:
    """Lines of the day's shards that are not canonical spans; a start time they have not."""
    _, parameters = window_condition(window)
    if window.by is WindowBy.START:
        query = "SELECT count(*) FROM bad_lines"
    else:
        query = (
            "SELECT count(*) FROM bad_lines WHERE received_ns >= :from_ns AND received_ns < :to_ns"
        )
    (count,) = day.connection.execute(query, parameters).fetchone()
    return int(count)


def _latest(part: SpanIndex, window: Window, limit: int) -> Iterator[tuple[int, bytes, SpanIndex]]:
    condition, parameters = traces_of(part, window)
    rows = part.connection.execute(
        "SELECT -t.first_start_ns, t.trace_id FROM traces t"  # noqa: S608 -- constants
        f" WHERE {condition} ORDER BY t.first_start_ns DESC, t.trace_id"
        " LIMIT :limit",
        {**parameters, "limit": limit},
    )
    for start, trace_id in rows:
        yield start, trace_id, part
