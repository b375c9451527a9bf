"""
What people say of schedule entries: that one is paused, that one is to run now.

Each is an empty file whose name says all, so that a command and the daemon agree without a
lock: making and removing a file is one step. Names of entries are safe file names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from halo_daemon.errors import StoreError
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import ASKED_SUFFIX, PAUSED_SUFFIX, DataPaths


class ScheduleSwitches:
    """The switches of a data directory; all are off in a new one."""

    def __init__(self, root: Path, *, disk: Disk | None = None) -> None:
        self._directory = DataPaths(root).schedules
        self._disk = disk or Disk()

    def is_paused(self, name: str) -> bool:
        """Whether the entry *name* is paused; False when that cannot be read."""
        try:
            return self._paused(name).is_file()
        except OSError:
            return False

    def pause(self, name: str) -> bool:
        """
        Let no run of the entry begin; False when it was paused already.

        The pause outlives a crash once this returned.

        Raises:
            StoreError: The disk refused.
        """
        return self._made(self._paused(name))

    def resume(self, name: str) -> bool:
        """
        Let the entry run at its times again; False when it was not paused.

        Raises:
            StoreError: The disk refused.
        """
        return self._removed(self._paused(name))

    def ask(self, name: str) -> None:
        """
        Ask the daemon for a run of the entry; one that waits already is enough.

        Raises:
            StoreError: The disk refused.
        """
        self._made(self._asked(name))

    def withdraw(self, name: str) -> bool:
        """
        Take a request back; False when the daemon has taken it.

        Raises:
            StoreError: The disk refused.
        """
        return self._removed(self._asked(name))

    def is_asked(self, name: str) -> bool:
        """Whether a request for the entry waits to be taken."""
        return self._asked(name).is_file()

    def take_requests(self) -> list[str]:
        """
        The entries that people asked for since the last call, in order of name.

        Raises:
            StoreError: The disk refused; what was not taken is taken next time.
        """
        if not self._directory.is_dir():
            return []
        with _refusals(self._directory):
            asked = sorted(self._directory.glob(f"*{ASKED_SUFFIX}"))
        return [path.name.removesuffix(ASKED_SUFFIX) for path in asked if self._removed(path)]

    def _paused(self, name: str) -> Path:
        return self._directory / f"{name}{PAUSED_SUFFIX}"

    def _asked(self, name: str) -> Path:
        return self._directory / f"{name}{ASKED_SUFFIX}"

    def _made(self, path: Path) -> bool:
        """Whether *path* was not there yet."""
        with _refusals(path):
            self._disk.make_directory(self._directory)
            try:
                path.touch(mode=0o640, exist_ok=False)
            except FileExistsError:
                return False
            self._disk.sync_directory(self._directory)
        return True

    def _removed(self, path: Path) -> bool:
        """Whether *path* was there."""
        with _refusals(path):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            self._disk.sync_directory(self._directory)
        return True


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"cannot switch a schedule in {path}: {exc.strerror or exc}",
            hint="check free space and permissions of the data directory",
        ) from exc
