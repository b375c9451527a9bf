"""
Searching the shards of a project.

A day that the question covers whole is read from end to end, as fast as the
disk gives it; of other days only the lines that the index names. Either way a
line must pass the byte filter before it is decoded, and a match counts only if
the index says that its line is the version of its span that counts.
"""

import heapq
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import orjson

from halo_daemon.errors import QueryError
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.store.conditions import attributes_hold
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.filters import SpanFilter
from halo_daemon.store.ids import SPAN_ID_BYTES, TRACE_ID_BYTES, key_of
from halo_daemon.store.paths import ShardName
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.query import SearchAnswer, SearchMatch, SearchQuery
from halo_daemon.store.rollups import spans_of
from halo_daemon.store.shard_files import Extent, ShardFiles
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_search import ValueSearch
from halo_daemon.store.span_sql import Condition, span_condition
from halo_daemon.store.trace_reader import Window

# Small enough that a block stays in the cache of a core from reading to matching, and that
# its memory is used again; megabytes at a time take two to three times as long.
_BLOCK_BYTES = 256 * 1024
_READ_LINES = 512


class _Line(NamedTuple):
    extent: Extent
    data: bytes


class _Place(NamedTuple):
    """Everything before it was looked at."""

    shard: ShardName
    offset: int


class LocalSearch:
    """
    One search over an index that has caught up.

    Raises:
        QueryError: The pattern or the cursor cannot be used.
    """

    def __init__(
        self,
        index: ProjectIndex,
        files: ShardFiles,
        window: Window,
        query: SearchQuery,
        *,
        now_s: Callable[[], float],
    ) -> None:
        self._index = index
        self._files = files
        self._window = window
        self._query = query
        self._now_s = now_s
        self._deadline_s = now_s() + query.time_limit_s
        self._values = ValueSearch(
            query.pattern,
            ignore_case=query.ignore_case,
            context_chars=query.context_chars,
            look_at_lines=query.look_at_lines,
        )
        self._judge = _Judge(index, window, query.filter)
        self._next = _parse_cursor(query.after)
        self._scanned_bytes = 0
        self._timed_out = False

    def run(self) -> SearchAnswer:
        """Search on until the end, the limit or the time limit."""
        matches: list[SearchMatch] = []
        next_cursor = ""
        for line in self._lines():
            found = self._match(line)
            if found is None:
                continue
            if len(matches) == self._query.limit:
                next_cursor = _cursor(self._next)
                break
            matches.append(found)
            self._next = _behind(line.extent)
        return SearchAnswer(
            matches=tuple(matches),
            scanned_bytes=self._scanned_bytes,
            next=_cursor(self._next) if self._timed_out else next_cursor,
            timed_out=self._timed_out,
        )

    def _match(self, line: _Line) -> SearchMatch | None:
        try:
            fields: JsonObject = orjson.loads(line.data)
        except ValueError:
            return None
        found = self._values.first_match(fields, line.data)
        if found is None or not self._judge.counts(fields, line.extent):
            return None
        return SearchMatch(
            trace_id=str(fields["trace_id"]),
            span_id=str(fields["span_id"]),
            name=str(fields["name"]),
            **found._asdict(),
        )

    def _lines(self) -> Iterator[_Line]:
        """Lines that can match and were not yet looked at, by day, shard and offset."""
        is_unfiltered = self._query.filter.model_copy(update={"attributes": ()}) == SpanFilter()
        for day in self._index.days:
            if self._next is not None and day.day < self._next.shard.day:
                continue
            if day.is_outside(self._window) and not day.has_shared:
                continue
            is_whole = is_unfiltered and day.is_within(self._window)
            for line in self._scan(day) if is_whole else self._read_named(day):
                if not self._is_done(line.extent):
                    yield line
            if self._timed_out:
                return

    def _is_done(self, extent: Extent) -> bool:
        return self._next is not None and extent[:2] < self._next

    def _has_time(self) -> bool:
        self._timed_out = self._now_s() >= self._deadline_s
        return not self._timed_out

    def _scan(self, day: DayIndex) -> Iterator[_Line]:
        """Read a day's shards from end to end."""
        rows = day.connection.execute("SELECT stem FROM shards ORDER BY stem").fetchall()
        for (stem,) in rows:
            shard = ShardName(day.day, stem)
            begin = self._next
            if begin is not None and shard < begin.shard:
                continue
            offset = begin.offset if begin is not None and shard == begin.shard else 0
            while True:
                data, lines_end = self._files.read_block(shard, offset, _BLOCK_BYTES)
                if not lines_end:
                    break
                for start, end in self._values.candidates(data, lines_end):
                    yield _Line(Extent(shard, offset + start, end - start), data[start:end])
                offset += lines_end
                self._scanned_bytes += lines_end
                if not self._has_time():
                    self._next = _Place(shard, offset)
                    return

    def _read_named(self, day: DayIndex) -> Iterator[_Line]:
        """Read the lines of a day that the indexes name."""
        named = heapq.merge(*(self._named(part, day.day) for part in (day, *self._index.merged)))
        while extents := list(islice(named, _READ_LINES)):
            for extent, line in zip(extents, self._files.read(extents), strict=True):
                if line is None:
                    continue
                self._scanned_bytes += len(line)
                if next(self._values.candidates(line + b"\n", len(line) + 1), None) is not None:
                    yield _Line(extent, line)
            if not self._has_time():
                self._next = max(self._next or _behind(extents[-1]), _behind(extents[-1]))
                return

    def _named(self, part: SpanIndex, day: str) -> Iterator[Extent]:
        """The lines of one day that *part* names, by shard and offset."""
        condition = span_condition(self._query.filter, Condition())
        condition.add_of(*spans_of(part, self._window))
        if not part.day:
            condition.add(f"d.stem LIKE {condition.mark(f'{day}/%')}")
        rows = part.connection.execute(
            "SELECT d.stem, s.offset, s.length FROM spans s"  # noqa: S608 -- marks only
            f" JOIN shards d ON d.id = s.shard WHERE {condition} ORDER BY d.stem, s.offset",
            condition.parameters,
        )
        return (Extent(part.shard(stem), offset, length) for stem, offset, length in rows)


