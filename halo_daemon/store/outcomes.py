"""
``outcomes.jsonl``: earlier traces of a project of which it is known whether they failed.

It holds ids and figures, no text of spans, and is written anew as a whole. Losing it
costs the calibration of risk until enough outcomes are known again.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson
from pydantic import ValidationError

from halo_daemon.errors import StoreError
from halo_daemon.findings import KnownOutcome
from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, write_atomically
from halo_daemon.store.paths import DataPaths

log = get_logger()


class OutcomeFile:
    """
    The known outcomes of one project.

    Args:
        root: The data directory.

        project: Slug of the project.

        disk: System calls; tests make them fail.
    """

    def __init__(self, root: Path, project: str, *, disk: Disk | None = None) -> None:
        self._path = DataPaths(root).project(project).outcomes
        self._disk = disk or Disk()

    def read(self) -> tuple[KnownOutcome, ...]:
        """Every outcome, in order of writing; none without the file, damaged lines left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        except OSError as exc:
            log.warning("outcomes_unreadable", path=str(self._path), error=str(exc))
            return ()
        rows = []
        for line in lines:
            try:
                rows.append(KnownOutcome.model_validate_json(line))
            except ValidationError:
                continue
        if len(rows) < len(lines):
            log.warning("outcome_lines_damaged", path=str(self._path), lines=len(lines) - len(rows))
        return tuple(rows)

    def write(self, outcomes: Iterable[KnownOutcome]) -> None:
        """
        Put *outcomes* in the place of those before.

        Raises:
            StoreError: The disk refused; the file is as it was.
        """
        lines = b"".join(orjson.dumps(row.model_dump(mode="json")) + b"\n" for row in outcomes)
        try:
            self._disk.make_directory(self._path.parent)
            write_atomically(self._disk, self._path, lines)
        except OSError as exc:
            raise StoreError(
                f"cannot write {len(lines)} bytes of outcomes to {self._path}: {exc}",
                hint="check free space and permissions of the data directory",
            ) from exc
