"""A request that a crash cut short is there whole or not at all, for everybody who looks."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from halo_daemon.errors import StorageUnavailableError
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.copies import backup
from halo_daemon.store.disk import Disk
from halo_daemon.store.follow import Follower
from halo_daemon.store.maintenance import DamageKind, verify
from halo_daemon.store.paths import RECEIPTS_SUFFIX, DataPaths, day_of
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.recovery import recover
from halo_daemon.store.reproject import reproject
from halo_daemon.store.shard import Shard, ShardLimits
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.failing_disk import FailingDisk, KilledError
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of
from tests.anomaly.torn_group_process import REQUESTS, SPANS, lines_of

EVER = Window(0, 2**63 - 1)
GROUPS = [1, 3, 1, 4]
STEM = "101500Z-w0-000001"


def spans_of_traces(root: Path, project: str) -> list[int]:
    """How many spans each trace has, as a fresh reader sees it."""
    reader = LocalTraceReader(root, project, settle_s=0, now_unix_ns=time.time_ns)
    try:
        return [len(trace.spans) for trace in reader.iter_traces(EVER)]
    finally:
        reader.close()


def torn_by_sigkill(root: Path) -> None:
    """Leave a data directory as a killed writer does."""
    command = [sys.executable, "-m", "tests.anomaly.torn_group_process", str(root)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.count(b"stored") == REQUESTS - 1


def test_a_request_cut_short_by_kill_9_is_shown_to_nobody(tmp_path):
    """Before and after the next start, in a copy, and to who follows: two whole requests."""
    root, copy = tmp_path / "data", tmp_path / "copy"
    torn_by_sigkill(root)
    paths = DataPaths(root)
    [day] = paths.project("p").days()
    [stem] = day.stems()
    stored = b"".join(map(lines_of, range(1, REQUESTS)))
    follower = Follower(paths, project="", now_unix_ns=time.time_ns())

    before = spans_of_traces(root, "p")
    found = list(verify(paths.project("p"), now_unix_ns=time.time_ns()))
    backup(paths, copy)
    is_longer = day.plain(stem).stat().st_size > len(stored)
    tails = recover(paths)
    after = spans_of_traces(root, "p")

    assert is_longer
    assert [damage.kind for damage in found] == [DamageKind.TORN_TAIL]
    assert before == after == spans_of_traces(copy, "p") == [SPANS] * (REQUESTS - 1)
    assert [tail.offset for tail in tails] == [len(stored)]
    assert day.plain(stem).read_bytes() == stored
    [copied] = DataPaths(copy).project("p").days()
    assert copied.plain(stem).read_bytes() == stored
    assert lines_of(REQUESTS).startswith(tails[0].quarantined.read_bytes())
    assert list(follower.new_lines(time.time_ns())) == []


def test_a_request_cut_short_stays_away_from_a_rewritten_shard(tmp_path):
    """Reading stored spans by a newer mapping does not make some lines of a request count."""
    torn_by_sigkill(tmp_path)

    done = reproject(DataPaths(tmp_path).project("p"), now_unix_ns=time.time_ns())

    assert done.spans == SPANS * (REQUESTS - 1)
    assert spans_of_traces(tmp_path, "p") == [SPANS] * (REQUESTS - 1)


class _NoSidecar(Disk):
    """A disk that takes no receipts, and fails once more when they are closed."""

    def __init__(self) -> None:
        self.receipts_fd = -1

    def create(self, path: Path) -> int:
        fd = super().create(path)
        if path.suffix == RECEIPTS_SUFFIX:
            self.receipts_fd = fd
        return fd

    def write(self, fd, data):
        if fd == self.receipts_fd:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)


def test_a_sidecar_that_fails_to_the_last_costs_no_request(tmp_path, monkeypatch):
    """The spans are stored without it, and its descriptor is given back once, and no other."""
    day = DataPaths(tmp_path).project("p").day(day_of(START_UNIX_NS))
    day.directory.mkdir(parents=True)
    disk, closed, close = _NoSidecar(), [], os.close

    def failing_close(fd: int) -> None:
        close(fd)
        closed.append(fd)
        if fd == disk.receipts_fd:
            raise OSError(errno.EIO, "Input/output error")

    shard = Shard(disk, day.plain(STEM), day=day.day, opened_monotonic_s=0.0)
    shard.open_receipts(day.receipts(STEM))
    monkeypatch.setattr(os, "close", failing_close)
    shard.append(make_line(), received_unix_ns=START_UNIX_NS)
    shard.close()
    monkeypatch.undo()

    assert day.plain(STEM).read_bytes() == make_line()
    assert closed.count(disk.receipts_fd) == 1


@pytest.mark.parametrize("lost", range(1, len(lines_of(1)), 977))
def test_a_stored_request_that_loses_its_end_later_keeps_its_lines(tmp_path, lost):
    """However much of a shard is cut off by others, the complete lines before it stay."""
    day = DataPaths(tmp_path).project("p").day(day_of(START_UNIX_NS))
    day.directory.mkdir(parents=True)
    shard = Shard(Disk(), day.plain(STEM), day=day.day, opened_monotonic_s=0.0)
    shard.open_receipts(day.receipts(STEM))
    shard.append(lines_of(1), received_unix_ns=START_UNIX_NS)
    shard.close()
    data = lines_of(1)[:-lost]
    day.plain(STEM).write_bytes(data)
    whole = data[: data.rfind(b"\n") + 1]

    before = sum(spans_of_traces(tmp_path, "p")) if whole else 0
    recover(DataPaths(tmp_path))

    assert day.plain(STEM).read_bytes() == whole
    assert before == whole.count(b"\n")


def groups() -> list[bytes]:
    """Groups of a few lines, each a trace."""
    return [
        b"".join(
            make_line(trace_id=trace_id_of(place + 1), span_id=span_id_of(number + 1))
            for number in range(spans)
        )
        for place, spans in enumerate(GROUPS)
    ]


@pytest.mark.parametrize("tears", [False, True], ids=["before-the-call", "within-it"])
def test_dying_in_any_one_call_of_writing_leaves_whole_groups(tmp_path, tears):
    """Wherever the process ends, groups are there whole or not at all, stored ones all."""
    dying = 0
    has_died = True
    while has_died:
        dying += 1
        root = tmp_path / str(dying)
        day = DataPaths(root).project("p").day(day_of(START_UNIX_NS))
        day.directory.mkdir(parents=True)
        disk = FailingDisk(dying, kills=True, tears=tears)
        stored = 0
        shard = None
        with contextlib.suppress(KilledError):
            shard = Shard(disk, day.plain(STEM), day=day.day, opened_monotonic_s=0.0)
            shard.open_receipts(day.receipts(STEM))
            for group in groups():
                shard.append(group, received_unix_ns=START_UNIX_NS)
                stored += 1
        has_died = disk.has_failed
        if shard is not None:
            shard.close()

        before = spans_of_traces(root, "p")
        recover(DataPaths(root))
        after = spans_of_traces(root, "p")

        assert before == after
        assert after in (GROUPS[:stored], GROUPS[: stored + 1])
    assert stored == len(GROUPS)


@pytest.mark.parametrize("error_number", [errno.EIO, errno.ENOSPC], ids=["eio", "enospc"])
@pytest.mark.parametrize("calls", [1, 3, 30])
async def test_a_disk_that_refuses_leaves_whole_requests(tmp_path, error_number, calls):
    """From whichever call on, in writing and in sealing, no reader sees some lines of a request."""
    failing = 0
    has_failed = True
    while has_failed:
        failing += 1
        root = tmp_path / str(failing)
        disk = FailingDisk(failing, last=failing + calls - 1, error_number=error_number, tears=True)
        sink = SpanWriter(
            root,
            worker=0,
            now_unix_ns=lambda: START_UNIX_NS,
            now_monotonic_s=lambda: 0.0,
            limits=WriterLimits(shard=ShardLimits(max_size_bytes=1), min_free_bytes=0),
            disk=disk,
        )
        stored = []
        for group in groups():
            for _ in range(40):
                with contextlib.suppress(StorageUnavailableError):
                    await sink.accept([SpanBatch(project_named("p"), group, group.count(b"\n"))])
                    stored.append(group.count(b"\n"))
                    break
        has_failed = disk.has_failed
        await sink.aclose()

        before = spans_of_traces(root, "p")
        recover(DataPaths(root))

        assert stored == GROUPS
        assert before == GROUPS
        assert spans_of_traces(root, "p") == GROUPS
    assert failing > len(GROUPS) * 5
