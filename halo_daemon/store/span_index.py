"""
Spans, and running figures of their traces, in one derived SQLite file.

A span that was delivered twice has two rows. The unique index over versions
makes the second insert a no-op, which shows as a count that is too small; only
then are versions compared (`proto.trace.later_version`, told by the end, then
by arrival) and the loser marked superseded, by its own row id. Blocks without re-deliveries, the
rule, pay nothing for it.

Figures of traces are added up from the new rows, and counted again from all
rows for the traces that had a re-delivery, or model calls around others (`enclosing`).
"""

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from operator import itemgetter
from pathlib import Path

from halo_daemon.store import day_totals, index_schema as sql
from halo_daemon.store.catalog import NewTrace
from halo_daemon.store.database import inode_of, open_database, transaction
from halo_daemon.store.enclosing import (
    calls_with_children,
    grown_below_calls,
    mark_enclosing,
)
from halo_daemon.store.paths import ShardName
from halo_daemon.store.span_row import SHAPE, SPAN_COLUMNS, TRACE_ID, Shape, SpanRow, bindable
from halo_daemon.store.structure import add_structure
from halo_daemon.store.trace_gain import TraceGain, add_rows
from halo_daemon.store.trace_names import add_names
from halo_daemon.store.trace_reader import Window, WindowBy

_BATCH_ROWS = 1_000
"""Fewer would have reading and storing push each other out of a core's caches too often."""

_MAX_UNORDERED = 500_000
"""Rows that are put in order at once, in memory: some two seconds and 20 MiB."""


