"""
Loading traces of a local data directory: what an analysis reads a window by.

Every call first lets the index catch up with the shards, so it sees whatever
was acknowledged before. Spans come from the shards by offset. Where a line is not what
the index said, the day's index is built again and the call repeated once; a line that is
still unreadable is left out.

A process that only reads traces loads this alone: what answers questions takes longer to
load than a small window takes to read.
"""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from threading import RLock
from typing import NamedTuple
from zlib import crc32

from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.ids import id_of, trace_key
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.projects import find_project
from halo_daemon.store.rollups import shared_in_window, traces_of_day
from halo_daemon.store.shard_files import ShardFiles
from halo_daemon.store.trace_lines import SpanLine, TraceLines, find_lines
from halo_daemon.store.trace_parts import TracePart, find_part, size_of, stored_size
from halo_daemon.store.trace_reader import MAX_ANSWER_BYTES, WHOLE, Share, Window

_CHUNK_BYTES = 8 * 1024**2
_CHUNK_TRACES = 500
_NANOS = 10**9
_ANY_ROW = 2**63 - 1
_BY_START = attrgetter("start_unix_ns", "span_id")
_EXTENT = attrgetter("extent")


class _Loaded(NamedTuple):
    stored: TraceLines
    lines: list[tuple[SpanLine, bytes | None]]
    """Of the versions that count; None where one could not be read."""


