"""
The system calls that can fail while spans are written, behind one object.

Production uses `Disk` as it is; a test makes the n-th call fail by overriding
a method. Reading needs no seam: whatever a read finds is handled by content.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from halo_daemon.errors import StorageUnavailableError
from halo_daemon.store.paths import TEMPORARY_PREFIX

DEFAULT_MIN_FREE_BYTES = 256 * 1024**2
_FILE_MODE = 0o640
_DIRECTORY_MODE = 0o750

_write_out = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
if _write_out is not None:
    _write_out.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_WRITE_AND_WAIT = 7
"""SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER."""


class Disk:
    """System calls on the data directory; every method may raise `OSError`."""

    def make_directory(self, path: Path) -> None:
        """Create *path* and its parents, and make the new names durable."""
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for directory in reversed(missing):
            directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            self.sync_directory(directory.parent)

    def create(self, path: Path) -> int:
        """Create *path* for appending and return its descriptor; an existing file is an error."""
        return os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, _FILE_MODE
        )

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write some of *data* and return how many bytes that were."""
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        """Wait until what was written to *fd* is on stable storage."""
        os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)

    def order(self, fd: int) -> None:
        """
        Have what was written to *fd* reach the disk no later than what is written from now on.

        A journal that commits in order, as those of ext4 and XFS do, then has it with the
        next sync of any file, for a tenth of what a sync costs. Elsewhere it is a sync, or,
        where the file system has no such order, only likely.
        """
        if _write_out is None:
            self.sync(fd)
        elif _write_out(fd, 0, 0, _WRITE_AND_WAIT):
            error_number = ctypes.get_errno()
            if error_number not in (errno.ENOSYS, errno.EINVAL):
                raise OSError(error_number, os.strerror(error_number), "order")
            self.sync(fd)

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in the directory *path* are on stable storage."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def truncate(self, fd: int, length_bytes: int) -> None:
        """Cut the file behind *fd*."""
        os.ftruncate(fd, length_bytes)

    def rename(self, source: Path, target: Path) -> None:
        """Give *source* the name *target*, replacing what had it."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Take the name *path* away; nothing happens where there is none."""
        path.unlink(missing_ok=True)

    def free_bytes(self, path: Path) -> int:
        """What the file system of *path* has left for this user."""
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize


def write_fully(disk: Disk, fd: int, data: bytes | bytearray) -> None:
    """
    Write all of *data*, however many calls it takes.

    Raises:
        OSError: A call failed; some of *data* may be written.
    """
    view = memoryview(data)
    while view:
        view = view[disk.write(fd, view) :]


def require_free(disk: Disk, root: Path, *, min_free_bytes: int) -> None:
    """
    Refuse to write before the disk is full, so that clean-up can still go on.

    Raises:
        StorageUnavailableError: Less than *min_free_bytes* is left.
    """
    try:
        free_bytes = disk.free_bytes(root)
    except OSError as exc:
        raise StorageUnavailableError(f"cannot ask for free space on {root}: {exc}") from exc
    if free_bytes < min_free_bytes:
        raise StorageUnavailableError(
            f"cannot store spans: {free_bytes} bytes are free on {root}, "
            f"{min_free_bytes} must stay free (`storage.min_free`)",
            hint="free disk space, or shorten `storage.retention`; senders retry by themselves",
        )


@contextmanager
def held(directory: Path, *, is_shared: bool = False, waits: bool = True) -> Iterator[None]:
    """
    Wait until no other process holds *directory*, and hold it meanwhile.

    For files that are read, changed and written back; the kernel lets go however the
    holder ends. Readers of those files need not wait: each change is one write or rename.
    Those that share it hold it together.

    Raises:
        BlockingIOError: Another process holds it, and the caller does not wait.
        OSError: There is no such directory.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(fd, mode if waits else mode | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def write_atomically(disk: Disk, path: Path, data: bytes | Iterable[bytes]) -> None:
    """
    Replace *path* by a file that holds *data*: a crash leaves the old or the new one, whole.

    *data* may come in pieces, of which no two are in memory at once.

    Raises:
        OSError: The disk refused; the old file is as it was.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    disk.unlink(temporary)
    try:
        fd = disk.create(temporary)
        try:
            for piece in (data,) if isinstance(data, bytes) else data:
                write_fully(disk, fd, piece)
            disk.sync(fd)
        finally:
            os.close(fd)
        disk.rename(temporary, path)
    except OSError:
        disk.unlink(temporary)
        raise
    disk.sync_directory(path.parent)
