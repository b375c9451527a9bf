"""
Load for an hour, with crashes: ``python -m bench.soak [--minutes 60] [--rate N]``.

A real daemon is killed or stopped at random moments and started again, while batches
go on arriving and are sent again until they are acknowledged, as exporters do. Old
traces are deleted all the while, so that the disk stays bounded.

The load comes in generations of a minute. Once every batch of a generation was
acknowledged, another process reads it back and counts each span: one that is missing,
or that a reader sees twice, fails the soak. So neither memory nor disk grows with the
length of the run. Without ``--rate`` the load is half of what the daemon takes here.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import random
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import grpc.aio

from bench.ingest import EXPORT, make_body
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.daemon import DaemonProcess

PROJECT: Final = "bench"
# The trace id of the template, and the span ids of every trace that is made from it.
_NUMBER: Final = 0xA5A5A5A5A5
_MARK: Final = (_NUMBER + 1).to_bytes(16)
_PARTS: Final = 10
_PROBE_S: Final = 10.0
_RETRY_PAUSE_S: Final = 0.2
_START_TIMEOUT_S: Final = 300.0
_UNCHECKED_GENERATIONS: Final = 4
_SLACK_NS: Final = 10**9
_OPTIONS: Final = [
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 500),
]


class Verdict(NamedTuple):
    """What a reader found of one generation."""

    acknowledged: int
    """Spans whose success was seen."""
    missing: int
    """Acknowledged spans whose trace is not there, or not whole."""
    doubled: int
    """Spans that a reader sees more than once."""
    resent: int
    """Stored versions that readers merged away."""


class Sent(NamedTuple):
    """A generation as it is handed to the process that reads it back."""

    number: int
    window: Window
    acknowledged: set[int]
    """Batches, one trace each."""
    batch_spans: int


class Generation:
    """The batches of one stretch of time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begin_unix_ns = time.time_ns()
        self.acknowledged: set[int] = set()
        self._batches = 0
        self._settled = asyncio.Event()

    def next_batch(self) -> int:
        """The number of a batch that is sent now."""
        self._settled.clear()
        self._batches += 1
        return self._batches - 1

    def acknowledge(self, batch: int) -> None:
        """Note that the success of *batch* was seen."""
        self.acknowledged.add(batch)
        if len(self.acknowledged) == self._batches:
            self._settled.set()

    async def settled(self) -> None:
        """Wait until every batch was acknowledged; no further one is begun by then."""
        if self._batches:
            await self._settled.wait()

    def trace_id(self, batch: int) -> bytes:
        """The id of the one trace that a batch holds."""
        return self.number.to_bytes(8) + batch.to_bytes(8)


@dataclass
class Part:
    """What was seen in one tenth of the run."""

    delays_ms: list[float] = field(default_factory=list)
    """From the send that succeeded to its acknowledgement."""
    refused: Counter[str] = field(default_factory=Counter)
    resident_mb: list[float] = field(default_factory=list)
    data_gb: float = 0.0
    restarts: int = 0
    spans: int = 0