class LocalTraceLoader:
    """
    Loads the traces of one project of a data directory; see `TraceReader` for the promises.

    Threads take turns; for parallel reading give each its own reader.

    Args:
        root: The data directory.

        project: Slug or name of the project.

        settle_s: For how long after its last span a trace without an ended root
            counts as open.

        now_unix_ns: Wall clock, to tell open traces.

        max_answer_bytes: What one answer holds; of a trace, bytes of lines and `SPAN_BYTES`
            for each span.

    Raises:
        UnknownProjectError: There is no such project.
    """

    def __init__(
        self,
        root: Path,
        project: str,
        *,
        settle_s: float,
        now_unix_ns: Callable[[], int],
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        paths = DataPaths(root)
        self.project = find_project(paths, project)
        place = paths.project(self.project.slug)
        self._index = ProjectIndex(place, now_unix_ns=now_unix_ns)
        self._files = ShardFiles(place.spans)
        self._settle_ns = int(settle_s * _NANOS)
        self._now_unix_ns = now_unix_ns
        self._max_answer_bytes = max_answer_bytes
        self._lock = RLock()

    def close(self) -> None:
        """Close every file; a later call opens them again."""
        with self._lock:
            self._index.close()
            self._files.close()

    def load_trace(self, trace_id: str, *, after: str = "") -> Trace | None:
        """Load a trace, or a part of it; see `TraceReader.load_trace`."""
        key = trace_key(trace_id)
        if key is None:
            return None
        if after:
            with self._lock:
                self._index.catch_up()
            return self._load_part(key, after)
        with self._lock:
            stored = self._index.answer(lambda: self._find_whole(key))
            loaded = self._read_lines(stored or {})
        if stored is None:
            return self._load_part(key, "")
        return next(self._load({key: 0}, loaded), None)

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """Load every trace of *window*; see `TraceReader.iter_traces`."""
        with self._lock:
            shared = self._index.answer(lambda: shared_in_window(self._index, window))
            days = [day.day for day in self._index.days]
        streams = [self._trace_ids(day, window) for day in days]
        streams.append(
            iter([(trace.trace_id, trace.line_bytes, len(trace.versions)) for trace in shared])
        )
        chunk: dict[bytes, int] = {}
        chunk_bytes = 0
        for trace_id, line_bytes, versions in heapq.merge(*streams):
            if not share.has(id_of(trace_id)):
                continue
            size_bytes = size_of(line_bytes, versions)
            if size_bytes > self._max_answer_bytes:
                yield from self._load(chunk)
                chunk, chunk_bytes = {}, 0
                part = self._load_part(trace_id, "")
                if part is not None:
                    yield part
                continue
            chunk[trace_id] = line_bytes
            chunk_bytes += size_bytes
            if chunk_bytes >= _CHUNK_BYTES or len(chunk) >= _CHUNK_TRACES:
                yield from self._load(chunk)
                chunk, chunk_bytes = {}, 0
        yield from self._load(chunk)

    def _trace_ids(self, day: str, window: Window) -> Iterator[tuple[bytes, int, int]]:
        """
        Traces of one day alone in *window*, with bytes and versions, by ascending id.

        Those that were indexed by the first call: beside a fast writer there is always one more.
        """
        with self._lock:
            last = self._index.ask(partial(self._last_row, day))
        after = b""
        while True:
            with self._lock:
                rows = self._index.ask(partial(self._page, day, window, after, last))
            yield from rows
            if len(rows) < _CHUNK_TRACES:
                return
            after = rows[-1][0]

    def _last_row(self, day: str) -> tuple[str, int]:
        """The index file of a day, and the last row of its traces."""
        index = self._index.open_day(day)
        return ("", 0) if index is None else (index.file, index.last_trace_row())

    def _page(
        self, day: str, window: Window, after: bytes, last: tuple[str, int]
    ) -> list[tuple[bytes, int, int]]:
        index = self._index.open_day(day)
        if index is None:
            return []
        condition, parameters = traces_of_day(index, window)
        return index.connection.execute(
            "SELECT t.trace_id, t.bytes, t.spans + t.duplicates FROM traces t"  # noqa: S608 -- constants
            " WHERE t.trace_id > :after AND t.id <= :last"
            f" AND {condition} ORDER BY t.trace_id LIMIT :chunk",
            {
                **parameters,
                "after": after,
                # In a file that was built again meanwhile every row is another.
                "last": last[1] if index.file == last[0] else _ANY_ROW,
                "chunk": _CHUNK_TRACES,
            },
        ).fetchall()

    def _find_whole(self, trace_id: bytes) -> dict[bytes, TraceLines] | None:
        """The lines of a trace, unless they are too many for one answer; then None."""
        days = self._index.days_of(trace_id)
        if stored_size(days, trace_id) > self._max_answer_bytes:
            return None
        return find_lines({day: [trace_id] for day in days})

    def _load(
        self, listed: Mapping[bytes, int], loaded: dict[bytes, _Loaded] | None = None
    ) -> Iterator[Trace]:
        """
        Load traces in the given order; damaged lines are indexed anew once, then left out.

        Does not index what arrived since the caller caught up: beside a fast writer a scan
        would chase it for ever.

        *listed* gives the bytes that an index names for each: one that has less is damaged.
        *loaded* is what is read of them already, where it is.
        """
        trace_ids = list(listed)
        if loaded is None:
            loaded = self._read(trace_ids)
        for place, trace_id in enumerate(trace_ids):
            found = loaded.get(trace_id)
            trace, damaged_days = self._parse(*found) if found else (None, set())
            if (found.stored.line_bytes if found else 0) < listed[trace_id]:
                damaged_days |= self._days_that_list(trace_id)
            if damaged_days:
                loaded = self._read_again(trace_ids[place:], damaged_days)
                trace, _ = self._parse(*loaded[trace_id]) if trace_id in loaded else (None, set())
            loaded.pop(trace_id, None)
            if trace is not None:
                yield trace

    def _load_part(self, trace_id: bytes, after: str) -> Trace | None:
        """The part of a trace behind *after*; damaged lines as `_load` has it."""
        while True:
            part, trace, damaged_days = self._read_part(trace_id, after)
            if damaged_days:
                self._rebuild(damaged_days)
                part, trace, _ = self._read_part(trace_id, after)
            if trace is not None or part is None or part.cut is None:
                return trace
            # None of its lines could be read.
            after = part.cut.after

    def _read_part(
        self, trace_id: bytes, after: str
    ) -> tuple[TracePart | None, Trace | None, set[str]]:
        with self._lock:
            part = self._index.ask(
                lambda: find_part(
                    self._index.days_of(trace_id),
                    trace_id,
                    after=after,
                    max_bytes=self._max_answer_bytes,
                )
            )
            if part is None:
                return None, None, set()
            lines = sorted(part.lines, key=_EXTENT)
            found = self._files.read([line.extent for line in lines])
        trace, damaged_days = self._parse(part, zip(lines, found, strict=True))
        return part, trace and replace(trace, cut=part.cut), damaged_days

    def _days_that_list(self, trace_id: bytes) -> set[str]:
        """Days whose index names a trace, by a look at every row."""
        query = "SELECT 1 FROM traces NOT INDEXED WHERE trace_id = ?"
        with self._lock:
            return self._index.answer(
                lambda: {
                    day.day
                    for day in self._index.days
                    if day.connection.execute(query, (trace_id,)).fetchone() is not None
                }
            )

    def _read_again(self, trace_ids: list[bytes], damaged_days: set[str]) -> dict[bytes, _Loaded]:
        self._rebuild(damaged_days)
        with self._lock:
            return self._read(trace_ids)

    def _rebuild(self, damaged_days: set[str]) -> None:
        with self._lock:
            self._files.close()
            for day in sorted(damaged_days):
                self._index.rebuild(day)
            self._index.catch_up()

    def _read(self, trace_ids: list[bytes]) -> dict[bytes, _Loaded]:
        """Look traces up and read their lines."""
        with self._lock:
            return self._read_lines(self._index.ask(lambda: self._look_up(trace_ids)))

    def _read_lines(self, stored: Mapping[bytes, TraceLines]) -> dict[bytes, _Loaded]:
        """Read the lines of traces in order of place, which disks like."""
        wanted = sorted((line for trace in stored.values() for line in trace.lines), key=_EXTENT)
        found = self._files.read([line.extent for line in wanted])
        loaded = {trace_id: _Loaded(trace, []) for trace_id, trace in stored.items()}
        for line, data in zip(wanted, found, strict=True):
            loaded[line.trace_id].lines.append((line, data))
        return loaded

    def _look_up(self, trace_ids: list[bytes]) -> dict[bytes, TraceLines]:
        wanted: dict[DayIndex, list[bytes]] = {}
        for trace_id in trace_ids:
            for day in self._index.days_of(trace_id):
                wanted.setdefault(day, []).append(trace_id)
        return find_lines(wanted)

    def _parse(
        self, stored: TraceLines | TracePart, lines: Iterable[tuple[SpanLine, bytes | None]]
    ) -> tuple[Trace | None, set[str]]:
        """Build the trace from the lines that fit, and name the days of those that do not."""
        spans: list[Span] = []
        damaged_days = set()
        trace_id = id_of(stored.trace_id)
        for line, data in lines:
            span = _span_of(data)
            if span is None and data is not None and crc32(data) == line.crc:
                # As it was indexed, and still nothing to read, such as a number that no double
                # holds: to index it again would change nothing.
                continue
            if span is None or span.span_id != id_of(line.span_id) or span.trace_id != trace_id:
                damaged_days.add(line.extent.shard.day)
            else:
                spans.append(span)
        if not spans:
            return None, damaged_days
        spans.sort(key=_BY_START)
        is_quiet = self._now_unix_ns() - stored.last_received_ns >= self._settle_ns
        trace = Trace(
            trace_id,
            tuple(spans),
            stored.duplicates,
            is_open=not stored.has_ended_root and not is_quiet,
        )
        return trace, damaged_days


def _span_of(line: bytes | None) -> Span | None:
    if line is None:
        return None
    try:
        return Span.from_line(line)
    except ValueError:
        return None


def open_loader(
    root: Path, project: str, *, settle_s: float, max_answer_bytes: int
) -> LocalTraceLoader:
    """A loader by the wall clock."""
    return LocalTraceLoader(
        root,
        project,
        settle_s=settle_s,
        now_unix_ns=time.time_ns,
        max_answer_bytes=max_answer_bytes,
    )
