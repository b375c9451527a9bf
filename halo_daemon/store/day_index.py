"""
The index of one project's day: one SQLite file, derived from the day's shards.

Theory of operation
===================

Shards only grow, so the index remembers for each how many bytes it has read
and `index_block` reads on from there: complete lines only, one transaction a
block. The caller holds the project's index lock, so the catch-ups of several
processes take turns, and each begins where the last one ended.

Whatever does not fit (a shard that is gone or shorter than what was read of
it, another schema, an SQLite error) raises `StaleIndexError` or
`sqlite3.DatabaseError`; the owner deletes the file and builds it again.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import NamedTuple

from halo_daemon.log import get_logger
from halo_daemon.store import index_schema as sql
from halo_daemon.store.block_parser import BadLine, Kinds, parse_block
from halo_daemon.store.catalog import NewTrace
from halo_daemon.store.database import StaleIndexError, transaction
from halo_daemon.store.paths import PLAIN_SUFFIX, DayPaths, stem_of
from halo_daemon.store.receipts import Receipts
from halo_daemon.store.shard_files import ShardReader, open_shard, read_block, read_groups
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_row import SpanRow

log = get_logger()

_BLOCK_BYTES = 32 * 1024**2
_PIECE_BYTES = 64 * 1024
"""What is read and parsed in one go stays in the cache of a core, and its memory is used again."""

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


class DayIndex(SpanIndex):
    """
    One day's index, open. Not safe to use from two threads at a time.

    Attributes:
        paths: The day's files.

    Raises:
        StaleIndexError: The file was written by another version.
        sqlite3.Error: The file is damaged, or the disk refused.
    """

    def __init__(self, paths: DayPaths) -> None:
        super().__init__(paths.index, sql.DAY_SCHEMA, day=paths.day)
        self.paths = paths
        self.connection.execute(
            "CREATE TEMP TABLE shared (trace_id BLOB PRIMARY KEY) WITHOUT ROWID"
        )
        self._directory = os.fspath(paths.directory)
        # Another file at the index's path changes the directory as well.
        self._is_beside_spans = paths.derived is None
        self._reached: Reach | None = None

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
        self.add_orders()
        self._reached = goal
        return False

    def set_shared(self, trace_ids: Iterable[bytes]) -> None:
        """Say which traces have rows elsewhere too; queries find them in ``temp.shared``."""
        rows = [(trace_id,) for trace_id in trace_ids]
        self.connection.execute("DELETE FROM temp.shared")
        self.connection.executemany("INSERT INTO temp.shared VALUES (?)", rows)
        self.has_shared = bool(rows)

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
            self.forget_shapes()
            with transaction(self.connection):
                shard = state.id or self.add_shard(stem)
                enter(self.add(self._rows_of(chain([first], pieces), receipts, shard)))
        return True

    def _rows_of(
        self, pieces: Iterable[_Piece], receipts: Receipts, shard: int
    ) -> Iterator[list[SpanRow]]:
        """The rows of each piece; what else is in it is noted in the index."""
        row_id = self.next_id()
        end_offset = 0
        bad: list[BadLine] = []
        kinds = Kinds(self.shape_id)
        for offset, lines in pieces:
            parsed = parse_block(
                lines,
                shard=shard,
                base_offset=offset,
                first_id=row_id,
                receipts=receipts,
                kinds=kinds,
            )
            yield parsed.rows
            row_id += len(parsed.rows)
            bad += parsed.bad
            end_offset = parsed.end_offset
        self.connection.executemany(_ADD_BAD_LINE, bad)
        self.connection.execute(_SET_INDEXED, (end_offset, shard))


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


_ADD_BAD_LINE = "INSERT INTO bad_lines VALUES (?, ?, ?, ?)"
_SET_INDEXED = "UPDATE shards SET indexed_bytes = ? WHERE id = ?"
