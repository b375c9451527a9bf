"""A disk on which one chosen system call fails."""

import errno
import os
from pathlib import Path

from halo_daemon.store.disk import Disk


class KilledError(BaseException):
    """The process ends here: nothing may handle it, as nothing handles SIGKILL."""


class FailingDisk(Disk):
    """
    Fails calls *first* to *last* (counted from 1 over all kinds of call) with *error_number*.

    With *kills*, the process ends in place of those calls, as far as one can tell afterwards.

    Attributes:
        calls: How many calls were made so far, failed ones included.
        free: What `free_bytes` answers, in bytes.
    """

    def __init__(
        self,
        first: int,
        *,
        last: int | None = None,
        error_number: int = errno.EIO,
        tears: bool = False,
        kills: bool = False,
    ) -> None:
        self._first = first
        self._range = range(first, (first if last is None else last) + 1)
        self._error_number = error_number
        self._tears = tears
        self._kills = kills
        self.calls = 0
        self.free = 2**40

    @property
    def has_failed(self) -> bool:
        """Whether a call failed yet."""
        return self.calls >= self._first

    def heal(self) -> None:
        """Fail no further call."""
        self._range = range(0)

    def _count(self, call: str) -> None:
        self.calls += 1
        if self.calls in self._range:
            if self._kills:
                raise KilledError(call)
            raise OSError(self._error_number, os.strerror(self._error_number), call)

    def create(self, path: Path) -> int:
        """Create, unless it is this call's turn to fail."""
        self._count("create")
        return super().create(path)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write; a torn failure leaves half of *data* behind."""
        try:
            self._count("write")
        except (OSError, KilledError):
            if self._tears:
                super().write(fd, data[: len(data) // 2])
            raise
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        """Sync, unless it is this call's turn to fail."""
        self._count("sync")
        super().sync(fd)

    def order(self, fd: int) -> None:
        """Write out, unless it is this call's turn to fail."""
        self._count("order")
        super().order(fd)

    def sync_directory(self, path: Path) -> None:
        """Sync names, unless it is this call's turn to fail."""
        self._count("sync_directory")
        super().sync_directory(path)

    def truncate(self, fd: int, length_bytes: int) -> None:
        """Cut, unless it is this call's turn to fail."""
        self._count("truncate")
        super().truncate(fd, length_bytes)

    def rename(self, source: Path, target: Path) -> None:
        """Rename, unless it is this call's turn to fail."""
        self._count("rename")
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        """Unlink, unless it is this call's turn to fail."""
        self._count("unlink")
        super().unlink(path)

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 -- the same answer everywhere
        """What the test says."""
        return self.free
