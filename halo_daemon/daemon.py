"""
The running daemon: what is built, in which order it starts, and how it stops.

Theory of operation
===================

One process, one event loop. Parts start downstream first, so that nothing can
come in before there is a place for it: lock, mended shards, writer, listeners,
deliveries, schedule. They stop in the opposite order: no run is started any
more, the listeners refuse new requests and let those in work end within the
grace time, the writer drains and syncs, the lock is given back.

Rule 1: nothing but this module and the commands builds concrete parts.

Rule 2: a wrong configuration or a taken address ends the start before the first
request is answered; after that, no input ends the process.

Rule 3: SIGTERM and the first Ctrl-C stop in order; a second one does not wait. SIGHUP
ends nothing: keys and certificates are read again whenever their files change, and
everything else takes a restart.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

from halo_daemon.config import Config
from halo_daemon.housekeeping import housekeeping
from halo_daemon.log import get_logger
from halo_daemon.receiving import Share, receiving, run_on_loop
from halo_daemon.scheduling import scheduled_analyses
from halo_daemon.shared_measures import clear as clear_measures
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.workers import worker_processes

log = get_logger()

EXIT_INTERRUPTED = 130


class Addresses(NamedTuple):
    """Where the daemon listens, as ``host:port``."""

    grpc: str
    http: str


def run(config: Config, *, schedule: bool, config_path: Path | None) -> int:
    """
    Run the daemon until SIGTERM or Ctrl-C.

    Args:
        config: The effective configuration.

        schedule: Whether analyses run on schedule.

        config_path: Where the configuration came from, for child processes.

    Returns:
        The exit status: 0 after SIGTERM, 130 after Ctrl-C.

    Raises:
        ConfigError: An address is taken or cannot be bound.
        StoreError: The data directory is in use or cannot be written.
    """
    return run_on_loop(_serve(config, schedule=schedule, config_path=config_path))


async def _serve(config: Config, *, schedule: bool, config_path: Path | None) -> int:
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(_stop_signals())
        addresses = await stack.enter_async_context(_receiving(config))
        if config.notify.targets or DataPaths(config.data.dir).outbox.exists():
            # An HTTP client and all that findings are made of: memory for who uses it.
            from halo_daemon.deliveries import deliveries  # noqa: PLC0415 -- see above

            await stack.enter_async_context(deliveries(config))
        await stack.enter_async_context(housekeeping(config, config_path=config_path))
        if schedule:
            await stack.enter_async_context(scheduled_analyses(config, config_path=config_path))
        log.info(
            "ready",
            grpc=addresses.grpc,
            http=addresses.http,
            data=str(config.data.dir),
            pid=os.getpid(),
        )
        received = await stop
        log.info("stopping", signal=received.name)
    log.info("stopped")
    return EXIT_INTERRUPTED if received is signal.SIGINT else 0


@contextmanager
def _stop_signals() -> Iterator[asyncio.Future[signal.Signals]]:
    """Resolve a future at the first signal; end the process at once at the second."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(received: signal.Signals) -> None:
        if stop.done():
            log.warning("stop_forced", signal=received.name)
            os._exit(EXIT_INTERRUPTED)
        stop.set_result(received)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, on_signal, each)
    loop.add_signal_handler(signal.SIGHUP, _tell_what_reloads)
    try:
        yield stop
    finally:
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(each)


def _tell_what_reloads() -> None:
    log.info(
        "reload_ignored",
        hint="keys and certificates are read again when they change; restart for other settings",
    )


@asynccontextmanager
async def _receiving(config: Config) -> AsyncIterator[Addresses]:
    """Take spans while the block runs; on leaving, everything accepted is stored."""
    paths = DataPaths(config.data.dir)
    otlp = config.receivers.otlp
    with DataLock(paths) as lock:
        recover(paths)
        clear_measures(paths.measures)
        async with (
            receiving(config, Share(0, otlp.workers)) as ports,
            worker_processes(config, ports, lock_fd=lock.fileno()),
        ):
            yield Addresses(
                grpc=_address(otlp.grpc.endpoint.host, ports.grpc),
                http=_address(otlp.http.endpoint.host, ports.http),
            )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
