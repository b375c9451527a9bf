"""
Runs and their reports on disk.

Each file appears whole. ``report.json`` is the last file of a run, and a run
without it does not count as complete; the link ``latest`` moves after that, so
whoever follows it finds a whole report. A running analysis may keep its journal
in the run's directory meanwhile.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from halo_daemon.errors import StoreError
from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, write_atomically
from halo_daemon.store.paths import TEMPORARY_PREFIX, DataPaths

log = get_logger()

REPORT_JSON = "report.json"
_NO_LINK = frozenset({errno.EISDIR, errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
"""What a file system without links says, or a directory in the link's place, as some copies of
a data directory have. The link is for people; readers do without."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ReportStore:
    """
    The runs of one project.

    Args:
        root: The data directory.

        project: Slug of the project.

        disk: System calls; tests make them fail.
    """

    def __init__(self, root: Path, project: str, *, disk: Disk | None = None) -> None:
        self._paths = DataPaths(root).project(project)
        self._disk = disk or Disk()

    def write(self, run_id: str, files: Mapping[str, bytes | Iterable[bytes]]) -> Path:
        """
        Store the files of one run and make it the latest.

        Other files of the run's directory, such as its journal, are left alone.

        Args:
            run_id: Letters, digits, ``.``, ``_`` and ``-``; newer ids sort later.

            files: Contents by name, whole or in pieces; a name may hold directories.

        Returns:
            The run's directory.

        Raises:
            StoreError: The disk refused; ``latest`` still shows the run before.
            ValueError: The id or a name would leave the run's directory.
        """
        run = self.run_directory(run_id)
        # The report comes last: with it the run counts as complete.
        names = sorted(files, key=lambda name: (name == REPORT_JSON, name))
        try:
            self._disk.make_directory(run)
            for name in names:
                path = run / _safe(name)
                self._disk.make_directory(path.parent)
                write_atomically(self._disk, path, files[name])
            self._link_latest(run)
        except OSError as exc:
            raise StoreError(
                f"cannot write the report of run `{run_id}` to {run}: {exc}",
                hint="check free space and permissions of the data directory, then run again",
            ) from exc
        return run

    def run_directory(self, run_id: str) -> Path:
        """
        Where a run's files stand or will stand.

        Raises:
            ValueError: *run_id* could name another place.
        """
        if _RUN_ID.fullmatch(run_id) is None:
            raise ValueError(f"`{run_id[:80]}` is not a run id")
        return self._paths.runs / run_id

    def list(self) -> list[str]:
        """Ids of the runs that have a report, newest first; empty before the first."""
        try:
            names = [entry.name for entry in self._paths.runs.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            (
                name
                for name in names
                if _RUN_ID.fullmatch(name) and (self._paths.runs / name / REPORT_JSON).is_file()
            ),
            reverse=True,
        )

    def latest(self) -> Path | None:
        """Directory of the run that completed last; None before the first."""
        target = self._paths.latest
        if target.is_symlink() and (target / REPORT_JSON).is_file():
            return target.resolve()
        # The link is lost, hangs or was copied as what it led to: the ids tell as well.
        runs = self.list()
        return self._paths.runs / runs[0] if runs else None

    def previous_report(self) -> bytes | None:
        """``report.json`` of the run that completed last; None before the first."""
        return next(self.earlier_reports(), None)

    def earlier_reports(self) -> Iterator[bytes]:
        """``report.json`` of every run that has one, that which completed last first."""
        latest = self.latest()
        if latest is not None:
            yield (latest / REPORT_JSON).read_bytes()
        for run in self.list():
            if latest is None or run != latest.name:
                yield (self._paths.runs / run / REPORT_JSON).read_bytes()

    def _link_latest(self, run: Path) -> None:
        latest = self._paths.latest
        temporary = latest.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-latest")
        self._disk.unlink(temporary)
        try:
            temporary.symlink_to(Path(run.parent.name) / run.name)
            self._disk.rename(temporary, latest)
        except OSError as exc:
            self._disk.unlink(temporary)
            if exc.errno not in _NO_LINK:
                raise
            log.warning("latest_not_linked", path=str(latest), error=str(exc))
            return
        self._disk.sync_directory(latest.parent)


def _safe(name: str) -> Path:
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or ".." in path.parts or "\0" in name:
        raise ValueError(f"`{name[:80]}` is not a file name inside a run")
    return Path(path)
