"""What people do with findings: look them up, decide, say that one is resolved."""

import getpass
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from halo_daemon.errors import AmbiguousNameError, UnknownNameError
from halo_daemon.findings import (
    Finding,
    FindingState,
    History,
    LedgerEntry,
    Report,
    Triage,
    decision_on,
    from_json,
    in_force,
)
from halo_daemon.log import get_logger
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.store.reports import ReportStore
from halo_daemon.store.triage import TriageFile

log = get_logger()


class KnownFinding(NamedTuple):
    """Everything known of one finding of a project."""

    finding_id: str
    title: str
    state: FindingState
    triage: Triage
    """The decision in force."""
    history: History
    finding: Finding | None
    """As in the latest report; None when that does not show it."""


class FindingDesk:
    """
    The findings of one project.

    Args:
        root: The data directory.

        project: Slug of the project.
    """

    def __init__(self, root: Path, project: str) -> None:
        self.project = project
        self._ledger = LedgerStore(root, project)
        self._triage = TriageFile(root, project)
        self._reports = ReportStore(root, project)

    @cached_property
    def latest_report(self) -> Report | None:
        """
        The newest report, as it was when first asked for: all that is said comes from one.

        None before the first, and when it cannot be read.
        """
        try:
            document = self._reports.previous_report()
            return from_json(document) if document is not None else None
        except (OSError, ValueError) as exc:
            log.warning("report_unreadable", project=self.project, error=str(exc)[:200])
            return None

    def list(self, now: str) -> list[KnownFinding]:
        """
        Every finding of the ledger: those of the latest report in its order, then the rest by id.

        Raises:
            ConfigError: The triage file is wrong.
            StoreError: The ledger cannot be read.
        """
        report = self.latest_report
        shown = {finding.finding_id: finding for finding in report.findings} if report else {}
        book = self._triage.read()
        histories = self._ledger.histories()
        current = {name for name, history in histories.items() if not history.superseded_by}
        order = [*(name for name in shown if name in current), *sorted(current - {*shown})]
        return [
            KnownFinding(
                name,
                histories[name].title,
                histories[name].state,
                in_force(
                    decision_on(book, name, histories[name].supersedes),
                    now,
                    regressed=histories[name].mute_ended,
                ),
                histories[name],
                shown.get(name),
            )
            for name in order
        ]

    def find(self, prefix: str, now: str) -> KnownFinding:
        """
        The finding whose id begins with *prefix*, with or without ``F-``, in any case.

        An id that it went under before names it as well: messages and tickets hold such ids.

        Raises:
            UnknownNameError: No finding begins so.
            AmbiguousNameError: Several do.
            StoreError: The ledger cannot be read.
        """
        wanted = prefix.upper() if prefix.upper().startswith("F-") else f"F-{prefix.upper()}"
        histories = self._ledger.histories()
        names = {_current(name, histories) for name in histories if name.startswith(wanted)}
        found = [row for row in self.list(now) if row.finding_id in names]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(row.finding_id for row in found[:5])
            raise AmbiguousNameError(
                f"cannot tell which finding `{wanted}` means: {len(found)} begin so",
                hint=f"write more of the id: {several}",
            )
        raise UnknownNameError(
            f"cannot find a finding `{wanted}` in project `{self.project}`",
            hint="halo-daemon finding list",
        )

    def decide(self, row: KnownFinding, triage: Triage, *, now: str) -> None:
        """
        Write a decision into the triage file, and that it was made into the ledger.

        Raises:
            ConfigError: The triage file is wrong and stays as it is.
            StoreError: The disk refused.
        """
        self._triage.decide(row.finding_id, triage)
        if triage.state == "open":
            # What was said of an earlier id would hold again.
            for identity in self._triage.read().keys() & {*row.history.supersedes}:
                self._triage.decide(identity, triage)
        self._write(row, "triage", row.triage.state, triage.state, triage, now)

    def set_state(
        self, row: KnownFinding, state: FindingState, triage: Triage, *, now: str
    ) -> None:
        """
        Write a state that a person gives; for ``resolved`` the note names the version, if any.

        Raises:
            StoreError: The disk refused.
        """
        self._write(row, "state", row.state, state, triage, now)

    def _write(  # noqa: PLR0917 -- the parts of one ledger line
        self, row: KnownFinding, kind: str, before: str, after: str, triage: Triage, now: str
    ) -> None:
        fields = {"from": before, "to": after, "by": triage.by or "someone", "note": triage.note}
        entry = LedgerEntry.model_validate(
            {"at": now, "type": kind, "finding_id": row.finding_id, **fields}
        )
        self._ledger.append([entry])


def _current(name: str, histories: Mapping[str, History]) -> str:
    """The id that a finding goes under now."""
    passed = {name}
    while name in histories and (later := histories[name].superseded_by) not in {"", *passed}:
        name = later
        passed.add(name)
    return name


def own_name() -> str:
    """The name of whoever decides here; its number where the machine has no name for it."""
    try:
        return getpass.getuser()
    # A container may run as any number. Until Python 3.13 it is a `KeyError`.
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
