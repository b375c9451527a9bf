"""
A disk that remembers what a power cut would leave.

Only what was synced is sure to be there: the bytes of a file up to its last sync, and
names up to the last sync of their directory. Of the bytes written since, any prefix may
have reached the disk as well. After every system call the disk notes both.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from halo_daemon.store.disk import Disk


@dataclass(frozen=True, slots=True)
class FileState:
    """One file at one moment."""

    synced: bytes
    """What is sure to be there after a power cut."""

    written: bytes
    """What a reader sees while the power is on."""

    def after_cut(self, share: float) -> bytes:
        """What is there when that share, 0 to 1, of the unsynced bytes reached the disk."""
        if not self.written.startswith(self.synced):
            return self.synced
        unsynced = len(self.written) - len(self.synced)
        return self.written[: len(self.synced) + int(unsynced * share)]


Moment = dict[Path, FileState]
"""Files whose names are durable, by path below the root."""


class PowerCutDisk(Disk):
    """
    A real disk below *root* that notes its durable state after each call.

    Attributes:
        moments: The state after each call, in order; the first is before any call.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[Path, dict[str, int]] = {}
        self._synced: dict[int, bytes] = {}
        self._unlinked: Moment = {}
        self.moments: list[Moment] = [{}]

    def create(self, path: Path) -> int:
        """Create, and note."""
        fd = super().create(path)
        # File systems give the number of a file that is gone to the next one.
        self._synced.pop(os.fstat(fd).st_ino, None)
        self._note()
        return fd

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write, and note."""
        written = super().write(fd, data)
        self._note()
        return written

    def sync(self, fd: int) -> None:
        """Sync the bytes of one file, and note."""
        super().sync(fd)
        self._synced[os.fstat(fd).st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()
        self._note()

    def order(self, fd: int) -> None:
        """Write out, and note: nothing that is written later is there without it."""
        super().order(fd)
        self._synced[os.fstat(fd).st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()
        self._note()

    def unlink(self, path: Path) -> None:
        """Unlink, and note: until its directory is synced, the file may be there again."""
        there: Moment = {}
        self._collect(path.parent, there)
        name = path.relative_to(self._root)
        super().unlink(path)
        if name in there:
            self._unlinked[name] = there[name]
        self._note()

    def sync_directory(self, path: Path) -> None:
        """Sync the names in one directory, and note."""
        super().sync_directory(path)
        for name in [name for name in self._unlinked if self._root / name.parent == path]:
            del self._unlinked[name]
        self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        self._note()

    def truncate(self, fd: int, length_bytes: int) -> None:
        """Cut, and note."""
        super().truncate(fd, length_bytes)
        self._note()

    def rename(self, source: Path, target: Path) -> None:
        """Rename, and note."""
        super().rename(source, target)
        self._note()

    def free_bytes(self, path: Path) -> int:  # noqa: ARG002 -- the same answer everywhere
        """Always enough."""
        return 2**40

    def _note(self) -> None:
        moment: Moment = {}
        self._collect(self._root, moment)
        self.moments.append(moment)
        if self._unlinked:
            self.moments.append(self._unlinked | moment)

    def _collect(self, directory: Path, moment: Moment) -> None:
        for name, inode in self._names.get(directory, {}).items():
            path = directory / name
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if stat.S_ISDIR(found.st_mode):
                self._collect(path, moment)
            elif found.st_ino == inode:
                synced = self._synced.get(inode, b"")
                moment[path.relative_to(self._root)] = FileState(synced, path.read_bytes())


def restore(moment: Moment, root: Path, *, share: float) -> None:
    """Lay out below *root* what a power cut at *moment* leaves."""
    for path, state in moment.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(state.after_cut(share))
