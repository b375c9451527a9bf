import asyncio
import fcntl
import shutil
from pathlib import Path

import pytest

from halo_daemon.errors import LimitError
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of

DAY_NS = 86_400 * 10**9


class Clock:
    """Both clocks, set by hand."""

    def __init__(self) -> None:
        self.unix_ns = START_UNIX_NS
        self.monotonic_s = 0.0


def writer(root: Path, clock: Clock, disk: Disk | None = None, **limits: int) -> SpanWriter:
    """A writer under a clock that is set by hand."""
    return SpanWriter(
        root,
        worker=0,
        now_unix_ns=lambda: clock.unix_ns,
        now_monotonic_s=lambda: clock.monotonic_s,
        limits=WriterLimits(
            shard=ShardLimits(max_size_bytes=10_000, max_age_s=60.0), min_free_bytes=0, **limits
        ),
        disk=disk,
    )


def batch_of(number: int, project: str = "default") -> SpanBatch:
    """One small span."""
    return SpanBatch(project_named(project), make_line(span_id=span_id_of(number)), 1)


def is_open(shard: Path) -> bool:
    """Whether a writer holds *shard*, as compression and retention ask."""
    with shard.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def shards(root: Path) -> list[str]:
    """Day and name of every shard, in order."""
    project = DataPaths(root).project("default")
    return [f"{day.day}/{stem}" for day in project.days() for stem in day.stems()]


@pytest.mark.parametrize(
    ("later_ns", "later_s", "expected"),
    [
        pytest.param(10**9, 59.0, 1, id="still-young"),
        pytest.param(10**9, 61.0, 2, id="too-old"),
        pytest.param(DAY_NS, 1.0, 2, id="next-day"),
        pytest.param(-DAY_NS, 1.0, 2, id="clock-set-back-a-day"),
        pytest.param(-3600 * 10**9, 1.0, 1, id="clock-set-back-an-hour"),
    ],
)
async def test_a_shard_ends_with_its_age_and_its_day(tmp_path, later_ns, later_s, expected):
    """Age is counted by the monotonic clock, days by the wall clock in either direction."""
    clock = Clock()
    sink = writer(tmp_path, clock)
    await sink.accept([batch_of(1)])
    clock.unix_ns += later_ns
    clock.monotonic_s += later_s

    await sink.accept([batch_of(2)])
    await sink.aclose()

    assert len(shards(tmp_path)) == expected


async def test_a_full_shard_is_followed_by_another(tmp_path):
    """A shard is sealed once it has reached its size."""
    sink = writer(tmp_path, Clock())
    for number in range(1, 41):
        await sink.accept([batch_of(number)])
    await sink.aclose()

    sizes = [path.stat().st_size for path in tmp_path.rglob("*.jsonl")]
    assert len(sizes) > 2
    assert all(size < 12_000 for size in sizes)


async def test_names_never_collide_when_the_clock_jumps_back(tmp_path):
    """A restart within the same second, or in the past, never touches an older shard."""
    for number in (1, 2, 3):
        sink = writer(tmp_path, Clock())
        await sink.accept([batch_of(number)])
        await sink.aclose()

    assert len(set(shards(tmp_path))) == 3
    assert all(path.stat().st_size for path in tmp_path.rglob("*.jsonl"))


async def test_open_shards_are_bounded(tmp_path):
    """With more projects than open shards allowed, all spans are stored all the same."""
    sink = writer(tmp_path, Clock(), max_open_shards=2)
    for number in range(1, 13):
        await sink.accept([batch_of(number, f"p{number % 4}")])
    await sink.aclose()

    lines = sum(len(path.read_bytes().splitlines()) for path in tmp_path.rglob("*.jsonl"))
    assert lines == 12


async def test_a_quiet_project_is_sealed_while_another_is_busy(tmp_path):
    """Compression and retention get the shard of a project that sends no more."""
    clock = Clock()
    sink = writer(tmp_path, clock)
    await sink.accept([batch_of(1, "quiet")])
    for number in range(2, 6):
        clock.monotonic_s += 31.0
        await sink.accept([batch_of(number, "busy")])
    # An answer comes before the look at the shards that follows its group.
    await sink.accept([batch_of(6, "busy")])

    still_open = [path for path in tmp_path.rglob("*.jsonl") if is_open(path)]
    assert still_open == [max(DataPaths(tmp_path).project("busy").directory.rglob("*.jsonl"))]
    await sink.aclose()


@pytest.mark.parametrize("deleted", ["shard", "day", "project", "all-projects"])
async def test_what_is_deleted_under_a_writer_begins_anew(tmp_path, deleted):
    """A span is never acknowledged into a file that has no name any more."""
    sink = writer(tmp_path, Clock())
    await sink.accept([batch_of(1)])
    [shard] = tmp_path.rglob("*.jsonl")
    place = {
        "shard": shard,
        "day": shard.parent,
        "project": DataPaths(tmp_path).project("default").directory,
        "all-projects": DataPaths(tmp_path).projects,
    }[deleted]
    shutil.rmtree(place) if place.is_dir() else place.unlink()

    await sink.accept([batch_of(2)])
    await sink.aclose()

    assert [path.read_bytes() for path in tmp_path.rglob("*.jsonl")] == [batch_of(2).lines]
    assert DataPaths(tmp_path).project("default").project_json.is_file()


async def test_projects_are_bounded(tmp_path):
    """Made-up project names cannot fill the disk with directories; known ones go on."""
    sink = writer(tmp_path, Clock(), max_projects=2)
    await sink.accept([batch_of(1, "one"), batch_of(2, "two")])

    with pytest.raises(LimitError, match="2 of 2 projects"):
        await sink.accept([batch_of(3, "three")])

    await sink.accept([batch_of(4, "one")])
    await sink.aclose()


class CountingDisk(Disk):
    """Counts syncs, and lets the test hold the first one."""

    def __init__(self) -> None:
        self.syncs = 0

    def sync(self, fd: int) -> None:
        """Count, then sync."""
        self.syncs += 1
        super().sync(fd)


async def test_waiting_requests_share_a_sync(tmp_path):
    """A hundred requests at once need a handful of syncs, not a hundred."""
    disk = CountingDisk()
    sink = writer(tmp_path, Clock(), disk)

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, 101):
            tasks.create_task(sink.accept([batch_of(number)]))
    await sink.aclose()

    assert disk.syncs < 50