class Soak:
    """One run against one data directory."""

    def __init__(self, arguments: argparse.Namespace, data: Path) -> None:
        self._arguments = arguments
        self._data = data
        self._daemon = _daemon(data, arguments)
        self._chance = random.Random(arguments.seed)
        self._template = make_body(_NUMBER, spans=arguments.batch, span_bytes=arguments.span_bytes)
        self._generation = Generation(1)
        self._closed: asyncio.Queue[Generation | None] = asyncio.Queue()
        self._closing = asyncio.Lock()
        self._unchecked = asyncio.Semaphore(_UNCHECKED_GENERATIONS)
        self._begin_s = 0.0
        self.seconds = arguments.minutes * 60
        self.parts = [Part() for _ in range(_PARTS)]
        self.verdicts: list[Verdict] = []
        self.longest_wait_s = 0.0
        self.bad_exits = 0

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._begin_s

    @property
    def _is_over(self) -> bool:
        return self._elapsed_s >= self.seconds

    @property
    def _part(self) -> Part:
        return self.parts[min(_PARTS - 1, int(self._elapsed_s / self.seconds * _PARTS))]

    async def run(self, *, rate: float, with_crashes: bool) -> None:
        """Send *rate* spans a second (0: as many as are taken) until the time is over."""
        self._daemon.start()
        self._begin_s = time.monotonic()
        self._generation = Generation(1)
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(1, context) as processes:
                async with asyncio.TaskGroup() as tasks:
                    checker = tasks.create_task(self._check(processes))
                    watcher = tasks.create_task(self._watch())
                    crasher = tasks.create_task(self._crash()) if with_crashes else None
                    await self._load(rate)
                    if crasher is not None:
                        await crasher
                    watcher.cancel()
                    await self._close_generation()
                    self._closed.put_nowait(None)
                    await checker
        finally:
            self._daemon.stop()

    async def _load(self, rate: float) -> None:
        async with (
            grpc.aio.insecure_channel(self._daemon.grpc, options=_OPTIONS) as channel,
            asyncio.TaskGroup() as tasks,
        ):
            call = channel.unary_unary(EXPORT)
            for number in range(self._arguments.streams):
                tasks.create_task(self._stream(number, call, rate))

    async def _stream(
        self, number: int, call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes], rate: float
    ) -> None:
        turn, spans = number, self._arguments.batch
        while not self._is_over:
            pause_s = turn * spans / rate - self._elapsed_s if rate else 0.0
            if pause_s > 0:
                await asyncio.sleep(pause_s)
            await self._close_generation_if_due()
            await self._send(call)
            turn += self._arguments.streams

    async def _send(self, call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
        """Send one batch until it is acknowledged."""
        generation = self._generation
        batch = generation.next_batch()
        body = self._template.replace(_MARK, generation.trace_id(batch))
        first_s = time.monotonic()
        while True:
            sent_s = time.monotonic()
            try:
                await call(body, timeout=30.0)
            except grpc.aio.AioRpcError as exc:
                self._part.refused[exc.code().name] += 1
                await asyncio.sleep(_RETRY_PAUSE_S)
                continue
            break
        done_s = time.monotonic()
        generation.acknowledge(batch)
        self._part.spans += self._arguments.batch
        self._part.delays_ms.append((done_s - sent_s) * 1000)
        self.longest_wait_s = max(self.longest_wait_s, done_s - first_s)

    async def _close_generation_if_due(self) -> None:
        async with self._closing:
            age_s = (time.time_ns() - self._generation.begin_unix_ns) / 1e9
            if age_s >= self._arguments.generation_s:
                await self._close_generation()

    async def _close_generation(self) -> None:
        """Begin the next generation; waits while too many are not checked yet."""
        await self._unchecked.acquire()
        closed, self._generation = self._generation, Generation(self._generation.number + 1)
        self._closed.put_nowait(closed)

    async def _check(self, processes: ProcessPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while (generation := await self._closed.get()) is not None:
            await generation.settled()
            window = Window(generation.begin_unix_ns - _SLACK_NS, time.time_ns() + _SLACK_NS)
            load = Sent(generation.number, window, generation.acknowledged, self._arguments.batch)
            self.verdicts.append(
                await loop.run_in_executor(processes, verdict_on, self._data, load)
            )
            self._unchecked.release()

    async def _crash(self) -> None:
        """End the daemon now and then, by either signal, and start it again."""
        while True:
            pause_s = self._arguments.restart_every * self._chance.uniform(0.3, 1.7)
            if self._elapsed_s + pause_s >= self.seconds:
                return
            await asyncio.sleep(pause_s)
            self._part.restarts += 1
            if self._chance.random() < 0.5:
                await asyncio.to_thread(self._daemon.kill)
            else:
                self.bad_exits += await asyncio.to_thread(self._daemon.stop) != 0
            await asyncio.to_thread(self._daemon.start)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self._arguments.verbose and int(self._elapsed_s) % 60 == 0:
                checked = f"{len(self.verdicts)} of {self._generation.number - 1} generations"
                print(f"{self._elapsed_s:6.0f} s  {checked} read back", flush=True)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self._part.resident_mb.append(_resident_mb(self._daemon.pid))
            used = await asyncio.to_thread(_used_bytes, self._data)
            self._part.data_gb = max(self._part.data_gb, used / 1e9)


def verdict_on(data: Path, sent: Sent) -> Verdict:
    """Read a generation back and count what an agent's owner would see."""
    expected = set(_span_ids(sent.batch_spans))
    prefix = sent.number.to_bytes(8).hex()
    whole: set[int] = set()
    doubled = resent = 0
    reader = LocalTraceReader(data, PROJECT, settle_s=0.0, now_unix_ns=time.time_ns)
    try:
        for trace in reader.iter_traces(sent.window):
            if not trace.trace_id.startswith(prefix):
                continue
            ids = {span.span_id for span in trace.spans}
            doubled += len(trace.spans) - len(ids)
            resent += trace.duplicate_spans
            if ids == expected:
                whole.add(int(trace.trace_id[len(prefix) :], 16))
    finally:
        reader.close()
    return Verdict(
        acknowledged=len(sent.acknowledged) * sent.batch_spans,
        missing=len(sent.acknowledged - whole) * sent.batch_spans,
        doubled=doubled,
        resent=resent,
    )


def _span_ids(batch_spans: int) -> Iterator[str]:
    first = _NUMBER * batch_spans + 1
    return ((first + place).to_bytes(8).hex() for place in range(batch_spans))


def _daemon(data: Path, arguments: argparse.Namespace) -> DaemonProcess:
    return DaemonProcess(
        data,
        # The ports stay the same, so that senders find the daemon again.
        arguments=("--no-schedule", "--grpc", _free_address(), "--http", _free_address()),
        environ={
            "HALO_DAEMON__STORAGE__RETENTION__MAX_SIZE": arguments.keep,
            "HALO_DAEMON__STORAGE__TIDY_EVERY": "60s",
        },
        start_timeout_s=_START_TIMEOUT_S,
    )


def _free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def _used_bytes(directory: Path) -> int:
    used = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            used += path.stat().st_size
    return used


def _report(soak: Soak) -> bool:
    """Print what was seen; whether nothing was lost or doubled."""
    minutes = soak.seconds / 60 / _PARTS
    print("minutes      spans/s   p50 ms   p99 ms   RSS median   RSS peak   data GB  restarts")
    for number, part in enumerate(soak.parts):
        percentiles = statistics.quantiles(part.delays_ms or [0.0, 0.0], n=100)
        resident = part.resident_mb or [0.0]
        print(
            f"{number * minutes:5.1f}-{(number + 1) * minutes:5.1f}"
            f"{part.spans / (minutes * 60):10,.0f}{percentiles[49]:9.1f}{percentiles[98]:9.1f}"
            f"{statistics.median(resident):10.0f} MB{max(resident):8.0f} MB"
            f"{part.data_gb:10.1f}{part.restarts:10}"
        )
    acknowledged = sum(each.acknowledged for each in soak.verdicts)
    missing = sum(each.missing for each in soak.verdicts)
    doubled = sum(each.doubled for each in soak.verdicts)
    refused = sum((part.refused for part in soak.parts), Counter[str]())
    print(f"acknowledged and read back  {acknowledged:,} spans in {len(soak.verdicts)} generations")
    print(f"missing                     {missing}")
    print(f"seen twice by a reader      {doubled}")
    print(f"sent again and merged       {sum(each.resent for each in soak.verdicts):,}")
    print(f"calls without success       {dict(refused) or 0}, all sent again")
    print(f"longest way to a success    {soak.longest_wait_s:.1f} s, restarts included")
    print(f"SIGTERM with a bad exit     {soak.bad_exits}")
    return not (missing or doubled or soak.bad_exits)


def _half_of_the_maximum(arguments: argparse.Namespace, data: Path) -> float:
    probe = argparse.Namespace(**{**vars(arguments), "minutes": _PROBE_S / 60})
    soak = Soak(probe, data)
    asyncio.run(soak.run(rate=0.0, with_crashes=False))
    most = sum(part.spans for part in soak.parts) / _PROBE_S
    print(f"the daemon takes {most:,.0f} spans/s here; the soak sends half of that")
    return most / 2


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=0.0, help="spans/s; 0: half of the maximum")
    parser.add_argument("--restart-every", type=float, default=120.0, help="seconds, on average")
    parser.add_argument("--keep", default="8GiB", help="bytes that retention keeps")
    parser.add_argument("--streams", type=int, default=16, help="requests at a time")
    parser.add_argument("--batch", type=int, default=100, help="spans per request")
    parser.add_argument("--span-bytes", type=int, default=700)
    parser.add_argument("--generation-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="a line a minute")
    parser.add_argument("--directory", help="where the data goes; a real disk, not tmpfs")
    arguments = parser.parse_args()
    root = Path(tempfile.mkdtemp(dir=arguments.directory, prefix="halo-soak-"))
    try:
        rate = arguments.rate or _half_of_the_maximum(arguments, root / "probe")
        shutil.rmtree(root / "probe", ignore_errors=True)
        soak = Soak(arguments, root / "data")
        asyncio.run(soak.run(rate=rate, with_crashes=True))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 0 if _report(soak) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(_main())
