"""
`TraceQueries` over the index of a local data directory.

A day's index answers for the traces that it alone holds, another one for those
with rows in several days. Conditions on attributes read the lines that the other
conditions leave.
"""

import heapq
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import orjson

from halo_daemon.store import day_totals
from halo_daemon.store.aggregates import Row, aggregate_rows, places_for
from halo_daemon.store.conditions import attributes_hold
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.ids import id_of
from halo_daemon.store.local_project import LocalProject
from halo_daemon.store.local_search import LocalSearch
from halo_daemon.store.query import (
    AggregateAnswer,
    AggregateQuery,
    SearchAnswer,
    SearchQuery,
    SpanOrder,
    SpanPage,
    SpanQuery,
    TracePage,
    TraceQuery,
    TraceTotals,
)
from halo_daemon.store.rollups import spans_of
from halo_daemon.store.shape_counts import count_spans
from halo_daemon.store.shard_files import Extent
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_sql import (
    DURATION_NS,
    RECORD_COLUMNS,
    TOKENS,
    Condition,
    columns_of,
    is_of_shape_only,
    record_from_row,
    shape_condition,
    span_condition,
)
from halo_daemon.store.trace_query import (
    matching_traces,
    query_traces,
    sums_of,
)
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.trace_totals import sum_traces

_READ_LINES = 512
_MAX_SHAPES = 300
_ID_DIGITS = 32
_SPANS = day_totals.COLUMNS.index("spans")


_ANY_TRACE, _ANY_SPAN = TraceFilter(), SpanFilter()

_OverSpans = SpanQuery | AggregateQuery
"""Questions about spans that meet a filter, of traces that meet another."""

_ORDER = {
    SpanOrder.START: "s.start_ns",
    SpanOrder.DURATION: DURATION_NS,
    SpanOrder.TOKENS: TOKENS,
    SpanOrder.COST: "coalesce(s.cost_usd, 0)",
}


_OF_SHAPES = frozenset({SpanOrder.START, SpanOrder.DURATION})
"""Orders that an index has for the spans of each shape."""


class _Place(NamedTuple):
    part: SpanIndex
    row_id: int


class _Ranked(NamedTuple):
    rank: float
    trace_id: bytes
    span_id: bytes
    found: Row | _Place
    """The span, or where to read it."""


