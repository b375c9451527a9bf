"""A power cut after any system call: what was acknowledged is there, and nothing is torn."""

import asyncio
import random

import pytest

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.proto.span import Span
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.power_cut import PowerCutDisk, restore
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of

REQUESTS = 24
SHARES = (0.0, 0.37, 1.0)


class _Run:
    """One run of a writer: the disk's moments, and what was acknowledged by which of them."""

    def __init__(self, root):
        self.disk = PowerCutDisk(root)
        self.acknowledged: list[tuple[int, frozenset[str]]] = []
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
        lines = b"".join(make_line(span_id=span_id) for span_id in ids)
        await self._writer.accept([SpanBatch(project_named(project), lines, len(ids))])
        self.acknowledged.append((len(self.disk.moments) - 1, frozenset(ids)))

    def acknowledged_by(self, moment):
        """Ids acknowledged at or before the *moment*-th call."""
        return {i for at, ids in self.acknowledged for i in ids if at <= moment}


def _stored_ids(root):
    """Every span id that a reader finds; fails on a torn or damaged line."""
    paths = DataPaths(root)
    ids = []
    for slug in paths.slugs():
        for day in paths.project(slug).days():
            for stem in day.stems():
                lines = day.plain(stem).read_bytes()
                assert not lines or lines.endswith(b"\n")
                ids += [Span.from_line(line).span_id for line in lines.split(b"\n") if line]
    assert len(ids) == len(set(ids))
    return set(ids)


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
            assert run.acknowledged_by(number) <= _stored_ids(root), (number, share)

    assert len(run.acknowledged_by(len(run.disk.moments))) > REQUESTS
