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
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from halo_daemon.auth import KeyFile
from halo_daemon.config import Config, RouteRule
from halo_daemon.config_checks import is_loopback
from halo_daemon.deliveries import deliveries
from halo_daemon.errors import ConfigError, StorageUnavailableError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.receiver.access import KeyCheck
from halo_daemon.receiver.counters import IngestCounters
from halo_daemon.receiver.grpc_server import GrpcSettings
from halo_daemon.receiver.http_app import HttpLimits
from halo_daemon.receiver.http_server import HttpSettings
from halo_daemon.receiver.otlp import OtlpReceiver, ReceiverSettings
from halo_daemon.receiver.routing import ProjectRouter, Rule
from halo_daemon.receiver.tls import TlsFiles
from halo_daemon.scheduling import scheduled_analyses
from halo_daemon.store.disk import Disk, require_free
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
            async with _listening(config, writer, paths) as addresses:
                yield addresses
        finally:
            await writer.aclose()


@asynccontextmanager
async def _listening(
    config: Config, writer: SpanWriter, paths: DataPaths
) -> AsyncIterator[Addresses]:
    keys = _key_check(config, paths)
    receiver = OtlpReceiver(
        writer,
        settings=_receiver_settings(config, is_open=keys.is_open),
        router=_router(config, paths.slugs()),
        problems=lambda: _storage_problems(paths.root, config.storage.min_free_bytes),
        keys=keys,
    )
    try:
        yield await _start(config, receiver)
    finally:
        await receiver.stop(config.shutdown_grace_s)
        log.info("received", **_totals(receiver.counters))


async def _start(config: Config, receiver: OtlpReceiver) -> Addresses:
    otlp = config.receivers.otlp
    try:
        ports = await receiver.start()
    except OSError as exc:
        raise ConfigError(
            str(exc).removeprefix(f"[Errno {exc.errno}] "),
            hint="stop what listens there, or choose others with --grpc and --http",
        ) from exc
    return Addresses(
        grpc=_address(otlp.grpc.endpoint.host, ports.grpc),
        http=_address(otlp.http.endpoint.host, ports.http),
    )


def _storage_problems(root: Path, min_free_bytes: int) -> Sequence[str]:
    try:
        if os.statvfs(root).f_flag & os.ST_RDONLY:
            return (f"the file system of {root} is read-only",)
        require_free(Disk(), root, min_free_bytes=min_free_bytes)
    except (OSError, StorageUnavailableError) as exc:
        return (str(exc),)
    return ()


def _is_local(config: Config) -> bool:
    otlp = config.receivers.otlp
    return is_loopback(otlp.grpc.endpoint.host) and is_loopback(otlp.http.endpoint.host)


def _key_check(config: Config, paths: DataPaths) -> KeyCheck:
    """
    Who may send.

    Raises:
        ConfigError: A key would be asked for, and there is none.
    """
    mode = config.receivers.auth.mode
    if mode == "none" or (mode == "auto" and _is_local(config)):
        return KeyCheck()
    key_file = KeyFile(paths.keys)
    if mode == "auto" and not key_file.keys():
        raise ConfigError(
            "cannot listen where other machines can reach it: there is no ingest key "
            "(`receivers.auth.mode`)",
            hint="make one with `halo-daemon keys create`, or set `receivers.auth.mode: none`",
        )
    return KeyCheck(key_file.find)


def _receiver_settings(config: Config, *, is_open: bool) -> ReceiverSettings:
    receivers = config.receivers
    grpc, http, tls = receivers.otlp.grpc, receivers.otlp.http, receivers.otlp.tls
    files = TlsFiles(*tls.pair, client_ca=tls.client_ca_file) if tls.pair else None
    return ReceiverSettings(
        grpc=GrpcSettings(
            host=grpc.endpoint.host,
            port=grpc.endpoint.port,
            max_message_bytes=grpc.max_message_bytes,
            tls=files,
        ),
        http=HttpSettings(host=http.endpoint.host, port=http.endpoint.port, tls=files),
        http_limits=HttpLimits(
            max_body_bytes=http.max_body_bytes, max_decompressed_bytes=http.max_decompressed_bytes
        ),
        decode=DecodeLimits(max_spans=receivers.max_spans_per_request),
        max_concurrent_requests=receivers.max_concurrent_requests,
        max_held_bytes=config.storage.max_pending_bytes,
        cors_origins=http.cors_origins,
        allowed_hosts=http.allowed_hosts if is_open and _is_local(config) else None,
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
