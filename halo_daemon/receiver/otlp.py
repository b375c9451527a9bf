"""Both OTLP listeners as one receiver: what the daemon starts and stops."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from halo_daemon.errors import ConfigError
from halo_daemon.log import get_logger
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.receiver.access import HostCheck, KeyCheck
from halo_daemon.receiver.cors import Cors
from halo_daemon.receiver.counters import IngestCounters
from halo_daemon.receiver.descriptors import watch_descriptors
from halo_daemon.receiver.grpc_server import GrpcServer, GrpcSettings
from halo_daemon.receiver.health import Problems, live, ready
from halo_daemon.receiver.http_app import HttpLimits, OtlpHttpApp, Page
from halo_daemon.receiver.http_server import HttpServer, HttpSettings
from halo_daemon.receiver.ingest import TraceIngest
from halo_daemon.receiver.intake import Intake
from halo_daemon.receiver.other_signals import OtherSignals
from halo_daemon.receiver.routing import SERVICE_UNNAMED, TOO_MANY_PROJECTS, ProjectRouter
from halo_daemon.receiver.sink import SpanSink

log = get_logger()

_MAX_LOGGED_NAME: Final = 100
_HINTS: Final = {
    SERVICE_UNNAMED: "set OTEL_SERVICE_NAME, or send the header x-project-name",
    TOO_MANY_PROJECTS: "raise `projects.max_auto_created`, or check the names that are sent",
}


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Where to listen, and every limit."""

    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    http_limits: HttpLimits = field(default_factory=HttpLimits)
    decode: DecodeLimits = field(default_factory=DecodeLimits)

    max_concurrent_requests: int = 64
    """`receivers.max_concurrent_requests`."""

    patience_s: float = 1.0
    """How long a request may wait for a place before it is told to come back."""

    max_held_bytes: int = 256 * 1024**2
    """Bytes of bodies that may be in memory at a time."""

    cors_origins: tuple[str, ...] = ()
    """Web pages that may send, by origin (`receivers.otlp.http.cors_origins`)."""

    allowed_hosts: tuple[str, ...] | None = ()
    """Names beside loopback that requests may be addressed to; None for no check."""


class Ports(NamedTuple):
    """The ports that were bound."""

    grpc: int
    http: int


class OtlpReceiver:
    """
    OTLP over gRPC and HTTP, from sockets to a sink.

    Args:
        sink: Where spans go.
        settings: Where to listen, and every limit.
        router: Finds projects.
        problems: Why spans cannot be taken now; none when they can.
        keys: Who may send; everybody when left out.
        pages: Further paths of the HTTP listener, such as ``/metrics``.

    Attributes:
        counters: What came in and what became of it.
        intake: What is in work.
        others: What was dropped of other signals.
    """

    def __init__(
        self,
        sink: SpanSink,
        *,
        settings: ReceiverSettings,
        router: ProjectRouter,
        problems: Problems = tuple,
        keys: KeyCheck | None = None,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self._problems = problems
        self.counters = IngestCounters()
        self.intake = Intake(
            max_requests=settings.max_concurrent_requests,
            max_bytes=settings.max_held_bytes,
            patience_s=settings.patience_s,
        )
        self._ingest = TraceIngest(
            sink,
            router,
            limits=settings.decode,
            max_decompressed_bytes=settings.http_limits.max_decompressed_bytes,
            counters=self.counters,
            keys=keys,
        )
        self.others = OtherSignals(self._ingest, limits=settings.decode)
        app = OtlpHttpApp(
            ingest=self._ingest,
            intake=self.intake,
            others=self.others,
            limits=settings.http_limits,
            counts=self.counters.http,
            pages={
                "/healthz": live,
                "/readyz": lambda: ready(self.problems),
                **(pages or {}),
            },
            hosts=None if settings.allowed_hosts is None else HostCheck(settings.allowed_hosts),
            cors=Cors(settings.cors_origins),
        )
        self._watch: asyncio.Task[None] | None = None
        self._http = HttpServer(settings.http, app)
        self._grpc = GrpcServer(
            settings.grpc,
            ingest=self._ingest,
            intake=self.intake,
            others=self.others,
            counts=self.counters.grpc,
            problems=self.problems,
        )

    async def start(self) -> Ports:
        """
        Listen on both ports; on an error neither stays open.

        Raises:
            OSError: An address cannot be bound.
            ConfigError: A certificate cannot be used.
        """
        grpc_port = await self._grpc.start()
        try:
            http_port = await self._http.start()
        except (OSError, ConfigError):
            await self._grpc.stop(0)
            raise
        self._watch = asyncio.create_task(watch_descriptors(), name="descriptors")
        return Ports(grpc_port, http_port)

    async def stop(self, grace_s: float) -> None:
        """
        Refuse new requests, let those in work end within *grace_s*, then close.

        The sink is still needed until this returns.
        """
        self.intake.close()
        try:
            async with asyncio.timeout(grace_s):
                await self.intake.drained()
        except TimeoutError:
            log.warning("requests_cut_off", requests=self.intake.open, grace_s=grace_s)
        if self._watch is not None:
            self._watch.cancel()
        await self._grpc.stop(0)
        await self._http.stop(0)

    def problems(self) -> Sequence[str]:
        """Why spans cannot be taken now; empty when they can."""
        stopping = ("the receiver is stopping",) if self.intake.is_closed else ()
        return (*stopping, *self._problems())


def log_diverted(event: str, name: str) -> None:
    """Tell the log, once, that spans go to a project that nobody chose."""
    log.warning(event, project=name[:_MAX_LOGGED_NAME], hint=_HINTS.get(event, ""))
