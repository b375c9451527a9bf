"""
Stores three requests and dies in the middle of writing the last one.

``python -m tests.anomaly.torn_group_process ROOT``
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import orjson

from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.disk import Disk
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.writer import SpanWriter
from halo_daemon.testing.spans import make_fields, span_id_of, trace_id_of

REQUESTS = 3
SPANS = 10


def lines_of(request: int) -> bytes:
    """The spans of a request, a trace of its own, as a mapping that knew less wrote them."""
    lines = []
    for number in range(SPANS):
        fields = make_fields(trace_id=trace_id_of(request), span_id=span_id_of(number + 1))
        fields["attributes"] = {"gen_ai.operation.name": "chat", **fields["attributes"]}
        lines.append(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


class DyingDisk(Disk):
    """A disk under a process that is killed when most of the last request is written."""

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write, or write a part and die by SIGKILL."""
        if bytes(data) == lines_of(REQUESTS):
            super().write(fd, data[: len(data) * 3 // 4])
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(fd, data)


async def main(root: Path) -> None:
    """Store one request after the other."""
    with DataLock(DataPaths(root)):
        sink = SpanWriter(
            root,
            worker=0,
            now_unix_ns=time.time_ns,
            now_monotonic_s=time.monotonic,
            disk=DyingDisk(),
        )
        for request in range(1, REQUESTS + 1):
            await sink.accept([SpanBatch(project_named("p"), lines_of(request), SPANS)])
            os.write(sys.stdout.fileno(), b"stored\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
