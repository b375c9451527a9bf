"""
One writer per data directory.

The lock is an advisory `flock`, so the kernel releases it however its holder
dies; the text inside only names the holder. Readers need no lock.
"""

import fcntl
import os
import socket
import time
from types import TracebackType
from typing import Self

from halo_daemon.errors import LockHeldError, StoreError
from halo_daemon.store.paths import DataPaths

_MAX_HOLDER_BYTES = 256
# Workers of a daemon that was killed hold the lock until they notice, which is soon.
_PATIENCE_S = 2.0
_PAUSE_S = 0.02


class DataLock:
    """
    The right to write to a data directory, held until `release`.

    Raises:
        LockHeldError: Another process has it; the message names pid and host.
        StoreError: The data directory cannot be written.
    """

    def __init__(self, paths: DataPaths) -> None:
        try:
            paths.root.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._fd = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as exc:
            raise StoreError(
                f"cannot lock the data directory {paths.root}: {exc}",
                hint="check that the directory exists and that this user may write to it",
            ) from exc
        try:
            _lock_within(self._fd, _PATIENCE_S)
        except OSError as exc:
            holder = os.pread(self._fd, _MAX_HOLDER_BYTES, 0).decode("utf-8", "replace").strip()
            os.close(self._fd)
            raise LockHeldError(
                f"cannot write to {paths.root}: {holder or 'another process'} has it open",
                hint="stop that daemon, or give this one another directory with `--data`",
            ) from exc
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def fileno(self) -> int:
        """The descriptor of the lock; a process that inherits it holds the lock as well."""
        return self._fd

    def release(self) -> None:
        """Let another process write; a second call does nothing."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _lock_within(fd: int, patience_s: float) -> None:
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(_PAUSE_S)
        else:
            return
