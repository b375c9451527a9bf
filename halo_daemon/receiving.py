"""
One process that receives: writer, keys, projects and listeners, built from the configuration.

The daemon is such a process, and so is each of its workers; they differ in their number
only, which names their shards.
"""

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from halo_daemon.auth import KeyFile
from halo_daemon.background import in_background
from halo_daemon.config import Config, RouteRule
from halo_daemon.config_checks import is_loopback
from halo_daemon.errors import ConfigError, StorageUnavailableError
from halo_daemon.log import get_logger
from halo_daemon.memory import keep_freed_memory, leave_start_up_to_itself
from halo_daemon.metrics import CONTENT_TYPE, Family, render
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.receiver.access import KeyCheck
from halo_daemon.receiver.asgi import Response
from halo_daemon.receiver.counters import IngestCounters
from halo_daemon.receiver.grpc_server import GrpcSettings
from halo_daemon.receiver.http_app import HttpLimits, Page
from halo_daemon.receiver.http_server import HttpSettings
from halo_daemon.receiver.measures import families
from halo_daemon.receiver.otlp import OtlpReceiver, Ports, ReceiverSettings, log_diverted
from halo_daemon.receiver.routing import ProjectRouter, Rule
from halo_daemon.receiver.tls import TlsFiles
from halo_daemon.shared_measures import SharedMeasures, storage_family
from halo_daemon.store.disk import Disk, require_free
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.redacting_sink import RedactingSink, redaction_of
from halo_daemon.store.shard import ShardLimits
from halo_daemon.store.writer import SpanWriter, WriterLimits

log = get_logger()

_PUBLISH_S = 1.0
_DESCRIPTORS = 65_536

Result = TypeVar("Result")


