"""
One receiving process against several: ``python -m bench.workers [--workers 2] [--seconds 10]``.

The load comes from a file, not from a client that encodes: requests over HTTP/1.1 are
written to the file before the clock starts, and each connection sends them with
`sendfile`, so that the kernel copies from its cache to the socket and the sender hardly
computes. Each connection has one request under way; there are several for each worker,
because the kernel gives connections to workers by chance. Every answer is read and must
be 200, which comes after the sync. One worker and several are measured in turns.

The ratio holds where the sender's share of a core, which is printed, is small, and
where nothing else runs.
"""

import argparse
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path
from threading import Thread
from typing import BinaryIO, NamedTuple

from bench.ingest import cpu_seconds, make_body
from halo_daemon.testing.daemon import DaemonProcess

_BODIES = 64
_ANSWER_BYTES = 65_536
_WORKERS = "HALO_DAEMON__RECEIVERS__OTLP__WORKERS"


class Request(NamedTuple):
    """Where one request stands in the file."""

    offset: int
    size_bytes: int


class Figures(NamedTuple):
    """What one run gave."""

    spans_per_s: float
    daemon_cores: float
    sender_cores: float


def write_requests(file: BinaryIO, *, spans: int, span_bytes: int) -> list[Request]:
    """Write `_BODIES` whole HTTP requests of *spans* spans each to *file*."""
    requests = []
    for number in range(_BODIES):
        body = make_body(number, spans=spans, span_bytes=span_bytes)
        head = (
            "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/x-protobuf\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        offset = file.tell()
        file.write(head.encode("ascii") + body)
        requests.append(Request(offset, file.tell() - offset))
    file.flush()
    return requests


class _Connection(Thread):
    """Sends requests one after the other until the deadline; counts the answers in time."""

    def __init__(
        self, address: tuple[str, int], fd: int, requests: list[Request], *, first: int
    ) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_connection(address)
        self._fd = fd
        self._requests = requests
        self._turn = first
        self.begin_s = self.end_s = 0.0
        self.answered = 0
        self.refusal = b""

    def run(self) -> None:
        with self._socket:
            while not self.refusal and time.perf_counter() < self.end_s:
                self._send(self._requests[self._turn % len(self._requests)])
                self._turn += 1
                # An answer is one short segment.
                answer = self._socket.recv(_ANSWER_BYTES)
                if not answer.startswith(b"HTTP/1.1 200"):
                    self.refusal = answer or b"closed"
                self.answered += self.begin_s <= time.perf_counter() <= self.end_s

    def _send(self, request: Request) -> None:
        offset, end = request.offset, request.offset + request.size_bytes
        while offset < end:
            offset += os.sendfile(self._socket.fileno(), self._fd, offset, end - offset)


def measure(
    workers: int, file: BinaryIO, requests: list[Request], arguments: argparse.Namespace
) -> Figures:
    """One daemon with that many workers and data beside *file*, under load for a while."""
    data = Path(file.name).parent / f"data-{time.monotonic_ns()}"
    daemon = DaemonProcess(data, environ={_WORKERS: str(workers)})
    with daemon:
        host, _, port = daemon.http.rpartition(":")
        connections = [
            _Connection((host, int(port)), file.fileno(), requests, first=number)
            for number in range(arguments.connections * workers)
        ]
        pids = [daemon.pid, *_children(daemon.pid)]
        begin_s = time.perf_counter() + arguments.warm_up
        for connection in connections:
            connection.begin_s, connection.end_s = begin_s, begin_s + arguments.seconds
            connection.start()
        time.sleep(arguments.warm_up)
        cpu_s, own_cpu_s = _cpu_s(pids), cpu_seconds(os.getpid())
        time.sleep(max(0.0, begin_s + arguments.seconds - time.perf_counter()))
        cpu_s, own_cpu_s = _cpu_s(pids) - cpu_s, cpu_seconds(os.getpid()) - own_cpu_s
        for connection in connections:
            connection.join()
    refusals = [connection.refusal for connection in connections if connection.refusal]
    if refusals:
        raise SystemExit(f"{len(refusals)} connections were refused: {refusals[0]!r}")
    answered = sum(connection.answered for connection in connections)
    return Figures(
        spans_per_s=answered * arguments.batch / arguments.seconds,
        daemon_cores=cpu_s / arguments.seconds,
        sender_cores=own_cpu_s / arguments.seconds,
    )


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _cpu_s(pids: list[int]) -> float:
    return sum(cpu_seconds(pid) for pid in pids)


def main() -> None:
    """Print spans per second of one worker and of several, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=2.0, help="seconds not counted")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8, help="for each worker")
    parser.add_argument("--batch", type=int, default=500, help="spans per request")
    parser.add_argument("--span-bytes", type=int, default=700)
    parser.add_argument("--directory", help="where the data goes; a real disk, not tmpfs")
    arguments = parser.parse_args()
    ratios = []
    print(f"{'workers':>7}{'spans/s':>12}{'daemon, cores':>15}{'sender, cores':>15}")
    with (
        tempfile.TemporaryDirectory(dir=arguments.directory) as name,
        (Path(name) / "requests").open("w+b") as file,
    ):
        requests = write_requests(file, spans=arguments.batch, span_bytes=arguments.span_bytes)
        for _ in range(arguments.rounds):
            found = [
                measure(workers, file, requests, arguments) for workers in (1, arguments.workers)
            ]
            for workers, figures in zip((1, arguments.workers), found, strict=True):
                print(
                    f"{workers:>7}{figures.spans_per_s:>12,.0f}"
                    f"{figures.daemon_cores:>15.2f}{figures.sender_cores:>15.2f}"
                )
            ratios.append(found[1].spans_per_s / found[0].spans_per_s)
    print(f"ratio of {arguments.workers} workers to one: {statistics.median(ratios):.2f}, median")


if __name__ == "__main__":
    main()