def _behind(extent: Extent) -> _Place:
    """The place of the line after that of *extent*."""
    return _Place(extent.shard, extent.offset + extent.length + 1)


def _cursor(place: _Place | None) -> str:
    return f"{place.shard.day}/{place.shard.stem}/{place.offset}" if place else ""


def _parse_cursor(text: str) -> _Place | None:
    if not text:
        return None
    day, _, rest = text.partition("/")
    stem, _, offset = rest.partition("/")
    if not offset.isascii() or not offset.isdigit():
        raise QueryError(
            f"cannot continue a search after `{text[:80]}`",
            hint="pass the `next` of the answer before, unchanged",
        )
    return _Place(ShardName(day, stem), int(offset))


class _Judge:
    """Tells whether a line is a span that the question means."""

    def __init__(self, index: ProjectIndex, window: Window, wanted: SpanFilter) -> None:
        self._index = index
        self._wanted = wanted
        self._window = window

    def counts(self, fields: JsonObject, extent: Extent) -> bool:
        """Whether the index takes the line for the version that counts, in window and filter."""
        trace_id = key_of(str(fields["trace_id"]), TRACE_ID_BYTES)
        part = self._index.holder(trace_id)
        if part is None or not attributes_hold(fields, self._wanted.attributes):
            return False
        condition = span_condition(self._wanted, Condition())
        condition.add_of(*spans_of(part, self._window))
        condition.add(f"s.trace_id = {condition.mark(trace_id)}")
        span_id = key_of(str(fields["span_id"]), SPAN_ID_BYTES)
        condition.add(f"s.span_id = {condition.mark(span_id)}")
        condition.add(f"s.offset = {condition.mark(extent.offset)}")
        row = part.connection.execute(
            "SELECT d.stem FROM spans s"  # noqa: S608 -- marks only
            f" JOIN shards d ON d.id = s.shard WHERE {condition}",
            condition.parameters,
        ).fetchone()
        return row is not None and part.shard(row[0]) == extent.shard
