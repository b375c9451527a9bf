"""What the writer does when the disk refuses."""

import asyncio
import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from halo_daemon.errors import OverloadError, StorageUnavailableError
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.failing_disk import FailingDisk
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of

REQUESTS = 4


def writer(root: Path, disk: Disk, **limits: int) -> SpanWriter:
    """A writer that rolls its shard with every other request."""
    return SpanWriter(
        root,
        worker=0,
        now_unix_ns=lambda: START_UNIX_NS,
        now_monotonic_s=lambda: 0.0,
        limits=WriterLimits(shard=ShardLimits(max_size_bytes=1500), **limits),
        disk=disk,
    )


def batch_of(number: int) -> SpanBatch:
    """One small span."""
    return SpanBatch(project_named("default"), make_line(span_id=span_id_of(number)), 1)


def stored_lines(root: Path) -> list[bytes]:
    """Every complete line on disk."""
    project = DataPaths(root).project("default")
    return [
        line
        for day in project.days()
        for stem in day.stems()
        for line in day.plain(stem).read_bytes().splitlines(keepends=True)
    ]


async def send_all(sink: SpanWriter) -> list[int]:
    """Send each request, again while it is refused; returns how often each was sent."""
    tries = []
    for number in range(1, REQUESTS + 1):
        for attempt in range(1, 4):
            try:
                await sink.accept([batch_of(number)])
            except StorageUnavailableError:
                continue
            tries.append(attempt)
            break
    await sink.aclose()
    return tries


@pytest.mark.parametrize("tears", [False, True], ids=["clean", "torn"])
async def test_any_one_failing_call_costs_nothing(tmp_path, tears):
    """Whichever system call fails, every acknowledged line is stored and none is torn."""
    expected = {batch_of(number).lines for number in range(1, REQUESTS + 1)}
    failing = 0
    has_failed = True
    while has_failed:
        failing += 1
        root = tmp_path / str(failing)
        disk = FailingDisk(failing, tears=tears)

        tries = await send_all(writer(root, disk))

        has_failed = disk.has_failed
        assert len(tries) == REQUESTS
        assert set(stored_lines(root)) == expected
        assert recover(DataPaths(root)) == []
    assert failing > REQUESTS * 3


@pytest.mark.parametrize("tears", [False, True], ids=["clean", "torn"])
async def test_a_disk_that_stays_broken_refuses_and_heals_by_itself(tmp_path, tears):
    """While calls fail, requests are refused as retryable; afterwards they are stored."""
    disk = FailingDisk(12, last=60, error_number=errno.ENOSPC, tears=tears)
    sink = writer(tmp_path, disk)
    acknowledged = []
    refused = []
    for number in range(1, 40):
        try:
            await sink.accept([batch_of(number)])
            acknowledged.append(batch_of(number).lines)
        except StorageUnavailableError as exc:
            refused.append(exc)
    await sink.aclose()
    recover(DataPaths(tmp_path))

    assert refused
    assert all(exc.retryable and "No space left" in str(exc) for exc in refused)
    assert set(acknowledged) <= set(stored_lines(tmp_path))
    assert len(acknowledged) > 10


def moved(root: Path, project: Path) -> None:
    """Move a project out of the data directory."""
    project.rename(root / "elsewhere")


def shard_moved(root: Path, project: Path) -> None:
    """Move each shard away, as a rotation of logs does."""
    for shard in project.rglob("*.jsonl"):
        shard.rename(root / f"{shard.name}.old")


def shard_replaced(root: Path, project: Path) -> None:
    """Put a copy in the place of each shard, as an editor or `sed -i` does."""
    assert project.is_relative_to(root)
    for shard in project.rglob("*.jsonl"):
        copy = shard.with_suffix(".copy")
        shutil.copyfile(shard, copy)
        copy.replace(shard)


