"""
OTLP over gRPC.

Theory of operation
===================

The methods are registered without (de)serialisers: handlers get the message's bytes
and return bytes. A message that does not parse is then ours to answer; the library
would answer UNKNOWN, which tells a sender nothing. gRPC and HTTP share one path
behind `TraceIngest`.

Rule 1: no answer to bad input is UNKNOWN, INTERNAL or OUT_OF_RANGE.

Rule 2: RESOURCE_EXHAUSTED means "too large" and never carries a retry hint; "later"
is UNAVAILABLE with a hint.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias

import grpc
import grpc.aio

from halo_daemon.errors import ConfigError, IngestError
from halo_daemon.log import get_logger
from halo_daemon.proto.line import trimmed_message
from halo_daemon.receiver.answers import told, trailers
from halo_daemon.receiver.counters import Transport, TransportCounts, reason_of
from halo_daemon.receiver.encoding import Encoding
from halo_daemon.receiver.health import (
    GRPC_SERVICE,
    SERVICE_UNKNOWN,
    Problems,
    asked_service,
    serving_status,
    watch_status,
)
from halo_daemon.receiver.ingest import Received, TraceIngest
from halo_daemon.receiver.intake import Intake
from halo_daemon.receiver.other_signals import OtherSignals, Signal
from halo_daemon.receiver.routing import HeaderOf
from halo_daemon.receiver.status import status_of
from halo_daemon.receiver.tls import TlsContent, TlsFiles

log = get_logger()

Context = grpc.aio.ServicerContext[bytes, bytes]
Handler = Callable[[bytes, Context], Awaitable[bytes]]
MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes] | None"

_COLLECTOR: Final = "opentelemetry.proto.collector"
_TRACE_SERVICE: Final = f"{_COLLECTOR}.trace.v1.TraceService"
_OTHER_SERVICES: Final = {
    f"{_COLLECTOR}.logs.v1.LogsService": Signal.LOGS,
    f"{_COLLECTOR}.metrics.v1.MetricsService": Signal.METRICS,
}
_SERVED: Final = frozenset({_TRACE_SERVICE, *_OTHER_SERVICES, GRPC_SERVICE})
_MILLIS: Final = 1000
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """How to listen for gRPC."""

    host: str = "127.0.0.1"
    port: int = 4317
    """0 takes a free port."""

    max_message_bytes: int = 64 * 1024**2
    """`receivers.otlp.grpc.max_message`; before and after decompression."""

    max_metadata_bytes: int = 64 * 1024
    """Headers of one request; more ends it with RESOURCE_EXHAUSTED."""

    max_streams: int = 128
    """Requests at a time on one connection; further ones wait in the client. Each may hold a
    message that is still arriving, so this and the connections bound them."""

    max_connections: int = 4096
    """`receivers.max_connections`; further ones are closed at once."""

    handshake_timeout_s: float = 60.0
    """Time that a connection may take until it speaks HTTP/2."""

    ping_after_s: float = 60.0
    """A connection that was silent this long is asked whether the other side is still there."""

    ping_timeout_s: float = 20.0
    """Time that the other side may take to say so; then the connection is closed."""

    reuse_port: bool = False
    """Whether other processes may listen on the same port."""

    tls: TlsFiles | None = None
    """Certificate and key; None for plain HTTP/2."""


class GrpcServer:
    """
    The gRPC listener; one per process and event loop.

    Args:
        settings: Where to listen, and the limits.
        ingest: Where trace requests go.
        intake: Counts requests in work; shared with the HTTP listener.
        others: Answers logs and metrics.
        counts: Where requests are counted.
        problems: Why spans cannot be taken now, for ``grpc.health.v1``.
    """

    def __init__(
        self,
        settings: GrpcSettings,
        *,
        ingest: TraceIngest,
        intake: Intake,
        others: OtherSignals,
        counts: TransportCounts,
        problems: Problems = tuple,
    ) -> None:
        self._problems = problems
        self._settings = settings
        self._ingest = ingest
        self._intake = intake
        self._others = others
        self._counts = counts
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """
        Listen; returns the port.

        Raises:
            OSError: The address cannot be bound.
            ConfigError: The certificate cannot be used.
        """
        server = grpc.aio.server(options=self._options(), interceptors=[_Door(self._refusal_of)])
        server.add_generic_rpc_handlers(self._services())
        address = _address(self._settings.host, self._settings.port)
        tls = self._settings.tls
        credentials = _credentials(tls) if tls else None
        try:
            port = (
                server.add_secure_port(address, credentials)
                if credentials
                else server.add_insecure_port(address)
            )
        except RuntimeError as exc:
            raise OSError(f"cannot listen on {address} for gRPC: {exc}") from exc
        await server.start()
        self._server = server
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no new requests, let those in work end within *grace_s*, then close."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _options(self) -> list[tuple[str, int]]:
        limits = self._settings
        return [
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_metadata_size", limits.max_metadata_bytes),
            ("grpc.absolute_max_metadata_size", limits.max_metadata_bytes),
            ("grpc.max_concurrent_streams", limits.max_streams),
            ("grpc.max_allowed_incoming_connections", limits.max_connections),
            ("grpc.server_handshake_timeout_ms", int(limits.handshake_timeout_s * _MILLIS)),
            ("grpc.keepalive_time_ms", int(limits.ping_after_s * _MILLIS)),
            ("grpc.keepalive_timeout_ms", int(limits.ping_timeout_s * _MILLIS)),
            ("grpc.so_reuseport", int(limits.reuse_port)),
        ]

    def _refusal_of(self, method: str, header_of: HeaderOf) -> IngestError | None:
        """Why a request is not worth receiving; None when it is."""
        if not method.startswith(f"/{_COLLECTOR}."):
            return None
        try:
            self._intake.require_open()
            self._ingest.admit(header_of)
        except IngestError as exc:
            if method.startswith(f"/{_TRACE_SERVICE}/"):
                self._counts.requests += 1
                self._counts.failed_requests[reason_of(exc)] += 1
            return exc
        return None

    def _services(self) -> tuple[grpc.GenericRpcHandler, ...]:
        handlers: dict[str, Handler] = {_TRACE_SERVICE: self._export_traces}
        for service, signal in _OTHER_SERVICES.items():
            handlers[service] = self._other_handler(signal)
        health = grpc.method_handlers_generic_handler(
            GRPC_SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )
        exports = (
            grpc.method_handlers_generic_handler(
                service, {"Export": grpc.unary_unary_rpc_method_handler(handler)}
            )
            for service, handler in handlers.items()
        )
        return (health, *exports)

    async def _check(self, request: bytes, context: Context) -> bytes:
        service = asked_service(request)
        if service and service not in _SERVED:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        if service is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a health check request")
        return serving_status(self._problems)

    async def _watch(self, request: bytes, _context: Context) -> AsyncIterator[bytes]:
        if (asked_service(request) or "") not in {"", *_SERVED}:
            yield SERVICE_UNKNOWN
            return
        async for status in watch_status(self._problems):
            yield status

    async def _export_traces(self, body: bytes, context: Context) -> bytes:
        header_of = _header_of(context)
        try:
            with self._counts.request(), self._intake.request() as slot:
                only = self._ingest.admit(header_of)
                slot.reserve(len(body))
                received = Received(body, Encoding.PROTOBUF, header_of, only=only)
                answer = await self._ingest.export(received, slot, transport=Transport.GRPC)
        except IngestError as exc:
            await _abort(context, exc)
        except Exception as exc:  # the border of one request
            log.exception("request_failed", transport=Transport.GRPC)
            await _abort(context, exc)
        return answer.protobuf

    def _other_handler(self, signal: Signal) -> Handler:
        async def export(body: bytes, context: Context) -> bytes:
            try:
                header_of = _header_of(context)
                with self._intake.request() as slot:
                    only = self._ingest.admit(header_of)
                    slot.reserve(len(body))
                    received = Received(body, Encoding.PROTOBUF, header_of, only=only)
                    answer = await self._others.export(
                        received, slot, signal, transport=Transport.GRPC
                    )
            except IngestError as exc:
                await _abort(context, exc)
            except Exception as exc:  # the border of one request
                log.exception("request_failed", transport=Transport.GRPC)
                await _abort(context, exc)
            return answer.protobuf

        return export


class _Door(grpc.aio.ServerInterceptor):
    """Refuses requests by their headers, before their message is received."""

    def __init__(self, refusal_of: Callable[[str, HeaderOf], IngestError | None]) -> None:
        self._refusal_of = refusal_of

    async def intercept_service(  # type: ignore[override] # all handlers here speak bytes
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[MethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> MethodHandler:
        metadata = handler_call_details.invocation_metadata
        refusal = self._refusal_of(handler_call_details.method, _header_in(metadata))
        if refusal is None:
            return await continuation(handler_call_details)

        async def refuse(_messages: AsyncIterator[bytes], context: Context) -> bytes:
            await _abort(context, refusal)

        # A stream is read on demand, so the message of a refused request is never received.
        return grpc.stream_unary_rpc_method_handler(refuse)


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that are looked up anew for each connection, as the files change."""
    seen = tls.signature()

    def configuration() -> grpc.ServerCertificateConfiguration:
        content = TlsContent(tls)
        return grpc.ssl_server_certificate_configuration(
            [(content.key, content.cert)], root_certificates=content.client_ca
        )

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal seen
        if (now := tls.signature()) == seen:
            return None
        seen = now
        try:
            replacement = configuration()
        except ConfigError as exc:
            log.error("certificate_refused", transport=Transport.GRPC, error=str(exc))  # noqa: TRY400 -- the files are at fault, not the code
            return None
        log.info("certificate_replaced", transport=Transport.GRPC)
        return replacement

    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        changed,  # type: ignore[arg-type] # None keeps what is in use, which the stub forgot
        require_client_authentication=tls.client_ca is not None,
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _header_of(context: Context) -> HeaderOf:
    return _header_in(context.invocation_metadata() or ())


def _header_in(metadata: Iterable[tuple[str, str | bytes]]) -> HeaderOf:
    def header_of(name: str) -> str | None:
        for key, value in metadata:
            if key == name:
                return value if isinstance(value, str) else value.decode("utf-8", "replace")
        return None

    return header_of


async def _abort(context: Context, error: Exception) -> NoReturn:
    status = status_of(error)
    message = trimmed_message(told(error))
    await context.abort(_CODES[status.grpc], message, trailers(status, message))
    raise AssertionError("abort returned")