class LocalQueries(LocalProject):
    """
    Answers questions over one project; see `TraceQueries` for the promises.

    Threads take turns; for parallel questions give each its own object.

    Args:
        root: The data directory.

        project: Slug or name of the project.

        now_unix_ns: Wall clock, to know which days may still grow.

        now_monotonic_s: Clock of time limits.

    Raises:
        UnknownProjectError: There is no such project.
    """

    def __init__(
        self,
        root: Path,
        project: str,
        *,
        now_unix_ns: Callable[[], int],
        now_monotonic_s: Callable[[], float],
    ) -> None:
        super().__init__(root, project, now_unix_ns=now_unix_ns)
        self._now_monotonic_s = now_monotonic_s

    def query_traces(self, window: Window, query: TraceQuery) -> TracePage:
        """One page of traces."""
        with self._lock:
            return self._index.answer(lambda: query_traces(self._index, window, query))

    def sum_traces(self, window: Window, wanted: TraceFilter) -> TraceTotals:
        """What the traces that *wanted* means hold together."""
        with self._lock:
            totals = self._index.answer(lambda: sum_traces(self._index, window, wanted))
        return totals.with_first_names()

    def query_spans(self, window: Window, query: SpanQuery) -> SpanPage:
        """One page of the spans of the traces in *window*."""
        with self._lock:
            return self._index.answer(lambda: self._query_spans(window, query))

    def aggregate(self, window: Window, query: AggregateQuery) -> AggregateAnswer:
        """Figures over groups of the spans of the traces in *window*."""
        with self._lock:
            return self._index.answer(lambda: aggregate_rows(self._rows(window, query), query))

    def search(self, window: Window, query: SearchQuery) -> SearchAnswer:
        """Spans of the traces in *window* with a value that matches a pattern."""
        with self._lock:
            return self._index.answer(
                lambda: LocalSearch(
                    self._index, self._files, window, query, now_s=self._now_monotonic_s
                ).run()
            )

    def find_traces(self, prefix: str, *, limit: int = 10) -> list[str]:
        """Ids that begin with *prefix*, in order; empty for what is no beginning of an id."""
        digits = prefix.lower()
        if len(digits) > _ID_DIGITS or not set(digits) <= set("0123456789abcdef"):
            return []
        first = bytes.fromhex(digits.ljust(_ID_DIGITS, "0"))
        last = bytes.fromhex(digits.ljust(_ID_DIGITS, "f"))
        with self._lock:
            return self._index.answer(lambda: self._find_traces(first, last, limit))

    def _find_traces(self, first: bytes, last: bytes, limit: int) -> list[str]:
        found: set[bytes] = set()
        for day in self._index.days:
            rows = day.connection.execute(
                "SELECT trace_id FROM traces WHERE trace_id BETWEEN ? AND ?"
                " ORDER BY trace_id LIMIT ?",
                (first, last, limit),
            )
            found.update(trace_id for (trace_id,) in rows)
        return [id_of(trace_id) for trace_id in sorted(found)[:limit]]

    def _query_spans(self, window: Window, query: SpanQuery) -> SpanPage:
        end = query.offset + query.limit
        if query.filter.attributes:
            total, ranked = _count_and_rank(self._rows(window, query), query, end)
        else:
            ranked = []
            total = 0
            for part in self._parts_of(window):
                condition = self._condition(part, window, query)
                total += self._count_of(part, window, query, condition)
                ranked += self._first_of(part, condition, query)
            ranked.sort(key=lambda entry: entry[:3])
        rows = _read_places([entry.found for entry in ranked[query.offset : end]])
        return SpanPage(spans=tuple(map(record_from_row, rows)), total=total)

    def _count_of(
        self, part: SpanIndex, window: Window, query: SpanQuery, condition: Condition
    ) -> int:
        if query.filter == _ANY_SPAN:
            # Traces know how many spans they have, and are far fewer.
            return int(sums_of(part, window, query.traces)[_SPANS])
        is_whole = query.traces == _ANY_TRACE and part.is_within(window)
        if is_whole and is_of_shape_only(query.filter):
            return count_spans(part, query.filter)
        count = f"SELECT count(*) FROM spans s WHERE {condition}"  # noqa: S608 -- marks only
        (total,) = part.connection.execute(count, condition.parameters).fetchone()
        return int(total)

    def _first_of(
        self, part: SpanIndex, condition: Condition, query: SpanQuery
    ) -> Iterator[_Ranked]:
        """The spans of an index that can be on the page, and some more."""
        sign, direction = (-1, "DESC") if query.descending else (1, "ASC")
        value = _ORDER[query.order_by]
        end = condition.mark(query.offset + query.limit)
        shapes = self._shapes(part, query)
        statement = (
            f"SELECT {value}, s.trace_id, s.span_id, s.id FROM spans s WHERE {condition}"  # noqa: S608 -- marks only
            f" ORDER BY {value} {direction}, s.trace_id, s.span_id LIMIT {end}"
        )
        if shapes:
            # Each shape has its spans in order already, so that nothing is sorted whole; the
            # worst value that can be on the page tells which of them are worth a look.
            wanted = f"s.shape = :shape AND {condition}"
            values = (
                f"SELECT {value} FROM spans s WHERE {wanted}"  # noqa: S608 -- marks only
                f" ORDER BY {value} {direction} LIMIT {end}"
            )
            reached = [
                reached
                for shape in shapes
                for (reached,) in part.connection.execute(
                    values, {**condition.parameters, "shape": shape}
                )
            ]
            if not reached:
                return
            reached.sort(reverse=query.descending)
            worst = reached[: query.offset + query.limit][-1]
            bound = f"{value} {'>=' if query.descending else '<='} {condition.mark(worst)}"
            statement = (
                f"SELECT {value}, s.trace_id, s.span_id, s.id FROM spans s"  # noqa: S608 -- marks only
                f" WHERE {wanted} AND {bound}"
                f" ORDER BY {value} {direction}, s.trace_id, s.span_id LIMIT {end}"
            )
        for shape in shapes or [0]:
            rows = part.connection.execute(statement, {**condition.parameters, "shape": shape})
            for rank, trace_id, span_id, row_id in rows:
                yield _Ranked(sign * rank, trace_id, span_id, _Place(part, row_id))

    def _shapes(self, part: SpanIndex, query: SpanQuery) -> list[int]:
        """The few shapes that decide *query*; empty when it takes more than shapes."""
        if query.order_by not in _OF_SHAPES or not is_of_shape_only(query.filter):
            return []
        if query.traces.trace_ids or query.traces.any_span:
            return []
        condition = Condition()
        wanted = shape_condition(query.filter, condition) or "1"
        rows = part.connection.execute(
            f"SELECT id FROM shapes WHERE {wanted} LIMIT {_MAX_SHAPES + 1}",  # noqa: S608 -- marks only
            condition.parameters,
        ).fetchall()
        return [shape for (shape,) in rows] if len(rows) <= _MAX_SHAPES else []

    def _rows(self, window: Window, query: _OverSpans) -> Iterator[Row]:
        """Rows of all spans that *query* means, by day and place."""
        wanted = query.filter
        columns = _columns_for(query)
        for part in self._parts_of(window):
            condition = self._condition(part, window, query)
            rows = part.connection.execute(
                f"SELECT {columns}, d.stem, s.offset FROM spans s"  # noqa: S608 -- marks only
                " JOIN shapes h ON h.id = s.shape JOIN shards d ON d.id = s.shard"
                f" WHERE {condition} ORDER BY s.id",
                condition.parameters,
            )
            yield from self._with_attributes(part, rows, wanted)

    def _with_attributes(
        self, part: SpanIndex, rows: Iterator[Row], wanted: SpanFilter
    ) -> Iterator[Row]:
        if not wanted.attributes:
            yield from rows
            return
        while chunk := list(islice(rows, _READ_LINES)):
            extents = [Extent(part.shard(row[-2]), row[-1], row[22]) for row in chunk]
            for row, line in zip(chunk, self._files.read(extents), strict=True):
                if line is not None and attributes_hold(orjson.loads(line), wanted.attributes):
                    yield row

    def _parts_of(self, window: Window) -> list[SpanIndex]:
        """Indexes that can answer for a trace of *window*."""
        return [part for part in self._index.parts if not part.is_outside(window)]

    def _condition(self, part: SpanIndex, window: Window, query: _OverSpans) -> Condition:
        condition = span_condition(query.filter, Condition())
        if query.traces != _ANY_TRACE:
            chosen = matching_traces(part, window, query.traces)
            condition.add("s.superseded = 0")
            named = f"s.trace_id IN (SELECT t.trace_id FROM traces t WHERE {chosen})"  # noqa: S608 -- marks only
            condition.add_of(named, chosen.parameters)
        else:
            condition.add_of(*spans_of(part, window))
        return condition


