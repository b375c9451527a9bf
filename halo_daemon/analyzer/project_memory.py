"""A project's past on disk: ledger, triage file and outcomes, before and after a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from halo_daemon.analyzer.calibration import MAX_OUTCOMES
from halo_daemon.analyzer.contract import Contract
from halo_daemon.analyzer.grouping import with_ignores
from halo_daemon.analyzer.headline import summary_of
from halo_daemon.analyzer.ledger import decided
from halo_daemon.analyzer.ledger_entries import entries_of
from halo_daemon.analyzer.memory import Memory
from halo_daemon.analyzer.rising import Occurrences
from halo_daemon.findings import KnownOutcome, LedgerEntry, Report, fold
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.store.outcomes import OutcomeFile
from halo_daemon.store.triage import TriageFile


class ProjectMemory:
    """
    What a run is told of the past, and what it adds to it.

    Args:
        root: The data directory.

        project: Slug of the project.
    """

    def __init__(self, root: Path, project: str) -> None:
        self._ledger = LedgerStore(root, project)
        self._triage = TriageFile(root, project)
        self._outcomes = OutcomeFile(root, project)

    def recall(self) -> Memory:
        """
        What is known before a run; of a triage file that is wrong what is right in it.

        Raises:
            StoreError: The ledger cannot be read.
        """
        entries = self._ledger.read()
        last = next((entry.report_id for entry in reversed(entries) if entry.report_id), "")
        book, unread = self._triage.read_what_is_right()
        return Memory(fold(entries), book, self._outcomes.read(), unread, last)

    def with_decisions(
        self, report: Report, memory: Memory, contract: Contract
    ) -> tuple[Report, Memory]:
        """
        *report* and *memory* with what people decided since *memory* was recalled.

        A run takes its time; whoever acknowledges or mutes a finding meanwhile must not be
        told of it all the same. Without a new decision both are as they were.
        """
        book, _ = self._triage.read_what_is_right()
        if book == memory.triage:
            return report, memory
        known = self._ledger.histories()
        findings = tuple(
            with_ignores(
                decided(finding, known, book, report.created_at), contract, report.created_at
            )
            for finding in report.findings
        )
        told = report.model_copy(update={"findings": findings})
        counts = summary_of(told).counts
        summary = report.summary.model_copy(update={"counts": counts})
        return told.model_copy(update={"summary": summary}), replace(memory, triage=book)

    def remember(
        self,
        report: Report,
        memory: Memory,
        occurrences: Mapping[str, Occurrences] | None = None,
        *,
        before_writing: Callable[[Sequence[LedgerEntry]], None] | None = None,
    ) -> None:
        """
        Add *report*, which was made with *memory*, to the ledger; once only per report.

        *occurrences* by finding id and half-hour are what a later rise is measured against.
        *before_writing* is given the lines; what it raises leaves the ledger as it is.

        Raises:
            StoreError: The disk refused; the next run sees the project as before.
        """
        if any(entry.report_id == report.report_id for entry in self._ledger.read()):
            return
        changes = entries_of(report, memory.histories, memory.triage, occurrences)
        if before_writing is not None:
            before_writing(changes)
        self._ledger.append(changes)

    def remember_outcomes(self, learnt: Iterable[KnownOutcome], memory: Memory) -> None:
        """
        Keep what became of a window's traces, in the place of what *memory* says of the same.

        The newest traces are kept, a bounded number. Without new outcomes nothing is written.

        Raises:
            StoreError: The disk refused; the outcomes are those of before.
        """
        new = {row.trace_id: row for row in learnt}
        if not new:
            return
        known = {row.trace_id: row for row in memory.outcomes} | new
        newest = sorted(known.values(), key=lambda row: (row.at, row.trace_id))[-MAX_OUTCOMES:]
        self._outcomes.write(newest)
