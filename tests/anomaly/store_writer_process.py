"""Writes spans until it is killed: ``python -m tests.anomaly.store_writer_process ROOT START``."""

import asyncio
import os
import sys
import time
from pathlib import Path

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.writer import SpanWriter, WriterLimits
from halo_daemon.testing.spans import make_line, span_id_of

SENDERS = 8


async def send(sink: SpanWriter, first: int) -> None:
    """Store one span after the other, and say which are acknowledged."""
    number = first
    while True:
        projects = ("a", "b") if number % 3 == 0 else ("a",)
        line = make_line(span_id=span_id_of(number))
        await sink.accept([SpanBatch(project_named(name), line, 1) for name in projects])
        os.write(sys.stdout.fileno(), f"{number}\n".encode())
        number += SENDERS


async def main(root: Path, first: int) -> None:
    """Start as the daemon does, then write without end."""
    paths = DataPaths(root)
    with DataLock(paths):
        recover(paths)
        sink = SpanWriter(
            root,
            worker=0,
            now_unix_ns=time.time_ns,
            now_monotonic_s=time.monotonic,
            limits=WriterLimits(shard=ShardLimits(max_size_bytes=20_000)),
        )
        async with asyncio.TaskGroup() as tasks:
            for sender in range(SENDERS):
                tasks.create_task(send(sink, first + sender))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