def _read_places(found: list[Row | _Place]) -> list[Row]:
    """The rows, in the same order, those read that are told by their place."""
    wanted: dict[SpanIndex, list[int]] = {}
    for one in found:
        if isinstance(one, _Place):
            wanted.setdefault(one.part, []).append(one.row_id)
    rows: dict[tuple[SpanIndex, int], Row] = {}
    for part, row_ids in wanted.items():
        read = part.connection.execute(
            f"SELECT s.id, {RECORD_COLUMNS} FROM spans s JOIN shapes h ON h.id = s.shape"  # noqa: S608 -- marks only
            f" WHERE s.id IN ({', '.join('?' * len(row_ids))})",
            row_ids,
        )
        rows |= {(part, row[0]): row[1:] for row in read}
    return [rows[one] if isinstance(one, _Place) else one for one in found]


def _columns_for(query: _OverSpans) -> str:
    return RECORD_COLUMNS if isinstance(query, SpanQuery) else columns_of(places_for(query))


def _rank(row: Row, order_by: SpanOrder, sign: int) -> _Ranked:
    start_ns, end_ns, input_tokens, output_tokens, cost_usd = row[17:22]
    value: float = start_ns
    if order_by is SpanOrder.DURATION:
        value = max(0, end_ns - start_ns) if end_ns else 0
    elif order_by is SpanOrder.TOKENS:
        value = (input_tokens or 0) + (output_tokens or 0)
    elif order_by is SpanOrder.COST:
        value = cost_usd or 0.0
    return _Ranked(sign * value, row[0], row[1], row)


def _count_and_rank(rows: Iterator[Row], query: SpanQuery, most: int) -> tuple[int, list[_Ranked]]:
    """Count all rows and keep the first *most* of their order."""
    sign = -1 if query.descending else 1
    total = 0

    def ranked() -> Iterator[_Ranked]:
        nonlocal total
        for row in rows:
            total += 1
            yield _rank(row, query.order_by, sign)

    kept = heapq.nsmallest(most, ranked(), key=lambda entry: entry[:3])
    return total, kept
