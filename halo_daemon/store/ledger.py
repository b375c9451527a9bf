"""
``findings.jsonl``: the ledger of findings, append-only.

A line counts once its newline is on disk. A torn last line is ignored when
reading and cut off before the next append; a damaged line in between costs
itself alone. Whoever appends holds the project's directory, so that a person's
decision and a run that ends meanwhile both stand in it.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import orjson
from pydantic import ValidationError

from halo_daemon.errors import StoreError
from halo_daemon.findings import History, LedgerEntry, fold
from halo_daemon.log import get_logger
from halo_daemon.store.disk import Disk, held, write_fully
from halo_daemon.store.paths import DataPaths

log = get_logger()

_FILE_MODE = 0o640
_TAIL_BYTES = 64 * 1024


class LedgerStore:
    """
    The ledger of one project.

    Args:
        root: The data directory.

        project: Slug of the project.

        disk: System calls; tests make them fail.
    """

    def __init__(self, root: Path, project: str, *, disk: Disk | None = None) -> None:
        self._path = DataPaths(root).project(project).findings
        self._disk = disk or Disk()

    def read(self) -> list[LedgerEntry]:
        """
        Every line, in order of writing; empty before the first.

        Raises:
            StoreError: The file cannot be read.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise StoreError(f"cannot read the ledger {self._path}: {exc}") from exc
        whole, _, _ = content.rpartition(b"\n")
        entries = []
        damaged = 0
        for line in whole.split(b"\n") if whole else []:
            try:
                entries.append(LedgerEntry.model_validate_json(line))
            except ValidationError:
                damaged += 1
        if damaged:
            log.warning("ledger_lines_damaged", path=str(self._path), lines=damaged)
        return entries

    def histories(self) -> dict[str, History]:
        """What the ledger knows of every finding, by id."""
        return fold(self.read())

    def append(self, entries: Iterable[LedgerEntry]) -> None:
        """
        Add *entries* as one write, on stable storage when this returns.

        Adding none touches nothing.

        Raises:
            StoreError: The disk refused; the ledger reads as before.
        """
        lines = b"".join(
            orjson.dumps(entry.model_dump(mode="json", by_alias=True, exclude_defaults=True))
            + b"\n"
            for entry in entries
        )
        if not lines:
            return
        try:
            self._disk.make_directory(self._path.parent)
            with held(self._path.parent):
                fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
                try:
                    self._append(fd, lines)
                finally:
                    os.close(fd)
        except OSError as exc:
            raise StoreError(
                f"cannot write {len(lines)} bytes to the ledger {self._path}: {exc}",
                hint="check free space and permissions of the data directory",
            ) from exc

    def _append(self, fd: int, lines: bytes) -> None:
        end = self._whole_length(fd)
        self._disk.truncate(fd, end)
        os.lseek(fd, end, os.SEEK_SET)
        try:
            write_fully(self._disk, fd, lines)
            self._disk.sync(fd)
        except OSError:
            # Half a report in the ledger would count as a whole one later.
            self._disk.truncate(fd, end)
            raise

    def _whole_length(self, fd: int) -> int:
        """Bytes up to the end of the last whole line; looks at the end alone."""
        end = os.fstat(fd).st_size
        while end:
            start = max(0, end - _TAIL_BYTES)
            found = os.pread(fd, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0
