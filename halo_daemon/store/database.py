"""Derived SQLite files: opened, checked, thrown away when in doubt."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from halo_daemon.store.index_schema import SCHEMA_VERSION

_BUSY_TIMEOUT_S = 60.0
_CACHE_KIB = 16 * 1024
_LOG_MARK, _HAS_LOG = slice(18, 20), b"\2\2"
"""Where the first page says how the file is written and read, and what it says with a log."""

_CHECKPOINT_PAGES = 8_000
"""Pages of 4 KiB in the log before they go into the file; few, large syncs build faster."""


class StaleIndexError(Exception):
    """A derived file does not fit what is stored and is built again; never leaves the store."""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """
    Open a derived file, creating its tables when it is new.

    Whoever opens one holds the lock of its project.

    Raises:
        StaleIndexError: It was written by another version, or is no file with a log any more.
        sqlite3.Error: It is damaged, or the disk refused.
    """
    if not _may_be_opened(path):
        raise StaleIndexError(f"{path} has lost its first page")
    # Threads take turns under the owner's lock.
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
    )
    try:
        connection.create_function("key_of_hex", 1, bytes.fromhex, deterministic=True)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            with transaction(connection):
                for statement in schema.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    if version not in {0, SCHEMA_VERSION}:
        connection.close()
        raise StaleIndexError(f"{path} has schema {version}")
    return connection


def _may_be_opened(path: Path) -> bool:
    """
    Whether a file is new, or says that it has a log, as all of these do from their first page on.

    SQLite would wait for every process that has another one open, to give it a log.
    """
    try:
        with path.open("rb") as file:
            return file.read(_LOG_MARK.stop)[_LOG_MARK] == _HAS_LOG
    except OSError:
        return True


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; the write lock is taken at once."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


IndexErrors = (StaleIndexError, sqlite3.Error, UnicodeDecodeError)
"""What reading a derived file raises; the last for a text that is damaged."""


ODD_VALUES = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, AssertionError)
"""What a value of another type or size than was stored may raise, and any mistake of ours too."""


def is_damage(error: Exception) -> bool:
    """Whether building the derived file again can help; False for a full or locked disk."""
    if isinstance(error, sqlite3.OperationalError):
        # A missing table or column, or, without a code, a text that is not UTF-8; or a file that
        # was cut while it is open. Everything else of this class is the disk's.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR_SHORT_READ}
    return isinstance(error, (StaleIndexError, sqlite3.DatabaseError, UnicodeDecodeError))


def is_sound(connection: sqlite3.Connection) -> bool:
    """Whether SQLite finds no damage in the open file."""
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False
    return bool(verdict == "ok")


def remove_database(path: Path) -> None:
    """
    Delete a derived file; processes that have it open go on with what they see.

    The log goes first: a new file must never meet the log of an old one.
    """
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def inode_of(path: str) -> int:
    """Which file stands at *path*; 0 when there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 -- asked before every answer
    except OSError:
        return 0
