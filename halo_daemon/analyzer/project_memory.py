"""A project's past on disk: the ledger and the triage file, before and after a run."""

from pathlib import Path

from pydantic import ValidationError

from halo_daemon.analyzer.contract import NO_CONTRACT, Contract, contract_of
from halo_daemon.analyzer.ledger import entries_of
from halo_daemon.analyzer.memory import Memory
from halo_daemon.config_yaml import read_document
from halo_daemon.errors import ConfigError, StoreError
from halo_daemon.findings import Report
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.triage import TriageFile, plain


class ProjectMemory:
    """
    What a run is told of the past, and what it adds to it.

    Args:
        root: The data directory.

        project: Slug of the project.
    """

    def __init__(self, root: Path, project: str) -> None:
        self._root, self._project = root, project
        self._ledger = LedgerStore(root, project)
        self._triage = TriageFile(root, project)

    def recall(self) -> Memory:
        """
        What is known before a run; a triage file that is wrong counts as empty.

        Raises:
            ConfigError: The contract is not one: rules must not silently go unchecked.
            StoreError: The ledger cannot be read.
        """
        return Memory(
            self._ledger.histories(),
            self._triage.read_or_nothing(),
            read_contract(DataPaths(self._root).project(self._project).contract),
        )

    def remember(self, report: Report, memory: Memory) -> None:
        """
        Add *report*, which was made with *memory*, to the ledger; once only per report.

        Raises:
            StoreError: The disk refused; the next run sees the project as before.
        """
        if not any(entry.report_id == report.report_id for entry in self._ledger.read()):
            self._ledger.append(entries_of(report, memory.histories))


def read_contract(path: Path) -> Contract:
    """
    Read a contract file; no file is an empty contract.

    Raises:
        ConfigError: The file is not a contract, with every mistake in it.
        StoreError: The file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return NO_CONTRACT
    except (OSError, UnicodeDecodeError) as exc:
        raise StoreError(f"cannot read the contract {path}: {exc}") from exc
    root, problems = read_document(text, str(path))
    mistakes = [str(problem) for problem in problems]
    if not mistakes:
        try:
            return contract_of(plain(root))
        except ValidationError as exc:
            mistakes = [
                f"{path}: {'.'.join(map(str, row['loc']))}: {row['msg']}" for row in exc.errors()
            ]
    raise ConfigError(
        f"cannot read the contract {path}",
        hint="docs/reference/report.md describes the contract file",
        diagnostics=tuple(mistakes),
    )