@pytest.mark.parametrize("meddle", [moved, shard_moved, shard_replaced], ids=lambda do: do.__name__)
async def test_what_is_acknowledged_after_somebody_meddled_can_be_found(
    tmp_path, meddle: Callable[[Path, Path], None]
):
    """No span is acknowledged into a file that has another name now, and the project is back."""
    sink = SpanWriter(
        tmp_path,
        worker=0,
        now_unix_ns=lambda: START_UNIX_NS,
        now_monotonic_s=lambda: 0.0,
    )
    await sink.accept([batch_of(1)])
    project = DataPaths(tmp_path).project("default")

    meddle(tmp_path, project.directory)
    await sink.accept([batch_of(2)])
    await sink.accept([batch_of(3)])
    await sink.aclose()

    assert {batch_of(2).lines, batch_of(3).lines} <= set(stored_lines(tmp_path))
    assert len(stored_lines(tmp_path)) == len(set(stored_lines(tmp_path)))
    assert project.project_json.is_file()


async def test_a_nearly_full_disk_refuses_before_it_is_full(tmp_path):
    """Below `storage.min_free` nothing is written; when space returns, spans are stored."""
    disk = FailingDisk(10**9)
    sink = writer(tmp_path, disk, min_free_bytes=1000)
    disk.free = 999

    with pytest.raises(StorageUnavailableError, match=r"999 bytes.*`storage.min_free`"):
        await sink.accept([batch_of(1)])
    disk.free = 1000
    await sink.accept([batch_of(2)])
    await sink.aclose()

    assert stored_lines(tmp_path) == [batch_of(2).lines]


async def test_a_failing_project_does_not_fail_others(tmp_path):
    """Where the directory of one project is broken, requests for another are stored."""
    sink = writer(tmp_path, Disk(), min_free_bytes=0)
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "broken").write_text("a file where a directory should be")
    broken = SpanBatch(project_named("broken"), make_line(), 1)

    results = []
    for batches in ([broken], [batch_of(1)], [batch_of(2), broken]):
        try:
            await sink.accept(batches)
            results.append("stored")
        except StorageUnavailableError:
            results.append("refused")
    await sink.aclose()

    assert results == ["refused", "stored", "refused"]


class SlowDisk(Disk):
    """A disk whose syncs wait until they are let go."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_syncing = asyncio.Event()
        self._loop = loop
        self._go_on = asyncio.Event()

    def sync(self, fd: int) -> None:  # noqa: ARG002 -- any file
        """Say that a sync began, and wait."""
        self._loop.call_soon_threadsafe(self.is_syncing.set)
        asyncio.run_coroutine_threadsafe(self._go_on.wait(), self._loop).result()

    def go_on(self) -> None:
        """Let this and all later syncs pass."""
        self._go_on.set()


async def test_a_slow_disk_makes_requests_wait_then_refuses(tmp_path):
    """The event loop stays free while a sync hangs, and the queue has a bound in bytes."""
    disk = SlowDisk(asyncio.get_running_loop())
    sink = writer(tmp_path, disk, min_free_bytes=0, max_pending_bytes=2000)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sink.accept([batch_of(1)]))
        await disk.is_syncing.wait()
        tasks.create_task(sink.accept([batch_of(2)]))
        await asyncio.sleep(0)
        with pytest.raises(OverloadError, match=r"of 2000 wait.*`storage.max_pending`"):
            await sink.accept([batch_of(3)])
        disk.go_on()
    await sink.aclose()

    assert sink.pending_bytes == 0
    assert len(stored_lines(tmp_path)) == 2


async def test_a_cancelled_request_is_still_stored(tmp_path):
    """A sender that goes away does not take back what it sent, nor leak its reservation."""
    disk = SlowDisk(asyncio.get_running_loop())
    sink = writer(tmp_path, disk, min_free_bytes=0)
    sending = asyncio.create_task(sink.accept([batch_of(1)]))
    await disk.is_syncing.wait()

    sending.cancel()
    disk.go_on()
    await sink.aclose()

    assert stored_lines(tmp_path) == [batch_of(1).lines]
    assert sink.pending_bytes == 0