def run_on_loop(main: Coroutine[object, None, Result]) -> Result:
    """Run *main* to its end on the fastest event loop that is installed."""
    _allow_many_connections()
    keep_freed_memory()
    leave_start_up_to_itself()
    try:
        import uvloop  # noqa: PLC0415 -- absent on some platforms
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def _allow_many_connections() -> None:
    """Lift the soft limit on descriptors, which is 1,024 on many machines."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Share(NamedTuple):
    """Which one of how many receiving processes this is."""

    worker: int
    workers: int


@asynccontextmanager
async def receiving(
    config: Config, share: Share, *, ports: Ports | None = None
) -> AsyncIterator[Ports]:
    """
    Take spans while the block runs; on leaving, everything accepted is stored.

    The caller holds the lock of the data directory, or is a worker of the process that does.

    Args:
        config: The effective configuration; bounds on memory are divided by the workers.
        share: Which one of how many processes this is.
        ports: The ports that the first process bound; None to take the configured ones.

    Raises:
        ConfigError: An address cannot be bound, a certificate cannot be used, or a key
            would be asked for and there is none.
    """
    paths = DataPaths(config.data.dir)
    writer = SpanWriter(
        config.data.dir,
        worker=share.worker,
        now_unix_ns=time.time_ns,
        now_monotonic_s=time.monotonic,
        limits=_writer_limits(config, share),
    )
    try:
        keys = _key_check(config, paths)
        router = _router(config, paths)
        shared = SharedMeasures(paths.measures, share.worker)
        redaction = redaction_of(config.redaction, paths)
        receiver = OtlpReceiver(
            RedactingSink(writer.accept, redaction) if redaction.is_needed else writer,
            settings=_receiver_settings(config, share, ports, is_open=keys.is_open),
            router=router,
            problems=lambda: _storage_problems(paths.root, config.storage.min_free_bytes),
            keys=keys,
            pages=_pages(config, lambda: shared.merged(measure())),
        )

        def measure() -> list[Family]:
            own = families(receiver.counters, receiver.intake, receiver.others, router.diverted)
            return [*own, storage_family(writer.pending_bytes)]

        bound = await _start(receiver)
        async with _publishing(shared, measure, is_wanted=share.workers > 1):
            try:
                yield bound
            finally:
                await receiver.stop(config.shutdown_grace_s)
                log.info("received", worker=share.worker, **_totals(receiver.counters))
    finally:
        await writer.aclose()


@asynccontextmanager
async def _publishing(
    shared: SharedMeasures, measure: Callable[[], Sequence[Family]], *, is_wanted: bool
) -> AsyncIterator[None]:
    if not is_wanted:
        yield
        return

    async def publish() -> None:
        while True:
            try:
                shared.publish(measure())
            except OSError as exc:
                log.warning("measures_not_shared", error=str(exc))
            await asyncio.sleep(_PUBLISH_S)

    try:
        async with in_background(publish, name="measures"):
            yield
    finally:
        shared.retire()


def _pages(config: Config, measure: Callable[[], Sequence[Family]]) -> Mapping[str, Page]:
    if not config.telemetry.metrics:
        return {}
    return {"/metrics": lambda: Response(200, render(measure()), CONTENT_TYPE)}


async def _start(receiver: OtlpReceiver) -> Ports:
    try:
        return await receiver.start()
    except OSError as exc:
        raise ConfigError(
            str(exc).removeprefix(f"[Errno {exc.errno}] "),
            hint="stop what listens there, or choose others with --grpc and --http",
        ) from exc


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
            hint="make one with `halo-daemon project keys create`, or set `receivers.auth.mode: none`",
        )
    return KeyCheck(key_file.find)


def _receiver_settings(
    config: Config, share: Share, ports: Ports | None, *, is_open: bool
) -> ReceiverSettings:
    receivers = config.receivers
    grpc, http, tls = receivers.otlp.grpc, receivers.otlp.http, receivers.otlp.tls
    files = TlsFiles(*tls.pair, client_ca=tls.client_ca_file) if tls.pair else None
    return ReceiverSettings(
        grpc=GrpcSettings(
            host=grpc.endpoint.host,
            port=ports.grpc if ports else grpc.endpoint.port,
            max_message_bytes=grpc.max_message_bytes,
            max_connections=receivers.max_connections,
            tls=files,
            reuse_port=share.workers > 1,
        ),
        http=HttpSettings(
            host=http.endpoint.host,
            port=ports.http if ports else http.endpoint.port,
            max_connections=receivers.max_connections,
            tls=files,
            reuse_port=share.workers > 1,
        ),
        http_limits=HttpLimits(
            max_body_bytes=http.max_body_bytes, max_decompressed_bytes=http.max_decompressed_bytes
        ),
        decode=DecodeLimits(
            max_spans=receivers.max_spans_per_request,
            max_parts=receivers.max_parts_per_request,
            max_items=receivers.max_items_per_span,
            max_line_bytes=config.storage.max_pending_bytes // share.workers,
        ),
        max_concurrent_requests=receivers.max_concurrent_requests,
        max_held_bytes=config.storage.max_pending_bytes // share.workers,
        cors_origins=http.cors_origins,
        allowed_hosts=http.allowed_hosts if is_open and _is_local(config) else None,
    )


def _writer_limits(config: Config, share: Share) -> WriterLimits:
    storage = config.storage
    return WriterLimits(
        shard=ShardLimits(
            max_size_bytes=storage.shard.max_size_bytes, max_age_s=storage.shard.max_age_s
        ),
        max_pending_bytes=storage.max_pending_bytes // share.workers,
        min_free_bytes=storage.min_free_bytes,
    )


def _router(config: Config, paths: DataPaths) -> ProjectRouter:
    def rule(configured: RouteRule) -> Rule:
        return Rule(header=configured.header or "", resource=configured.resource or "")

    return ProjectRouter(
        [rule(each) for each in config.projects.route_by],
        default=config.projects.default,
        max_auto_created=config.projects.max_auto_created,
        known=paths.slugs,
        tell=log_diverted,
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
