"""A power cut after any system call: what was acknowledged is there, and no request in part."""

import asyncio
import random
from contextlib import closing

import pytest

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.proto.span import Span
from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.store.retention import Retention, prune
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.shard_files import open_shard
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.power_cut import PowerCutDisk, restore
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of

REQUESTS = 24
SHARES = (0.0, 0.37, 1.0)
LONG_AFTER_UNIX_NS = 2**62
KEPT_TRACES = 4


class _Run:
    """One run of a writer: the disk's moments, and what was acknowledged by which of them."""

    def __init__(self, root):
        self.disk = PowerCutDisk(root)
        self.acknowledged: list[tuple[int, frozenset[str]]] = []
        self.sent: list[frozenset[str]] = []
        self._writer = SpanWriter(
            root,
            worker=0,
            now_unix_ns=lambda: START_UNIX_NS,
            now_monotonic_s=lambda: 0.0,
            limits=WriterLimits(shard=ShardLimits(max_size_bytes=6000), min_free_bytes=0),
            disk=self.disk,
        )
        self._chance = random.Random(3)

    async def load(self):
        """Send requests one after the other and some at once, for two projects."""
        number = 0
        for turn in range(REQUESTS):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(1 + turn % 3):
                    ids = [span_id_of(number + i + 1) for i in range(self._chance.randint(1, 4))]
                    number += len(ids)
                    tasks.create_task(self._send(ids, f"p{number % 2}"))
        await self._writer.aclose()

    async def _send(self, ids, project):
        trace_id = f"{int(ids[0], 16) // 7 + 1:032x}"  # a few requests make a trace
        lines = b"".join(make_line(trace_id=trace_id, span_id=span_id) for span_id in ids)
        self.sent.append(frozenset(ids))
        await self._writer.accept([SpanBatch(project_named(project), lines, len(ids))])
        self.acknowledged.append((len(self.disk.moments) - 1, frozenset(ids)))

    def acknowledged_by(self, moment):
        """Ids acknowledged at or before the *moment*-th call."""
        return {i for at, ids in self.acknowledged for i in ids if at <= moment}


def _stored_ids(root):
    """Every span id that is stored, once for each line; fails on a torn or damaged line."""
    paths = DataPaths(root)
    ids = []
    for slug in paths.slugs():
        for day in paths.project(slug).days():
            for stem in day.stems():
                with closing(open_shard(day, stem)) as shard:
                    lines = shard.read(0, shard.size_bytes)
                assert not lines or lines.endswith(b"\n")
                ids += [Span.from_line(line).span_id for line in lines.split(b"\n") if line]
    return ids


@pytest.mark.slow
async def test_c74_no_power_cut_loses_what_was_acknowledged(tmp_path):
    """At every point of a run, with none, some or all of the unsynced bytes on the disk."""
    run = _Run(tmp_path / "run")
    (tmp_path / "run").mkdir()
    await run.load()

    for number, moment in enumerate(run.disk.moments):
        for share in SHARES:
            root = tmp_path / f"{number}-{share}"
            root.mkdir()
            restore(moment, root, share=share)
            recover(DataPaths(root))
            stored = _stored_ids(root)
            assert len(stored) == len(set(stored))
            assert run.acknowledged_by(number) <= set(stored), (number, share)
            in_part = [ids for ids in run.sent if ids & set(stored) not in (ids, frozenset())]
            assert in_part == [], (number, share)

    assert len(run.acknowledged_by(len(run.disk.moments))) > REQUESTS


@pytest.mark.slow
@pytest.mark.parametrize("steps", [("compress",), ("prune",), ("compress", "prune")])
async def test_c74_no_power_cut_in_upkeep_loses_what_is_kept(tmp_path, steps):
    """At every point of compressing and of deleting traces, what is to stay can be read."""
    root = tmp_path / "run"
    root.mkdir()
    run = _Run(root)
    await run.load()
    everything = set(_stored_ids(root))
    begin = len(run.disk.moments)

    for step in steps:
        _UPKEEP[step](DataPaths(root), run.disk)
    kept = set(_stored_ids(root))

    assert len(run.disk.moments) > begin
    assert kept if "prune" in steps else kept == everything
    assert ("prune" in steps) == (kept < everything)
    for number, moment in enumerate(run.disk.moments[begin:]):
        for share in SHARES:
            after = tmp_path / f"{number}-{share}"
            after.mkdir()
            restore(moment, after, share=share)
            recover(DataPaths(after))
            assert kept <= set(_stored_ids(after)) <= everything, (number, share)


def _compress(paths, disk):
    done = compress_sealed(paths, older_than_s=0, now_unix_ns=LONG_AFTER_UNIX_NS, disk=disk)
    assert done.shards > 2


def _prune(paths, disk):
    for slug in paths.slugs():
        retention = Retention(max_traces=KEPT_TRACES)
        pruned = prune(paths.project(slug), retention, now_unix_ns=LONG_AFTER_UNIX_NS, disk=disk)
        assert pruned.shards_deleted + pruned.shards_rewritten > 1


_UPKEEP = {"compress": _compress, "prune": _prune}
