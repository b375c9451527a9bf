"""
Which days of a project hold which trace; derived.

A trace that runs past midnight, or whose spans come late, has rows in the
indexes of several days. Those traces are few, and `merged_index` answers for
them: the catalog notes the first day of each trace and all days of the traces
that have more than one.

It is a superset of the truth: it is written before the day's own index, and an
entry too many costs one look. Neither file is synced at each commit, so after a
power cut the catalog may lag behind a day's index. It therefore notes how far
each index file was entered, and what is missing is entered again.
"""

import os
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from halo_daemon.store.database import inode_of, open_database, transaction
from halo_daemon.store.index_schema import CATALOG_SCHEMA
from halo_daemon.store.paths import ProjectPaths

_CHUNK = 10_000


class NewTrace(NamedTuple):
    """A trace that a day's index has met for the first time."""

    row: int
    """Its row in the index, which only grows."""
    trace_id: bytes


class Catalog:
    """
    One project's catalog, open. Not safe to use from two threads at a time.

    Raises:
        StaleIndexError: The file was written by another version.
        sqlite3.Error: The file is damaged, or the disk refused.
    """

    def __init__(self, paths: ProjectPaths) -> None:
        self._path = os.fspath(paths.catalog)
        self.connection: sqlite3.Connection = open_database(paths.catalog, CATALOG_SCHEMA)
        self._inode = inode_of(self._path)

    @property
    def is_current_file(self) -> bool:
        """Whether the file at the catalog's path is still the one that is open here."""
        return inode_of(self._path) == self._inode

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def entered(self, file: str) -> int:
        """Up to which row of ``traces`` an index file was entered; 0 for one not known."""
        row = self.connection.execute("SELECT row FROM entered WHERE file = ?", (file,)).fetchone()
        return int(row[0]) if row else 0

    def enter(self, day: str, traces: Sequence[NewTrace], *, file: str) -> None:
        """Note that *day* holds these traces, which are in order of row in the index *file*."""
        for start in range(0, len(traces), _CHUNK):
            chunk = traces[start : start + _CHUNK]
            with transaction(self.connection):
                self._enter(day, [trace.trace_id for trace in chunk])
                self.connection.execute(
                    "INSERT OR REPLACE INTO entered VALUES (?, ?)", (file, chunk[-1].row)
                )

    def _enter(self, day: str, trace_ids: list[bytes]) -> None:
        execute = self.connection.execute
        before = self.connection.total_changes
        self.connection.executemany(
            "INSERT OR IGNORE INTO trace_days VALUES (?, ?)",
            [(trace_id, day) for trace_id in sorted(trace_ids)],
        )
        if self.connection.total_changes - before == len(trace_ids):
            return
        for trace_id in trace_ids:
            (first_day,) = execute(
                "SELECT day FROM trace_days WHERE trace_id = ?", (trace_id,)
            ).fetchone()
            if first_day != day:
                self.connection.executemany(
                    "INSERT OR IGNORE INTO shared_days VALUES (?, ?)",
                    [(trace_id, first_day), (trace_id, day)],
                )

    def days_of(self, trace_id: bytes) -> list[str]:
        """The days that may hold the trace, oldest first; empty when it is unknown."""
        rows = self.connection.execute(
            "SELECT day FROM trace_days WHERE trace_id = ?1"
            " UNION SELECT day FROM shared_days WHERE trace_id = ?1 ORDER BY day",
            (trace_id,),
        )
        return [day for (day,) in rows]

    def shared(self) -> dict[bytes, list[str]]:
        """Days of each trace that may have several, oldest first."""
        found: dict[bytes, list[str]] = {}
        rows = self.connection.execute("SELECT trace_id, day FROM shared_days ORDER BY 1, 2")
        for trace_id, day in rows:
            found.setdefault(trace_id, []).append(day)
        return found

    def shared_count(self) -> int:
        """How many entries `shared` is made of; it only grows in one file."""
        (count,) = self.connection.execute("SELECT count(*) FROM shared_days").fetchone()
        return int(count)
