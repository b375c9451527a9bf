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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from halo_daemon.proto.semconv import with_events_joined
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.ids import id_of, trace_key
from halo_daemon.store.local_project import LocalProject
from halo_daemon.store.rollups import traces_in
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.trace_lines import (
    SpanLine,
    TraceLines,
    figures_of,
    find_lines,
    lines_of,
)
from halo_daemon.store.trace_parts import TracePart, find_part, size_of
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
    """With None where one could not be read."""


class LocalTraceLoader(LocalProject):
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
        super().__init__(root, project, now_unix_ns=now_unix_ns)
        self._settle_ns = int(settle_s * _NANOS)
        self._now_unix_ns = now_unix_ns
        self._max_answer_bytes = max_answer_bytes

    def load_trace(self, trace_id: str, *, after: str = "") -> Trace | None:
        """Load a trace, or a part of it; see `TraceReader.load_trace`."""
        key = trace_key(trace_id)
        if key is None:
            return None
        with self._lock:
            whole = self._index.answer(lambda: None if after else self._find_whole(key))
            loaded = self._read_lines([whole]) if whole is not None else None
        if loaded is None:
            return self._load_part(key, after)
        return next(self._load([key], loaded), None)

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """Load every trace of *window*; see `TraceReader.iter_traces`."""
        with self._lock:
            self._index.catch_up()
            shared = self._index.shared
            streams = [
                self._trace_ids(part.day, window, shared if part.day else ())
                for part in self._index.parts
            ]
        chunk: list[bytes] = []
        chunk_bytes = 0
        for trace_id, line_bytes, versions in heapq.merge(*streams):
            if not share.has(id_of(trace_id)):
                continue
            size_bytes = size_of(line_bytes, versions)
            if size_bytes > self._max_answer_bytes:
                yield from self._load(chunk)
                chunk, chunk_bytes = [], 0
                part = self._load_part(trace_id, "")
                if part is not None:
                    yield part
                continue
            chunk.append(trace_id)
            chunk_bytes += size_bytes
            if chunk_bytes >= _CHUNK_BYTES or len(chunk) >= _CHUNK_TRACES:
                yield from self._load(chunk)
                chunk, chunk_bytes = [], 0
        yield from self._load(chunk)

    def _trace_ids(
        self, name: str, window: Window, left_out: Collection[bytes]
    ) -> Iterator[tuple[bytes, int, int]]:
        """
        Traces of one index in *window*, with bytes and versions, by ascending id.

        Those that were indexed by the first call: beside a fast writer there is always one
        more. And without those *left_out*, which another index answered for by then.
        """
        with self._lock:
            last = self._index.ask(partial(self._last_row, name))
        after = b""
        while True:
            with self._lock:
                rows = self._index.ask(partial(self._page, name, window, after, last))
            yield from (row for row in rows if row[0] not in left_out)
            if len(rows) < _CHUNK_TRACES:
                return
            after = rows[-1][0]

    def _last_row(self, name: str) -> tuple[str, int]:
        """The file of an index, and the last row of its traces."""
        index = self._index.open_part(name)
        return ("", 0) if index is None else (index.file, index.last_trace_row())

    def _page(
        self, name: str, window: Window, after: bytes, last: tuple[str, int]
    ) -> list[tuple[bytes, int, int]]:
        index = self._index.open_part(name)
        if index is None:
            return []
        condition, parameters = traces_in(index, window)
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

    def _find_whole(self, trace_id: bytes) -> TraceLines | None:
        """Where the lines of a trace lie; None where they are too many for one answer, or none."""
        index = self._index.holder(trace_id)
        figures = figures_of(index, trace_id) if index is not None else None
        if index is None or figures is None:
            return None
        size_bytes = size_of(figures.line_bytes, figures.spans + figures.duplicates)
        if size_bytes > self._max_answer_bytes:
            return None
        return lines_of(index, trace_id, figures)

    def _load(
        self, trace_ids: Sequence[bytes], loaded: dict[bytes, _Loaded] | None = None
    ) -> Iterator[Trace]:
        """
        Load traces that an index names, in the given order; *loaded* is what was read already.

        Damaged lines are indexed anew once, then left out. Does not index what arrived since
        the caller caught up: beside a fast writer a scan would chase it for ever.
        """
        if loaded is None:
            loaded = self._read(trace_ids)
        for place, trace_id in enumerate(trace_ids):
            found = loaded.get(trace_id)
            trace, damaged = self._parse(*found) if found else (None, set())
            if found is None or len(found.stored.lines) < found.stored.figures.spans:
                damaged |= self._parts_that_list(trace_id)
            if damaged:
                loaded = self._read_again(trace_ids[place:], damaged)
                trace, _ = self._parse(*loaded[trace_id]) if trace_id in loaded else (None, set())
            loaded.pop(trace_id, None)
            if trace is not None:
                yield trace

    def _load_part(self, trace_id: bytes, after: str) -> Trace | None:
        """The part of a trace behind *after*; damaged lines as `_load` has it."""
        while True:
            part, trace, damaged = self._read_part(trace_id, after)
            if damaged:
                self._rebuild(damaged)
                part, trace, _ = self._read_part(trace_id, after)
            if trace is not None or part is None or part.cut is None:
                return trace
            # None of its lines could be read.
            after = part.cut.after

    def _read_part(
        self, trace_id: bytes, after: str
    ) -> tuple[TracePart | None, Trace | None, set[str]]:
        with self._lock:
            part = self._index.ask(lambda: self._find_part(trace_id, after))
            if part is None:
                return None, None, set()
            lines = sorted(part.lines, key=_EXTENT)
            found = self._files.read([line.extent for line in lines])
        trace, damaged = self._parse(part, zip(lines, found, strict=True))
        return part, trace and replace(trace, cut=part.cut), damaged

    def _find_part(self, trace_id: bytes, after: str) -> TracePart | None:
        index = self._index.holder(trace_id)
        figures = figures_of(index, trace_id) if index is not None else None
        if index is None or figures is None:
            return None
        return find_part(index, trace_id, figures, after=after, max_bytes=self._max_answer_bytes)

    def _parts_that_list(self, trace_id: bytes) -> set[str]:
        """Indexes that name a trace, by a look at every row."""
        query = "SELECT 1 FROM traces NOT INDEXED WHERE trace_id = ?"
        with self._lock:
            return self._index.answer(
                lambda: {
                    part.day
                    for part in self._index.parts
                    if part.connection.execute(query, (trace_id,)).fetchone() is not None
                }
            )

    def _read_again(self, trace_ids: Sequence[bytes], damaged: set[str]) -> dict[bytes, _Loaded]:
        self._rebuild(damaged)
        with self._lock:
            return self._read(trace_ids)

    def _rebuild(self, damaged: set[str]) -> None:
        with self._lock:
            self._files.close()
            for name in sorted(damaged):
                self._index.rebuild(name)
            self._index.catch_up()

    def _read(self, trace_ids: Sequence[bytes]) -> dict[bytes, _Loaded]:
        """Look traces up and read their lines."""
        with self._lock:
            return self._read_lines(self._index.ask(lambda: self._look_up(trace_ids)))

    def _read_lines(self, stored: Sequence[TraceLines]) -> dict[bytes, _Loaded]:
        """Read the lines of traces in order of place, which disks like."""
        wanted = sorted((line for trace in stored for line in trace.lines), key=_EXTENT)
        found = self._files.read([line.extent for line in wanted])
        loaded = {trace.trace_id: _Loaded(trace, []) for trace in stored}
        for line, data in zip(wanted, found, strict=True):
            loaded[line.trace_id].lines.append((line, data))
        return loaded

    def _look_up(self, trace_ids: Sequence[bytes]) -> list[TraceLines]:
        wanted: dict[SpanIndex, list[bytes]] = {}
        for trace_id in trace_ids:
            holder = self._index.holder(trace_id)
            if holder is not None:
                wanted.setdefault(holder, []).append(trace_id)
        return [
            found
            for index, of_index in wanted.items()
            for found in find_lines(index, of_index).values()
        ]

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
        figures = stored.figures
        is_quiet = self._now_unix_ns() - figures.last_received_ns >= self._settle_ns
        trace = Trace(
            trace_id,
            tuple(with_events_joined(spans)),
            figures.duplicates,
            is_open=not figures.has_ended_root and not is_quiet,
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
