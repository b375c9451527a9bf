"""Deleting and compressing that is cut short, refused by the disk, or overtaken by a writer."""

import contextlib
import errno
import subprocess
import sys
from pathlib import Path

import pytest

from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.store.retention import Retention, finish_prune, prune
from halo_daemon.store.shard import Shard
from halo_daemon.store.upkeep import Upkeep
from halo_daemon.testing.failing_disk import FailingDisk, KilledError
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of
from tests.unit.store.test_lifecycle import NOW, everything, store_day

TWO_DAYS_GO = Retention(max_age_s=2.5 * 86_400)
"""Of three days the traces of two; the one that runs into the third stays."""

FOR_GOOD = 10**9


def project_of(root: Path, days: int = 3):
    """A project of some days, with a trace over each midnight."""
    for number in range(days):
        store_day(root, number)
    return DataPaths(root).project("default")


def died_in_call(root: Path, dying: int) -> bool:
    """Begin to delete, and die in place of that call; whether there was one."""
    disk = FailingDisk(dying, kills=True)
    with contextlib.suppress(KilledError):
        prune(DataPaths(root).project("default"), TWO_DAYS_GO, now_unix_ns=NOW, disk=disk)
    return disk.has_failed


def test_a_deletion_that_is_cut_short_leaves_no_trace_in_part_for_long(tmp_path):
    """Wherever the process dies, the next pass, which keeps everything, makes traces whole or gone."""
    dying = 0
    has_died = True
    were_in_part = 0
    while has_died:
        dying += 1
        root = tmp_path / str(dying)
        project = project_of(root)
        before = everything(root)

        has_died = died_in_call(root, dying)
        were_in_part += any(entry not in before for entry in everything(root))
        recover(DataPaths(root))
        Upkeep(DataPaths(root), compress_after_s=None).run(NOW)

        after = everything(root)
        assert [entry for entry in after if entry not in before] == []
        assert {trace_id_of(number) for number in range(21, 31)} <= {entry[0] for entry in after}
        assert not project.pruning.exists()
        assert len({entry[0] for entry in after}) in (len(before), 11)
    assert were_in_part


def test_a_span_that_comes_after_the_crash_is_not_deleted(tmp_path):
    """Finishing takes what was to go then; a late span of the same trace is acknowledged and stays."""
    dying = 0
    in_part: list[str] = []
    while not in_part:
        dying += 1
        root = tmp_path / str(dying)
        project = project_of(root)
        before = everything(root)
        assert died_in_call(root, dying)
        in_part = [entry[0] for entry in everything(root) if entry not in before]
    day = project.days()[-1]
    shard = Shard(Disk(), day.plain("120000Z-w0-000001"), day=day.day, opened_monotonic_s=0.0)
    shard.append(make_line(trace_id=in_part[0], span_id=span_id_of(9)), received_unix_ns=NOW)
    shard.close()

    assert finish_prune(project, now_unix_ns=NOW)

    found = {entry[0]: entry[2] for entry in everything(root)}
    assert found[in_part[0]] == [span_id_of(9)]
    assert not finish_prune(project, now_unix_ns=NOW)


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"traces":["x"],"shards":[]}', bytes(40)])
def test_a_damaged_note_of_a_deletion_deletes_nothing(tmp_path, note):
    """Whatever stands in the note, nothing is lost and the next deletion goes on."""
    project = project_of(tmp_path, 1)
    before = everything(tmp_path)
    project.pruning.write_bytes(note)

    finish_prune(project, now_unix_ns=NOW)

    assert everything(tmp_path) == before
    assert prune(project, Retention(max_traces=0), now_unix_ns=NOW).traces == len(before)


@pytest.mark.parametrize("error_number", [errno.EIO, errno.ENOSPC], ids=["eio", "enospc"])
@pytest.mark.parametrize("last", [0, FOR_GOOD], ids=["once", "for-good"])
def test_a_disk_that_refuses_compression_costs_nothing(tmp_path, error_number, last):
    """From whichever call on, every span is still there, and later it works and leaves nothing half."""
    failing = 0
    has_failed = True
    while has_failed:
        failing += 1
        root = tmp_path / str(failing)
        project_of(root, 2)
        before = everything(root)
        disk = FailingDisk(failing, last=max(failing, last), error_number=error_number, tears=True)

        compress_sealed(DataPaths(root), older_than_s=0, now_unix_ns=NOW, disk=disk)
        has_failed = disk.has_failed

        assert everything(root) == before
        disk.heal()
        compress_sealed(DataPaths(root), older_than_s=0, now_unix_ns=NOW, disk=disk)
        assert everything(root) == before
        assert not list(root.rglob(".tmp-*"))
        assert not list(root.rglob("*.jsonl"))
    assert failing > 8


@pytest.mark.parametrize("error_number", [errno.EIO, errno.ENOSPC], ids=["eio", "enospc"])
@pytest.mark.parametrize("last", [0, FOR_GOOD], ids=["once", "for-good"])
def test_a_disk_that_refuses_deletion_costs_no_trace_that_stays(tmp_path, error_number, last):
    """From whichever call on, what stays is whole, and the next pass finishes the rest."""
    failing = 0
    has_failed = True
    while has_failed:
        failing += 1
        root = tmp_path / str(failing)
        project = project_of(root)
        before = everything(root)
        disk = FailingDisk(failing, last=max(failing, last), error_number=error_number, tears=True)

        with contextlib.suppress(OSError):
            prune(project, TWO_DAYS_GO, now_unix_ns=NOW, disk=disk)
        has_failed = disk.has_failed

        assert [entry for entry in everything(root)[-11:] if entry not in before] == []
        disk.heal()
        Upkeep(DataPaths(root), compress_after_s=None, retention_of=lambda _: TWO_DAYS_GO).run(NOW)
        assert everything(root) == before[-11:]
        assert not list(root.rglob(".tmp-*"))
    assert failing > 8


def raced(root: Path, race: str) -> None:
    """Let something happen in the middle of a step; in a process of its own, for its hook stays."""
    command = [sys.executable, "-m", "tests.anomaly.shard_race_process", race, str(root)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)


def test_compression_does_not_bring_back_a_shard_that_was_just_replaced(tmp_path):
    """A shard replaced between being opened and being held stays gone, and so do its traces."""
    project_of(tmp_path, 1)

    raced(tmp_path, "replace-while-compressing")

    assert [entry[0] for entry in everything(tmp_path)] == [trace_id_of(2)]


def test_a_shard_that_is_sealed_in_the_middle_of_a_deletion_keeps_its_last_lines(tmp_path):
    """What a writer adds after the index was asked, and seals, is neither deleted nor left out."""
    project_of(tmp_path, 2)

    raced(tmp_path, "seal-while-pruning")

    found = {entry[0]: entry[2] for entry in everything(tmp_path)}
    assert found == {trace_id_of(500): [span_id_of(1)], trace_id_of(501): [span_id_of(1)]}