class SpanIndex:
    """
    An index of spans, open. Not safe to use from two threads at a time.

    Args:
        path: The file.

        schema: Its tables, should it be new.

        day: The UTC day of receipt of all its spans; ``""`` for spans of several.

    Attributes:
        day: Likewise.
        connection: For questions.
        file: Names this very index file; one that is built again has another name.
        has_shared: Whether some of its traces are answered for by another index.

    Raises:
        StaleIndexError: The file was written by another version.
        sqlite3.Error: The file is damaged, or the disk refused.
    """

    def __init__(self, path: Path, schema: str, *, day: str) -> None:
        self.day = day
        self.connection = open_database(path, schema)
        with transaction(self.connection):
            self.connection.execute(
                "INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (secrets.token_hex(8),)
            )
        (identity,) = self.connection.execute(
            "SELECT value FROM meta WHERE key = 'identity'"
        ).fetchone()
        self.file = f"{day}/{identity}"
        # As text: this is asked for before every answer.
        self._path = os.fspath(path)
        self._inode = inode_of(self._path)
        self.has_shared = False
        self._shapes: dict[Shape, int] = {}

    @property
    def is_current_file(self) -> bool:
        """Whether the file at the index's path is still the one that is open here."""
        return inode_of(self._path) == self._inode

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def shard(self, stem: str) -> ShardName:
        """The shard that a row of ``shards`` names."""
        return _shard_name(self.day, stem)

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

    def next_id(self) -> int:
        """What the next row of ``spans`` is called."""
        (row,) = self.connection.execute(_NEXT_ID).fetchone()
        return int(row)

    def forget_shapes(self) -> None:
        """To be called before rows are made: ids of an attempt that was rolled back are none."""
        self._shapes.clear()

    def add_shard(self, stem: str) -> int:
        """Note a shard, by the name that `shard` reads; returns its row."""
        cursor = self.connection.execute(
            "INSERT INTO shards (stem, indexed_bytes) VALUES (?, 0)", (stem,)
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def add_orders(self) -> None:
        """
        See that spans have their orders, which the file of a build that has not ended lacks.

        Questions are answered without them as well, and slowly.
        """
        for statement in sql.ADD_SPAN_ORDERS:
            self.connection.execute(statement)

    def add(self, pieces: Iterable[list[SpanRow]]) -> list[NewTrace]:
        """
        Store new rows, whose ids follow each other from `next_id` on, within a transaction.

        They come in *pieces*, and are stored some thousand at a time.

        Returns:
            The traces that had no row before, in order of their rows.
        """
        first_id = self.next_id()
        if first_id > _MAX_UNORDERED:
            self.add_orders()
        gains: dict[bytes, TraceGain] = {}
        counted: Counter[int] = Counter()
        redelivered: set[bytes] = set()
        for rows in _in_batches(pieces):
            redelivered |= self._store(rows, counted)
            add_rows(rows, gains)
        if not gains:
            return []
        execute = self.connection.execute
        last_trace = self.last_trace_row()
        sums_before = day_totals.sum_of(self.connection, gains)
        self.connection.executemany(
            sql.ADD_TO_SHAPE, [(spans, shape) for shape, spans in counted.items()]
        )
        self.connection.executemany(
            sql.ADD_TO_TRACE, [gain.figures(trace_id) for trace_id, gain in sorted(gains.items())]
        )
        found = self.traces_after(last_trace)
        new = {trace.trace_id for trace in found}
        grown = gains.keys() - new
        nested = calls_with_children(gains) - grown
        nested |= grown_below_calls(self.connection, gains, grown - redelivered)
        marked = mark_enclosing(self.connection, nested | redelivered)
        for trace_id in sorted(marked | redelivered):
            execute(sql.RECOUNT_TRACE, {"trace_id": trace_id})
        add_names(
            self.connection,
            gains,
            shapes={shape_id: shape for shape, shape_id in self._shapes.items()},
            new=new,
            recounted=redelivered,
        )
        add_structure(self.connection, gains, first_id=first_id, new=new, recounted=redelivered)
        sums_after = day_totals.sum_of(self.connection, gains)
        day_totals.add_change(self.connection, sums_before, sums_after)
        return found

    def _store(self, rows: list[SpanRow], counted: Counter[int]) -> set[bytes]:
        """
        Store rows, and count those that no other version replaces by their shape.

        Returns:
            Traces with a span that was stored before.
        """
        before = self.connection.total_changes
        whole = len(rows) - len(rows) % sql.SPANS_AT_ONCE
        for start in range(0, whole, sql.SPANS_AT_ONCE):
            values = bindable(rows[start : start + sql.SPANS_AT_ONCE])
            self.connection.execute(sql.INSERT_SPANS, values)
        self.connection.executemany(sql.INSERT_SPAN, [bindable([row]) for row in rows[whole:]])
        counted.update(map(_SHAPE, rows))
        if self.connection.total_changes - before == len(rows):
            return set()
        return self._store_redelivered(rows, counted)

    def _store_redelivered(self, rows: list[SpanRow], counted: Counter[int]) -> set[bytes]:
        """
        Store the rows that the index of versions refused.

        Takes the versions that lose out of what is *counted* by shape.

        Returns:
            Their traces.
        """
        stored = {
            row[0]
            for row in self.connection.execute("SELECT id FROM spans WHERE id >= ?", (rows[0][0],))
        }
        traces: set[bytes] = set()
        for row in rows:
            if row[0] in stored:
                continue
            traces.add(row[TRACE_ID])
            new = dict(zip(SPAN_COLUMNS, row, strict=True))
            old_id, old_shape, *old_rank = self.connection.execute(_WINNER, new).fetchone()
            (stem,) = self.connection.execute(_STEM, new).fetchone()
            if [new["end_ns"], new["received_ns"], stem, new["offset"]] > old_rank:
                self.connection.execute(sql.SUPERSEDE, (old_id,))
                counted[old_shape] -= 1
                self.connection.execute(sql.INSERT_SPAN, bindable([row]))
            else:
                counted[row[SHAPE]] -= 1
                self.connection.execute(sql.INSERT_SUPERSEDED, bindable([row]))
        return traces

    def shape_id(self, shape: Shape) -> int:
        """The row of a shape, made at first sight; within a transaction."""
        known = self._shapes.get(shape)
        if known is None:
            self.connection.execute(_ADD_SHAPE, shape)
            (known,) = self.connection.execute(_FIND_SHAPE, shape).fetchone()
            self._shapes[shape] = known
        return known


@lru_cache(maxsize=1024)
def _shard_name(day: str, stem: str) -> ShardName:
    """One object for each shard: equal places in it are then found equal at the first look."""
    return ShardName(day, stem) if day else ShardName(*stem.split("/", 1))


def _in_batches(pieces: Iterable[list[SpanRow]]) -> Iterator[list[SpanRow]]:
    """The same rows, many at a time: as many as fill statements, and at last the rest."""
    waiting: list[SpanRow] = []
    for rows in pieces:
        waiting += rows
        whole = len(waiting) - len(waiting) % sql.SPANS_AT_ONCE
        if whole >= _BATCH_ROWS:
            yield waiting[:whole]
            waiting = waiting[whole:]
    if waiting:
        yield waiting


_SHAPE = itemgetter(SHAPE)
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
