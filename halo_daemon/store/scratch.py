"""
Files beside a data directory that cannot be written, such as one mounted read-only.

They go to the directory of this process and those that it starts (`temporary`). Indexes
are built there; where nobody has the project's own ones open, those are copied, so that
only what came later is indexed again.
"""

import errno
import hashlib
import os
import shutil
import sqlite3
from dataclasses import replace
from functools import cache
from pathlib import Path

from halo_daemon.log import get_logger
from halo_daemon.store.paths import ProjectPaths
from halo_daemon.store.temporary import process_directory

log = get_logger()

_REFUSALS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_DATABASE_REFUSALS = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_PRIMARY_CODE = 0xFF


def is_refused(error: Exception, paths: ProjectPaths) -> bool:
    """Whether *error* tells that derived files of a project may not be written beside its spans."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        places = (paths.directory, *(day.directory for day in paths.days()))
        return code in _DATABASE_REFUSALS and not all(os.access(place, os.W_OK) for place in places)
    return isinstance(error, OSError) and error.errno in _REFUSALS


def is_read_only(directory: Path) -> bool:
    """Whether nothing may be written to a data directory, or made where there is none yet."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return not os.access(directory, os.W_OK)


def in_scratch(paths: ProjectPaths) -> ProjectPaths:
    """
    The same project with its derived files in this process's own directory.

    Raises:
        OSError: There is no room for them.
    """
    derived = _scratch_of(paths.directory.absolute())
    moved = replace(paths, derived=derived)
    for day, place in zip(paths.days(), moved.days(), strict=True):
        _copy_settled(day.index, place.index)
    _copy_settled(paths.catalog, moved.catalog)
    _copy_settled(paths.merged, moved.merged)
    return moved


@cache
def _scratch_of(directory: Path) -> Path:
    """One for each project, which all its readers share."""
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    place = process_directory() / f"index-{digest}"
    if not place.exists():
        log.warning("index_elsewhere", project=directory.name, cannot_write=str(directory))
        place.mkdir(mode=0o700, exist_ok=True)
    return place


def _copy_settled(source: Path, target: Path) -> None:
    """Copy a database unless it is not there, or somebody writes it; an existing copy stays."""
    log_path = source.with_name(f"{source.name}-wal")
    if target.exists() or not source.exists():
        return
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    before = source.stat()
    shutil.copyfile(source, part)
    after = source.stat()
    is_same = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    if is_same and not (log_path.exists() and log_path.stat().st_size):
        part.replace(target)
    else:
        part.unlink()
