import os
import subprocess
import sys
from collections import Counter

import pytest

from halo_daemon.analyzer.ledger_entries import entries_of
from halo_daemon.analyzer.memory import Memory
from halo_daemon.errors import StoreError
from halo_daemon.findings import LedgerCounts, LedgerEntry
from halo_daemon.store.disk import Disk
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.trace_reader import Window
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import window

DAY_NS = 86_400 * 10**9
AT = "2026-11-20T10:00:00.000000000Z"


def seen(number=1, **changes):
    """A line that says a finding was seen."""
    counts = LedgerCounts(affected=number, eligible=10, rate=number / 10, rate_low=0.01)
    return LedgerEntry(at=AT, type="seen", finding_id="F-1", to="new", counts=counts, **changes)


def path_of(root):
    """Where the ledger lies."""
    return DataPaths(root).project("p").findings


def test_what_is_appended_is_read(tmp_path):
    """Lines come back in order of writing, from a new object as well."""
    LedgerStore(tmp_path, "p").append([seen(1), seen(2)])
    LedgerStore(tmp_path, "p").append([seen(3)])

    entries = LedgerStore(tmp_path, "p").read()

    assert [entry.counts.affected for entry in entries] == [1, 2, 3]


def test_nothing_to_add_touches_nothing(tmp_path):
    """An empty append makes no file, and a missing file is an empty ledger."""
    LedgerStore(tmp_path, "p").append([])

    assert not path_of(tmp_path).exists()
    assert LedgerStore(tmp_path, "p").read() == []


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_ignored_and_cut(tmp_path, cut):
    """What a crash left half-written does not count, nor spoil what comes after."""
    ledger = LedgerStore(tmp_path, "p")
    ledger.append([seen(1), seen(2)])
    os.truncate(path_of(tmp_path), path_of(tmp_path).stat().st_size - cut)

    assert [entry.counts.affected for entry in ledger.read()] == [1]
    ledger.append([seen(3)])

    assert [entry.counts.affected for entry in ledger.read()] == [1, 3]


def test_a_damaged_line_costs_itself_alone(tmp_path):
    """Lines before and after one that is not a line are read."""
    ledger = LedgerStore(tmp_path, "p")
    ledger.append([seen(1)])
    with path_of(tmp_path).open("ab") as file:
        file.write(b"\x00garbage\n")
    ledger.append([seen(2)])

    assert [entry.counts.affected for entry in ledger.read()] == [1, 2]


class _FullDisk(Disk):
    def write(self, fd, data):
        """Write a little, then refuse."""
        if len(data) > 20:
            return super().write(fd, data[:20])
        raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path):
    """Half an append is taken back, and the error says what to do."""
    LedgerStore(tmp_path, "p").append([seen(1)])

    with pytest.raises(StoreError) as error:
        LedgerStore(tmp_path, "p", disk=_FullDisk()).append([seen(2)])

    assert error.value.hint
    assert len(LedgerStore(tmp_path, "p").read()) == 1


def test_a_finding_lives_through_its_states(tmp_path):
    """Night after night the ledger is all that the next run knows."""
    ledger = LedgerStore(tmp_path, "p")
    nights = [(5, 45), (5, 45), (30, 20), (30, 20), (0, 2), (0, 30), (4, 30)]
    states = []

    for night, (failures, successes) in enumerate(nights):
        histories = ledger.histories()
        report = report_of(
            window(failures, successes, first=1 + 100 * night),
            window=Window(night * DAY_NS, (night + 1) * DAY_NS),
            memory=Memory(histories),
        )
        ledger.append(entries_of(report, histories))
        states += [row.state for row in (*report.findings, *report.resolved)]

    assert states == [
        "new",
        "ongoing",
        "regressed",
        "ongoing",
        "not_seen",
        "resolved",
        "reopened",
    ]


def test_a_window_read_twice_is_no_exposure(tmp_path):
    """Analysing the same traces again does not resolve what they do not show."""
    ledger = LedgerStore(tmp_path, "p")
    ledger.append(entries_of(report_of(window(20, 20)), {}))

    for _ in range(5):
        histories = ledger.histories()
        report = report_of(window(0, 40), memory=Memory(histories))
        ledger.append(entries_of(report, histories))

    (row,) = report.resolved
    assert (row.state, row.exposure) == ("not_seen", 0)


def test_rebuilding_gives_the_same_answer(tmp_path):
    """What is known is a function of the lines alone."""
    ledger = LedgerStore(tmp_path, "p")
    report = report_of(window())
    ledger.append(entries_of(report, {}))

    assert ledger.histories() == LedgerStore(tmp_path, "p").histories()
    (history,) = ledger.histories().values()
    assert history.finding_id == report.findings[0].finding_id
    assert history.counts.affected == 4


_APPEND = """
import sys
from pathlib import Path
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.findings import LedgerEntry
ledger = LedgerStore(Path(sys.argv[1]), "p")
for number in range(40):
    lines = [
        LedgerEntry(at="2026", type="seen", finding_id=f"F-{sys.argv[2]}", note=f"{number}" * 50)
        for _ in range(5)
    ]
    ledger.append(lines)
"""


def test_processes_that_append_at_once_lose_no_line(tmp_path):
    """A run that ends while people decide: every line of each is there, and whole."""
    writers = [
        subprocess.Popen([sys.executable, "-c", _APPEND, str(tmp_path), name]) for name in "ABC"
    ]

    assert [writer.wait() for writer in writers] == [0, 0, 0]

    entries = LedgerStore(tmp_path, "p").read()
    assert Counter(entry.finding_id for entry in entries) == {"F-A": 200, "F-B": 200, "F-C": 200}


def test_a_torn_tail_longer_than_a_block_is_cut(tmp_path):
    """However long the half-written line is, the whole ones before it stay."""
    ledger = LedgerStore(tmp_path, "p")
    ledger.append([seen(1)])
    with path_of(tmp_path).open("ab") as file:
        file.write(b"x" * 300_000)

    ledger.append([seen(2)])

    assert [entry.counts.affected for entry in ledger.read()] == [1, 2]


def test_a_ledger_of_a_hundred_thousand_lines_is_read(tmp_path):
    """Years of reports: every line counts, and one more is appended without reading them."""
    ledger = LedgerStore(tmp_path, "p")
    lines = [seen(1).model_copy(update={"finding_id": f"F-{n % 500}"}) for n in range(100_000)]
    ledger.append(lines)

    ledger.append([seen(2)])

    histories = ledger.histories()
    assert len(histories) == 500
    assert histories["F-1"].reports_seen == 201
