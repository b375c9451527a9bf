"""
Further receiving processes on the same two ports.

Theory of operation
===================

The daemon is the first worker: it holds the lock, mends the shards and binds the ports.
The others are started anew (never forked: gRPC's threads do not survive that), bind the
same ports with SO_REUSEPORT and write shards of their own. The kernel spreads
connections over them.

Rule 1: a worker inherits the lock's descriptor, so nobody else can open the directory
while one still writes.

Rule 2: a worker ends at once when the pipe from its daemon closes: a daemon that was
killed leaves nobody behind.

Rule 3: a worker that dies is started again; what it had acknowledged is on disk.
"""

import asyncio
import os
import pickle
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from halo_daemon import log as log_setup
from halo_daemon.config import Config
from halo_daemon.errors import ConfigError, HaloError
from halo_daemon.log import get_logger
from halo_daemon.receiver.otlp import Ports
from halo_daemon.receiving import Share, receiving, run_on_loop

log = get_logger()

_READY = b"ready\n"
_START_TIMEOUT_S = 120.0
_RESTART_PAUSE_S = 1.0
_KILL_AFTER_S = 5.0
_LENGTH_BYTES = 8


class _Orders(NamedTuple):
    """What a worker is told at its start."""

    config: Config
    share: Share
    ports: Ports


@asynccontextmanager
async def worker_processes(config: Config, ports: Ports, *, lock_fd: int) -> AsyncIterator[None]:
    """
    Run the configured number of workers, this process counted, while the block runs.

    Args:
        config: The effective configuration.
        ports: What this process bound.
        lock_fd: The data directory's lock, which the workers inherit.

    Raises:
        ConfigError: A worker did not get ready.
    """
    workers = config.receivers.otlp.workers
    # Targets and their secrets are the daemon's business.
    lean = config.model_copy(update={"notify": type(config.notify)()})
    orders = [_Orders(lean, Share(number, workers), ports) for number in range(1, workers)]
    keepers = [_Keeper(each, lock_fd) for each in orders]
    try:
        for keeper in keepers:
            await keeper.start()
        yield
    finally:
        async with asyncio.TaskGroup() as stops:
            for keeper in keepers:
                stops.create_task(keeper.stop(config.shutdown_grace_s))


class _Keeper:
    """Keeps one worker running."""

    def __init__(self, orders: _Orders, lock_fd: int) -> None:
        self._orders = orders
        self._lock_fd = lock_fd
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await self._spawn()
        self._watch = asyncio.create_task(self._keep(), name="worker-keeper")

    async def stop(self, grace_s: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace_s + _KILL_AFTER_S)
        except TimeoutError:
            log.warning("worker_killed", worker=self._orders.share.worker)
            process.kill()
            await process.wait()

    async def _keep(self) -> None:
        while True:
            assert self._process is not None, "not started"
            status = await self._process.wait()
            worker = self._orders.share.worker
            log.error("worker_ended", worker=worker, exit_status=status)
            await asyncio.sleep(_RESTART_PAUSE_S)
            try:
                self._process = await self._spawn()
            except ConfigError as exc:
                log.error("worker_not_started", worker=worker, error=str(exc))  # noqa: TRY400 -- the worker logged its own trouble

    async def _spawn(self) -> Process:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "halo_daemon.workers"),
                stdin=PIPE,
                stdout=PIPE,
                pass_fds=(self._lock_fd,),
            )
        except OSError as exc:
            # No process or descriptor left: the keeper asks again, as for one that fails.
            raise ConfigError(
                f"cannot start receiving worker {self._orders.share.worker}: {exc}",
                hint="raise the limits on processes and descriptors, or lower `receivers.otlp.workers`",
            ) from exc
        assert process.stdin is not None
        assert process.stdout is not None
        message = pickle.dumps(self._orders)
        process.stdin.write(len(message).to_bytes(_LENGTH_BYTES) + message)
        try:
            answer = await asyncio.wait_for(process.stdout.readline(), _START_TIMEOUT_S)
        except TimeoutError:
            answer = b""
        if answer != _READY:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise ConfigError(
                f"cannot start receiving worker {self._orders.share.worker}",
                hint="the log says why; `receivers.otlp.workers: 1` does without",
            )
        return process


def main() -> None:
    """Be a worker: orders from stdin, ``ready`` to stdout, until SIGTERM or stdin closes."""
    # A terminal sends these to the daemon's whole group; the daemon says what they mean.
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    length = int.from_bytes(_read_exactly(_LENGTH_BYTES))
    orders: _Orders = pickle.loads(_read_exactly(length))  # noqa: S301 -- from our own parent
    telemetry = orders.config.telemetry.log
    log_setup.configure(level=telemetry.level, log_format=telemetry.format)
    try:
        run_on_loop(_work(orders))
    except HaloError as exc:
        log.error("worker_failed", worker=orders.share.worker, error=str(exc))  # noqa: TRY400 -- a known trouble
        sys.exit(1)


async def _work(orders: _Orders) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # The only thing that comes after the orders is the end of the daemon.
    loop.add_reader(sys.stdin.fileno(), os._exit, 1)
    async with receiving(orders.config, orders.share, ports=orders.ports):
        sys.stdout.buffer.write(_READY)
        sys.stdout.buffer.flush()
        await stop.wait()
    loop.remove_reader(sys.stdin.fileno())


def _read_exactly(size_bytes: int) -> bytes:
    data = b""
    while len(data) < size_bytes:
        chunk = os.read(sys.stdin.fileno(), size_bytes - len(data))
        if not chunk:
            os._exit(1)
        data += chunk
    return data


if __name__ == "__main__":
    main()
