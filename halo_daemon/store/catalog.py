"""
Which days of a project hold which trace; derived.

A trace that runs past midnight, or whose spans come late, has rows in the
indexes of several days. Those traces are few, but every count must merge them,
so they are known beforehand: the catalog notes the first day of each trace and
all days of the traces that have more than one.

It is a superset of the truth: it is written before the day's own index, and an
entry too many costs one look. It therefore has to survive a power cut at least
as well as the days' indexes, and is synced at each commit. Each catalog has a
random identity; a day's index notes the one it was entered into, so a catalog
that was lost is filled again.
"""

import secrets
import sqlite3
from collections.abc import Iterable

from halo_daemon.store.database import inode_of, open_database, transaction
from halo_daemon.store.index_schema import CATALOG_SCHEMA
from halo_daemon.store.paths import ProjectPaths

_CHUNK = 10_000


class Catalog:
    """
    One project's catalog, open. Not safe to use from two threads at a time.

    Raises:
        StaleIndexError: The file was written by another version.
        sqlite3.Error: The file is damaged, or the disk refused.
    """

    def __init__(self, paths: ProjectPaths) -> None:
        self._path = paths.catalog
        self.connection: sqlite3.Connection = open_database(
            paths.catalog, CATALOG_SCHEMA, synchronous="FULL"
        )
        self._inode = inode_of(paths.catalog)
        with transaction(self.connection):
            self.connection.execute(
                "INSERT OR IGNORE INTO meta VALUES ('identity', ?)", (secrets.token_hex(8),)
            )
        (self.identity,) = self.connection.execute(
            "SELECT value FROM meta WHERE key = 'identity'"
        ).fetchone()

    @property
    def is_current_file(self) -> bool:
        """Whether the file at the catalog's path is still the one that is open here."""
        return inode_of(self._path) == self._inode

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def enter(self, day: str, trace_ids: Iterable[bytes]) -> None:
        """Note that *day* holds these traces; durable when this returns."""
        ids = list(trace_ids)
        for start in range(0, len(ids), _CHUNK):
            with transaction(self.connection):
                self._enter(day, ids[start : start + _CHUNK])

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
