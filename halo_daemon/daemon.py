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

Rule 3: SIGTERM and the first Ctrl-C stop in order; a second one does not wait.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from halo_daemon.config import Config, RouteRule
from halo_daemon.deliveries import deliveries
from halo_daemon.errors import ConfigError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.receiver.counters import IngestCounters
from halo_daemon.receiver.grpc_server import GrpcServer, GrpcSettings
from halo_daemon.receiver.http_app import HttpLimits, OtlpHttpApp
from halo_daemon.receiver.http_server import HttpServer, HttpSettings
from halo_daemon.receiver.ingest import TraceIngest
from halo_daemon.receiver.intake import Intake
from halo_daemon.receiver.other_signals import OtherSignals
from halo_daemon.receiver.routing import ProjectRouter, Rule
from halo_daemon.scheduling import scheduled_analyses
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.recovery import recover
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.writer import SpanWriter, WriterLimits

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

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
    try:
        import uvloop  # noqa: PLC0415 -- absent on some platforms
    except ImportError:
        return asyncio.run(_serve(config, schedule=schedule, config_path=config_path))
    return uvloop.run(_serve(config, schedule=schedule, config_path=config_path))


async def _serve(config: Config, *, schedule: bool, config_path: Path | None) -> int:
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(_stop_signals())
        addresses = await stack.enter_async_context(_receiving(config))
        await stack.enter_async_context(deliveries(config))
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
    try:
        yield stop
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)


@asynccontextmanager
async def _receiving(config: Config) -> AsyncIterator[Addresses]:
    """Take spans while the block runs; on leaving, everything accepted is stored."""
    paths = DataPaths(config.data.dir)
    with DataLock(paths):
        recover(paths)
        writer = SpanWriter(
            config.data.dir,
            worker=0,
            now_unix_ns=time.time_ns,
            now_monotonic_s=time.monotonic,
            limits=_writer_limits(config),
        )
        try:
            async with _listening(config, writer, known=paths.slugs()) as addresses:
                yield addresses
        finally:
            await writer.aclose()


@asynccontextmanager
async def _listening(
    config: Config, writer: SpanWriter, *, known: list[str]
) -> AsyncIterator[Addresses]:
    receivers = config.receivers
    counters = IngestCounters()
    intake = Intake(
        max_requests=receivers.max_concurrent_requests,
        max_bytes=config.storage.max_pending_bytes,
    )
    ingest = TraceIngest(
        writer,
        _router(config, known),
        limits=DecodeLimits(max_spans=receivers.max_spans_per_request),
        max_decompressed_bytes=receivers.otlp.http.max_decompressed_bytes,
        counters=counters,
    )
    others = OtherSignals()
    grpc_server = GrpcServer(
        GrpcSettings(
            host=receivers.otlp.grpc.endpoint.host,
            port=receivers.otlp.grpc.endpoint.port,
            max_message_bytes=receivers.otlp.grpc.max_message_bytes,
        ),
        ingest=ingest,
        intake=intake,
        others=others,
        counts=counters.grpc,
    )
    app = OtlpHttpApp(
        ingest=ingest,
        intake=intake,
        others=others,
        limits=HttpLimits(
            max_body_bytes=receivers.otlp.http.max_body_bytes,
            max_decompressed_bytes=receivers.otlp.http.max_decompressed_bytes,
        ),
        readiness=lambda: ["stopping"] if intake.is_closed else [],
        counts=counters.http,
    )
    http_server = HttpServer(
        HttpSettings(
            host=receivers.otlp.http.endpoint.host, port=receivers.otlp.http.endpoint.port
        ),
        app,
    )
    try:
        yield await _start(config, grpc_server, http_server)
    finally:
        intake.close()
        async with asyncio.TaskGroup() as stops:
            stops.create_task(grpc_server.stop(config.shutdown_grace_s))
            stops.create_task(http_server.stop(config.shutdown_grace_s))
        ingest.close()
        log.info("received", **_totals(counters))


async def _start(config: Config, grpc_server: GrpcServer, http_server: HttpServer) -> Addresses:
    otlp = config.receivers.otlp
    try:
        grpc_port = await grpc_server.start()
        http_port = await http_server.start()
    except OSError as exc:
        raise ConfigError(
            str(exc).removeprefix(f"[Errno {exc.errno}] "),
            hint="stop what listens there, or choose others with --grpc and --http",
        ) from exc
    return Addresses(
        grpc=_address(otlp.grpc.endpoint.host, grpc_port),
        http=_address(otlp.http.endpoint.host, http_port),
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _writer_limits(config: Config) -> WriterLimits:
    storage = config.storage
    return WriterLimits(
        shard=ShardLimits(
            max_size_bytes=storage.shard.max_size_bytes, max_age_s=storage.shard.max_age_s
        ),
        max_pending_bytes=storage.max_pending_bytes,
        min_free_bytes=storage.min_free_bytes,
    )


def _router(config: Config, known: list[str]) -> ProjectRouter:
    def rule(configured: RouteRule) -> Rule:
        return Rule(header=configured.header or "", resource=configured.resource or "")

    return ProjectRouter(
        [rule(each) for each in config.projects.route_by],
        default=config.projects.default,
        max_auto_created=config.projects.max_auto_created,
        known=known,
        tell=lambda event, project: log.warning(event, project=project[:100]),
    )


def _totals(counters: IngestCounters) -> dict[str, int]:
    both = (counters.grpc, counters.http)
    return {
        "requests": sum(each.requests for each in both),
        "received_spans": sum(each.received for each in both),
        "accepted_spans": sum(each.accepted for each in both),
        "refused_spans": sum(sum(each.refused.values()) for each in both),
        "failed_spans": sum(sum(each.failed.values()) for each in both),
    }
