"""
The index of the traces of a project that have spans in several days.

A trace that runs past midnight, or whose spans come late, has rows in the
indexes of several days, none of which knows what it is as a whole. All its rows
are copied here, where they are merged like those of one day and keep running
figures: the days answer for every other trace, and this index for these. So a
question costs no more for a trace of any size, and the copy costs once.

It notes up to which row it has taken the spans of each day's index file, and whose
line that row is. A file that is gone, was built again, or was thrown back by a power cut
and filled in another order, has other rows: then everything is copied anew.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from halo_daemon.store import index_schema as sql
from halo_daemon.store.database import StaleIndexError, transaction
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.paths import ProjectPaths
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_row import SHAPE, SHARD, SPAN_COLUMNS, Shape, SpanRow

_BLOCK_ROWS = 16_384
_COLUMNS = ", ".join(SPAN_COLUMNS)
_SHAPE_COLUMNS = ", ".join(Shape._fields)
_SHARED = "(SELECT trace_id FROM temp.shared)"
# The sign leaves the row id, which is what selects the rows of a few spans.
_BY_ROW = f"SELECT {_COLUMNS} FROM spans WHERE +trace_id IN {_SHARED} AND id > ?1 ORDER BY id"  # noqa: S608 -- constants
_BY_TRACE = f"SELECT {_COLUMNS} FROM spans WHERE trace_id IN {_SHARED} AND id > ?1"  # noqa: S608 -- constants
_PLACE = "SELECT stem, offset FROM spans JOIN shards ON shards.id = shard WHERE spans.id = ?"
_COUNT = f"SELECT coalesce(sum(spans + duplicates), 0) FROM traces WHERE trace_id IN {_SHARED}"  # noqa: S608 -- constants


class MergedIndex(SpanIndex):
    """
    One project's traces of several days, open. Not safe to use from two threads at a time.

    Raises:
        StaleIndexError: The file was written by another version.
        sqlite3.Error: The file is damaged, or the disk refused.
    """

    def __init__(self, paths: ProjectPaths) -> None:
        super().__init__(paths.merged, sql.MERGED_SCHEMA, day="")
        self._seen = 0

    def take(self, days: Sequence[DayIndex], shared: Collection[bytes]) -> None:
        """
        Copy what the days have of the *shared* traces and what was not copied before.

        The caller holds the project's index lock, and has told the days what is shared.

        Raises:
            StaleIndexError: A day that rows came from is gone, or has other rows now.
        """
        self.forget_shapes()
        with transaction(self.connection):
            files = {file for (file,) in self.connection.execute("SELECT file FROM taken")}
            gone = files - {day.file for day in days}
            if gone:
                raise StaleIndexError(f"spans came from days that are gone: {sorted(gone)[:3]}")
            # What is shared stays so, and others may have taken more than this object knows.
            is_known = len(shared) == self._seen
            new: set[bytes] = set() if is_known else {*shared}.difference(self.trace_ids())
            for day in days:
                if day.has_shared:
                    self._take_day(day, new)
            self.add_orders()
        self._seen = len(shared)

    def _take_day(self, day: DayIndex, new: Collection[bytes]) -> None:
        query = "SELECT row, stem, offset FROM taken WHERE file = ?"
        taken, *place = self.connection.execute(query, (day.file,)).fetchone() or (0,)
        if taken and _place_of(day, taken) != place:
            raise StaleIndexError(f"{day.day} has other rows than those that were taken")
        if taken and new:
            self._copy(day, _rows_of(day, new, taken))
        last = day.next_id() - 1
        if last > taken:
            self._copy(day, _new_rows(day, taken, last))
            self.connection.execute(
                "INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?)",
                (day.file, last, *_place_of(day, last)),
            )

    def _copy(self, day: DayIndex, found: Iterator[tuple[Any, ...]]) -> None:
        shapes: dict[int, int] = {}
        shards: dict[int, int] = {}
        while block := list(islice(found, _BLOCK_ROWS)):
            rows: list[SpanRow] = []
            for row_id, row in enumerate(block, self.next_id()):
                shape, shard = row[SHAPE], row[SHARD]
                if shape not in shapes:
                    shapes[shape] = self._shape_like(day, shape)
                if shard not in shards:
                    shards[shard] = self._shard_like(day, shard)
                rows.append(
                    (
                        row_id,
                        *row[1:SHAPE],
                        shapes[shape],
                        *row[SHAPE + 1 : SHARD],
                        shards[shard],
                        *row[SHARD + 1 :],
                    )
                )
            self.add([rows])

    def _shape_like(self, day: DayIndex, shape: int) -> int:
        query = f"SELECT {_SHAPE_COLUMNS} FROM shapes WHERE id = ?"  # noqa: S608 -- names of columns
        return self.shape_id(Shape._make(day.connection.execute(query, (shape,)).fetchone()))

    def _shard_like(self, day: DayIndex, shard: int) -> int:
        query = "SELECT stem FROM shards WHERE id = ?"
        (stem,) = day.connection.execute(query, (shard,)).fetchone()
        name = f"{day.day}/{stem}"
        known = self.connection.execute("SELECT id FROM shards WHERE stem = ?", (name,)).fetchone()
        return int(known[0]) if known else self.add_shard(name)


def _place_of(day: DayIndex, row: int) -> list[Any]:
    """Shard and offset of the line of a row; empty when there is no such row."""
    return [*(day.connection.execute(_PLACE, (row,)).fetchone() or ())]


def _rows_of(day: DayIndex, trace_ids: Collection[bytes], last: int) -> Iterator[tuple[Any, ...]]:
    """All rows up to *last* of some traces."""
    query = f"SELECT {_COLUMNS} FROM spans WHERE trace_id = ? AND id <= ?"  # noqa: S608 -- constants
    for trace_id in sorted(trace_ids):
        yield from day.connection.execute(query, (trace_id, last))


def _new_rows(day: DayIndex, taken: int, last: int) -> Iterator[tuple[Any, ...]]:
    """The rows of shared traces behind *taken*, by whichever way looks at fewer."""
    (of_shared,) = day.connection.execute(_COUNT).fetchone()
    way = _BY_ROW if last - taken <= of_shared else _BY_TRACE
    return iter(day.connection.execute(way, (taken,)))
