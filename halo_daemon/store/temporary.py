"""
A directory for files that nobody needs once their process has ended.

It is removed when the process ends. A process that is killed cannot do that, so each
holds a lock in its directory, which the kernel gives back however it ends, and the next
one that makes a directory removes those that nobody holds.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_PREFIX: Final = "halo-daemon-"
_LOCK_NAME: Final = "in-use"
_VARIABLE: Final = "_HALO_DAEMON_SCRATCH"
"""Tells processes that this one starts, such as those of an analysis, where it is."""


def private_directory(name: str) -> Path:
    """
    A new directory of this process, which nobody else can read.

    Raises:
        OSError: There is no room for it.
    """
    return Path(tempfile.mkdtemp(prefix=f"{name[:32]}-", dir=process_directory()))


@cache
def process_directory() -> Path:
    """
    The directory of this process and those that it starts, under ``TMPDIR``.

    Raises:
        OSError: There is no room for it.
    """
    inherited = Path(os.environ.get(_VARIABLE, ""))
    if _VARIABLE in os.environ and inherited.is_dir():
        _hold(inherited)
        return inherited
    _remove_abandoned(Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    _hold(made)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.environ[_VARIABLE] = str(made)
    return made


def _hold(directory: Path) -> None:
    """Lock *directory*, together with others, for as long as this process lives."""
    lock = directory / _LOCK_NAME
    new = directory / f"{_LOCK_NAME}.{os.getpid()}"
    fd = os.open(lock if lock.exists() else new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    if new.exists():
        # Named once it is held, so that nobody finds it free in between.
        new.replace(lock)


def _remove_abandoned(parent: Path) -> None:
    for directory in parent.glob(f"{_PREFIX}*"):
        # What cannot be locked or removed is in use, is not ours, or is removed by another.
        with suppress(OSError):
            fd = os.open(directory / _LOCK_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                if os.fstat(fd).st_uid == os.geteuid():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(directory, ignore_errors=True)
            finally:
                os.close(fd)
