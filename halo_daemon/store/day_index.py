"""
The index of one project's day: one SQLite file, derived from the day's shards.

Theory of operation
===================

Shards only grow, so the index remembers for each how many bytes it has read
and `index_block` reads on from there: complete lines only, one transaction a
block. The caller holds the project's index lock, so the catch-ups of several
processes take turns, and each begins where the last one ended.

A span that was delivered twice has two rows. The unique index over winners
makes the second insert a no-op, which shows as a count that is too small; only
then are versions compared (`proto.trace.later_version`, told by the end, then
by arrival) and the loser marked superseded. Blocks without re-deliveries, the
rule, pay nothing for it.

Rollups of traces are added up from the new rows, and counted again from all
rows for the traces that had a re-delivery, or model calls around others (`enclosing`).

Whatever does not fit (a shard that is gone or shorter than what was read of
it, another schema, an SQLite error) raises `StaleIndexError` or
`sqlite3.DatabaseError`; the owner deletes the file and builds it again.
"""

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

from halo_daemon.log import get_logger
from halo_daemon.store import day_totals, index_schema as sql
from halo_daemon.store.catalog import NewTrace
from halo_daemon.store.database import StaleIndexError, inode_of, open_database, transaction
from halo_daemon.store.enclosing import (
    calls_with_children,
    grown_below_calls,
    mark_enclosing,
)
from halo_daemon.store.paths import PLAIN_SUFFIX, DayPaths, stem_of
from halo_daemon.store.receipts import Receipts
from halo_daemon.store.shard_files import ShardReader, open_shard, read_block, read_groups
from halo_daemon.store.span_row import (
    SPAN_COLUMNS,
    BadLine,
    ParsedBlock,
    Shape,
    SpanRow,
    bindable,
    by_trace,
    parse_block,
)
from halo_daemon.store.structure import add_structure
from halo_daemon.store.trace_names import add_names
from halo_daemon.store.trace_reader import Window, WindowBy

log = get_logger()

_BLOCK_BYTES = 16 * 1024**2
_PIECE_BYTES = 512 * 1024
"""What is read and parsed in one go stays in the processor's cache."""

_Piece = tuple[int, bytes]
"""An offset in a shard, complete lines from there on, and the beginning of another."""


class Reach(NamedTuple):
    """How far the shards of a day went at one moment."""

    changed_unix_ns: int
    """When the day's directory last got or lost an entry."""
    sizes_bytes: dict[str, int]
    """Plain bytes of each shard, by stem."""


class _ShardState(NamedTuple):
    id: int
    indexed_bytes: int


class DayIndex:
    """
    One day's index, open. Not safe to use from two threads at a time.

    Attributes:
        paths: The day's files.
        day: The UTC day of receipt.
        connection: For questions.
        file: Names this very index file; one that is built again has another name.
        has_shared: Whether some traces have rows elsewhere too.

    Raises:
        StaleIndexError: The file was written by another version.
        sqlite3.Error: The file is damaged, or the disk refused.
    """

    def __init__(self, paths: DayPaths) -> None:
        self.paths = paths
        self.connection = open_database(paths.index, sql.DAY_SCHEMA)
        self.connection.execute(
            "CREATE TEMP TABLE shared (trace_id BLOB PRIMARY KEY) WITHOUT ROWID"
        )
        with transaction(self.connection):
            self.connection.execute(
                "INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (secrets.token_hex(8),)
            )
        (identity,) = self.connection.execute(
            "SELECT value FROM meta WHERE key = 'identity'"
        ).fetchone()
        self.day = paths.day
        self.file = f"{self.day}/{identity}"
        # As text: these are asked for before every answer.
        self._directory, self._path = os.fspath(paths.directory), os.fspath(paths.index)
        self._inode = inode_of(self._path)
        # Another file at the index's path changes the directory as well.
        self._is_beside_spans = paths.derived is None
        self.has_shared = False
        self._shapes: dict[Shape, int] = {}
        self._reached: Reach | None = None

    @property
    def is_current_file(self) -> bool:
        """Whether the file at the index's path is still the one that is open here."""
        return inode_of(self._path) == self._inode

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def is_unchanged(self, *, may_grow: bool) -> bool:
        """
        Whether this is still the index, and no shard changed since they were all in it.

        A day that is over (*may_grow* is false) changes only with its directory's
        entries, which one look tells.
        """
        return (
            self._reached is not None
            and self._directory_changed_ns() == self._reached.changed_unix_ns
            and (self._is_beside_spans or self.is_current_file)
            and (not may_grow or self._sizes() == self._reached.sizes_bytes)
        )

    def reach(self) -> Reach:
        """How far the shards go by now."""
        return Reach(self._directory_changed_ns(), self._sizes())

    def index_block(self, goal: Reach, enter: Callable[[list[NewTrace]], None]) -> bool:
        """
        Index the next block of new lines, in one transaction.

        Args:
            goal: Where to stop. Without it a catch-up beside a fast writer would never
                end: there is always a line more by the time a block is indexed.
            enter: Called before the transaction ends with the traces that the day
                had no span of before.

        Returns:
            Whether there was anything to index before *goal*.
        """
        sizes = self._sizes()
        states = self._states()
        missing = states.keys() - sizes.keys()
        if missing:
            raise StaleIndexError(f"shards of {self.day} are gone: {sorted(missing)[:3]}")
        for stem in sorted(sizes):
            state = states.get(stem, _ShardState(0, 0))
            if sizes[stem] < state.indexed_bytes:
                raise StaleIndexError(f"{stem} has {sizes[stem]} bytes of {state.indexed_bytes}")
            is_wanted = min(sizes[stem], goal.sizes_bytes.get(stem, 0)) > state.indexed_bytes
            if is_wanted and self._read_on(stem, state, enter):
                return True
        self._reached = goal
        return False

    def is_within(self, window: Window) -> bool:
        """Whether every trace of the day is in *window*, by its rows of this day alone."""
        bounds = self._bounds_of(window)
        return bounds is None or (
            window.from_unix_ns <= bounds[0] and bounds[1] < window.to_unix_ns
        )

    def is_outside(self, window: Window) -> bool:
        """Whether no trace of the day is in *window*, by its rows of this day alone."""
        bounds = self._bounds_of(window)
        return bounds is None or bounds[1] < window.from_unix_ns or bounds[0] >= window.to_unix_ns

    def set_shared(self, trace_ids: Iterable[bytes]) -> None:
        """Say which traces have rows elsewhere too; queries find them in ``temp.shared``."""
        rows = [(trace_id,) for trace_id in trace_ids]
        self.connection.execute("DELETE FROM temp.shared")
        self.connection.executemany("INSERT INTO temp.shared VALUES (?)", rows)
        self.has_shared = bool(rows)

    def _bounds_of(self, window: Window) -> tuple[int, int] | None:
        bounds = day_totals.read_bounds(self.connection)
        if bounds is None:
            return None
        return bounds[:2] if window.by is WindowBy.START else bounds[2:]

    def trace_ids(self) -> Iterable[bytes]:
        """Every trace of the day, in no order."""
        return (row[0] for row in self.connection.execute("SELECT trace_id FROM traces"))

    def last_trace_row(self) -> int:
        """Row of the trace that came last; 0 when there is none. Rows of a file never change."""
        (row,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()
        return int(row)

    def traces_after(self, row: int) -> list[NewTrace]:
        """Traces with a higher row, in order of row."""
        rows = self.connection.execute(
            "SELECT id, trace_id FROM traces WHERE id > ? ORDER BY id", (row,)
        )
        return [NewTrace(*found) for found in rows]

    def _directory_changed_ns(self) -> int:
        try:
            return os.stat(self._directory).st_mtime_ns  # noqa: PTH116 -- see `_directory`
        except FileNotFoundError as exc:
            raise StaleIndexError(f"{self.paths.directory} is gone") from exc

    def _sizes(self) -> dict[str, int]:
        """Bytes of each shard now, by stem."""
        sizes = {}
        for entry in os.scandir(self._directory):
            name = entry.name
            stem = stem_of(name)
            if stem is None:
                continue
            if name.endswith(PLAIN_SUFFIX):
                sizes[stem] = entry.stat().st_size
            elif stem not in sizes:
                sizes[stem] = self._compressed_size(stem)
        return sizes

    def _compressed_size(self, stem: str) -> int:
        """Plain bytes of a compressed shard; as far as it was read when it cannot be opened."""
        try:
            with closing(open_shard(self.paths, stem)) as reader:
                return reader.size_bytes
        except OSError as exc:
            log.warning("shard_unreadable", path=str(self.paths.compressed(stem)), error=str(exc))
            return 0

    def _states(self) -> dict[str, _ShardState]:
        rows = self.connection.execute("SELECT stem, id, indexed_bytes FROM shards")
        return {stem: _ShardState(shard, indexed) for stem, shard, indexed in rows}

    def _read_on(
        self, stem: str, state: _ShardState, enter: Callable[[list[NewTrace]], None]
    ) -> bool:
        """Index one block of a shard; False when it has no new group."""
        with closing(open_shard(self.paths, stem)) as reader:
            receipts, end = read_groups(self.paths, stem, reader)
            pieces = _pieces(reader, state.indexed_bytes, end)
            first = next(pieces, None)
            if first is None:
                return False
            # Ids of an attempt that was rolled back must not be taken for stored ones.
            self._shapes.clear()
            with transaction(self.connection):
                shard = state.id or self._add_shard(stem)
                (first_id,) = self.connection.execute(_NEXT_ID).fetchone()
                parsed = self._parse(chain([first], pieces), receipts, shard, first_id)
                enter(self._store(parsed, shard, first_id))
        return True

    def _parse(
        self, pieces: Iterable[_Piece], receipts: Receipts, shard: int, first_id: int
    ) -> ParsedBlock:
        rows: list[SpanRow] = []
        bad: list[BadLine] = []
        end_offset = 0
        for offset, lines in pieces:
            parsed = parse_block(
                lines,
                shard=shard,
                base_offset=offset,
                first_id=first_id + len(rows),
                receipts=receipts,
                shape_id=self._shape_id,
            )
            rows += parsed.rows
            bad += parsed.bad
            end_offset = parsed.end_offset
        return ParsedBlock(rows, bad, end_offset)

    def _add_shard(self, stem: str) -> int:
        cursor = self.connection.execute(
            "INSERT INTO shards (stem, indexed_bytes) VALUES (?, 0)", (stem,)
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _store(self, parsed: ParsedBlock, shard: int, first_id: int) -> list[NewTrace]:
        execute = self.connection.execute
        (last_trace,) = execute("SELECT coalesce(max(id), 0) FROM traces").fetchone()
        traces = by_trace(parsed.rows)
        sums_before = day_totals.sum_of(self.connection, traces)
        before = self.connection.total_changes
        self.connection.executemany(sql.INSERT_SPAN, bindable(parsed.rows))
        redelivered: set[bytes] = set()
        counted = Counter(map(_SHAPE, parsed.rows))
        if self.connection.total_changes - before < len(parsed.rows):
            redelivered = self._store_redelivered(parsed.rows, first_id, counted)
        self.connection.executemany(
            sql.ADD_TO_SHAPE, [(spans, shape) for shape, spans in counted.items()]
        )
        execute(sql.ADD_NEW_SPANS_TO_TRACES, (first_id,))
        found = self.traces_after(last_trace)
        new = {trace.trace_id for trace in found}
        grown = traces.keys() - new
        nested = calls_with_children(traces) - grown
        nested |= grown_below_calls(self.connection, traces, grown - redelivered)
        marked = mark_enclosing(self.connection, nested | redelivered)
        for trace_id in sorted(marked | redelivered):
            execute(sql.RECOUNT_TRACE, {"trace_id": trace_id})
        add_names(
            self.connection,
            traces,
            shapes={shape_id: shape for shape, shape_id in self._shapes.items()},
            new=new,
            recounted=redelivered,
        )
        add_structure(self.connection, traces, first_id=first_id, recounted=redelivered)
        if traces:
            sums_after = day_totals.sum_of(self.connection, traces)
            day_totals.add_change(self.connection, sums_before, sums_after)
            day_totals.widen_bounds(self.connection, _bounds_of(parsed.rows))
        self.connection.executemany("INSERT INTO bad_lines VALUES (?, ?, ?, ?)", parsed.bad)
        execute("UPDATE shards SET indexed_bytes = ? WHERE id = ?", (parsed.end_offset, shard))
        return found

    def _store_redelivered(
        self, rows: list[SpanRow], first_id: int, counted: Counter[object]
    ) -> set[bytes]:
        """
        Store the rows that the index of winners refused.

        Takes the versions that lose out of what is *counted* by shape.

        Returns:
            Their traces.
        """
        stored = {
            row[0]
            for row in self.connection.execute("SELECT id FROM spans WHERE id >= ?", (first_id,))
        }
        traces: set[bytes] = set()
        for row in rows:
            if row[0] in stored:
                continue
            traces.add(row[1])
            new = dict(zip(SPAN_COLUMNS, row, strict=True))
            old_id, old_shape, *old_rank = self.connection.execute(_WINNER, new).fetchone()
            (stem,) = self.connection.execute(_STEM, new).fetchone()
            if [new["end_ns"], new["received_ns"], stem, new["offset"]] > old_rank:
                self.connection.execute("UPDATE spans SET superseded = 1 WHERE id = ?", (old_id,))
                counted[old_shape] -= 1
                self.connection.executemany(sql.INSERT_SPAN, bindable([row]))
            else:
                counted[new["shape"]] -= 1
                self.connection.executemany(sql.INSERT_SUPERSEDED, bindable([row]))
        return traces

    def _shape_id(self, shape: Shape) -> int:
        known = self._shapes.get(shape)
        if known is None:
            self.connection.execute(_ADD_SHAPE, shape)
            (known,) = self.connection.execute(_FIND_SHAPE, shape).fetchone()
            self._shapes[shape] = known
        return known


def _pieces(reader: ShardReader, offset: int, shard_end: int) -> Iterator[_Piece]:
    """One block of complete lines from *offset* on, piece by piece; none when there is no line."""

    def read(begin: int, size: int) -> bytes:
        return reader.read_past_damage(begin, max(0, min(size, shard_end - begin)))

    end = offset + _BLOCK_BYTES
    while offset < end:
        data, lines_end = read_block(read, offset, _PIECE_BYTES)
        if not lines_end:
            return
        yield offset, data
        offset += lines_end


def _bounds_of(rows: list[SpanRow]) -> day_totals.Bounds:
    starts = [*map(_START_NS, rows)]
    received = [*map(_RECEIVED_NS, rows)]
    return day_totals.Bounds(min(starts), max(starts), min(received), max(received))


_SHAPE, _START_NS, _RECEIVED_NS = (
    itemgetter(SPAN_COLUMNS.index(name)) for name in ("shape", "start_ns", "received_ns")
)
_WINNER = """
SELECT spans.id, shape, end_ns, received_ns, stem, offset FROM spans JOIN shards ON shards.id = shard
WHERE trace_id = :trace_id AND span_id = :span_id AND superseded = 0
"""
_NEXT_ID = "SELECT coalesce(max(id), 0) + 1 FROM spans"
_STEM = "SELECT stem FROM shards WHERE id = :shard"
_ADD_SHAPE = (
    f"INSERT OR IGNORE INTO shapes ({', '.join(Shape._fields)})"  # noqa: S608 -- names of columns
    f" VALUES ({', '.join('?' * len(Shape._fields))})"
)
_FIND_SHAPE = (
    f"SELECT id FROM shapes WHERE {' AND '.join(f'{field} = ?' for field in Shape._fields)}"  # noqa: S608
)
