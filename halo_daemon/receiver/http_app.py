"""
OTLP over HTTP: what each path, method and body is answered.

Every error on these paths carries a ``google.rpc.Status`` in the encoding of the
request, JSON where that is unknown. Success is answered only after the spans are
durable.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from halo_daemon.errors import (
    ForbiddenError,
    IngestError,
    UnauthenticatedError,
    UnsupportedMediaError,
)
from halo_daemon.log import get_logger
from halo_daemon.receiver.access import HostCheck
from halo_daemon.receiver.answers import error_answer, told
from halo_daemon.receiver.asgi import ClientGoneError, Exchange, Receive, Response, Scope, Send
from halo_daemon.receiver.body import (
    ACCEPTED_ENCODINGS,
    UnknownEncodingError,
    require_encoding,
)
from halo_daemon.receiver.cors import Cors
from halo_daemon.receiver.counters import Transport, TransportCounts
from halo_daemon.receiver.encoding import Encoding
from halo_daemon.receiver.ingest import Received, TraceIngest
from halo_daemon.receiver.intake import Intake, Slot
from halo_daemon.receiver.other_signals import OtherSignals, Signal
from halo_daemon.receiver.status import (
    DEADLINE_EXCEEDED,
    RETRY_DELAY_S,
    UNIMPLEMENTED,
    Status,
    status_of,
)

log = get_logger()

Page = Callable[[], Response]
"""Answers GET and HEAD of one path."""

_JSON: Final = "application/json"
_PROTOBUF: Final = "application/x-protobuf"
_ENCODINGS: Final = {
    _PROTOBUF: Encoding.PROTOBUF,
    "application/protobuf": Encoding.PROTOBUF,
    _JSON: Encoding.JSON,
}
_TRACES: Final = "/v1/traces"
_SIGNALS: Final = {"/v1/logs": Signal.LOGS, "/v1/metrics": Signal.METRICS}
_OTLP_PATHS: Final = frozenset({_TRACES, *_SIGNALS})
_PAGE_METHODS: Final = frozenset({"GET", "HEAD"})

_HEADERS: Final[tuple[tuple[type[IngestError], tuple[str, str]], ...]] = (
    (UnknownEncodingError, ("accept-encoding", ACCEPTED_ENCODINGS)),
    (UnauthenticatedError, ("www-authenticate", "Bearer")),
)

_NO_SUCH_PATH: Final = Status(404, UNIMPLEMENTED, is_retryable=False)
_NO_SUCH_METHOD: Final = Status(405, UNIMPLEMENTED, is_retryable=False)
_TOO_SLOW: Final = Status(408, DEADLINE_EXCEEDED, is_retryable=False)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one HTTP request may take."""

    max_body_bytes: int = 64 * 1024**2
    """`receivers.otlp.http.max_body`, as it comes over the wire."""

    max_decompressed_bytes: int = 64 * 1024**2
    """`receivers.otlp.http.max_decompressed`."""

    body_timeout_s: float = 60.0
    """Time that the whole body may take to arrive."""


@dataclass(frozen=True, slots=True)
class _Media:
    """The media type of a request, which is that of its answer."""

    media_type: str
    encoding: Encoding


_UNKNOWN: Final = _Media(_JSON, Encoding.JSON)


class OtlpHttpApp:
    """
    The ASGI application behind the HTTP listener.

    Args:
        ingest: Where trace requests go.
        intake: Counts requests in work; shared with the gRPC listener.
        others: Answers logs and metrics.
        limits: What one request may take.
        counts: Where requests are counted.
        pages: What is answered on other paths.
        hosts: Checks whom a request was addressed to; None where that does not matter.
        cors: Which web pages may send.
    """

    def __init__(
        self,
        *,
        ingest: TraceIngest,
        intake: Intake,
        others: OtherSignals,
        limits: HttpLimits,
        counts: TransportCounts,
        pages: Mapping[str, Page],
        hosts: HostCheck | None = None,
        cors: Cors | None = None,
    ) -> None:
        self._ingest = ingest
        self._intake = intake
        self._others = others
        self._limits = limits
        self._counts = counts
        self._pages = pages
        self._hosts = hosts
        self._cors = cors or Cors()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; never raises for anything a client sends."""
        exchange = Exchange(scope, receive, send)
        try:
            response = await self._answer(exchange)
        except ClientGoneError:
            return
        origin = exchange.header("origin")
        await exchange.respond(response.with_headers(self._cors.headers(origin)))

    async def _answer(self, exchange: Exchange) -> Response:
        path = exchange.path.removesuffix("/") or "/"
        try:
            if self._hosts is not None:
                self._hosts.require(exchange.header("host"))
        except ForbiddenError as exc:
            return _failure(status_of(exc), told(exc), _media_of(exchange))
        if path in _OTLP_PATHS:
            return await self._answer_otlp(exchange, path)
        if path in self._pages:
            return self._answer_page(exchange, path)
        return _failure(_NO_SUCH_PATH, f"no such path: {path[:100]}", _media_of(exchange))

    async def _answer_otlp(self, exchange: Exchange, path: str) -> Response:
        media = _media_of(exchange)
        if exchange.method == "OPTIONS" and self._cors.allows(exchange.header("origin")):
            return Response(204, headers=self._cors.preflight_headers())
        if exchange.method != "POST":
            message = f"cannot {exchange.method} {path}, only POST"
            return _failure(_NO_SUCH_METHOD, message, media, ("allow", "POST"))
        try:
            body = await (
                self._export_traces(exchange)
                if path == _TRACES
                else self._export_other(exchange, _SIGNALS[path])
            )
        except (IngestError, TimeoutError) as exc:
            return _refusal(exc, media)
        except ClientGoneError:
            raise
        except Exception as exc:  # the border of one request
            log.exception("request_failed", transport=Transport.HTTP)
            return _failure(status_of(exc), told(exc), media)
        return Response(200, body, media.media_type)

    async def _export_traces(self, exchange: Exchange) -> bytes:
        with self._counts.request(), self._intake.request() as slot:
            received = await self._read(exchange, slot)
            answer = await self._ingest.export(received, slot, transport=Transport.HTTP)
        return received.encoding.of(answer)

    async def _export_other(self, exchange: Exchange, signal: Signal) -> bytes:
        with self._intake.request() as slot:
            received = await self._read(exchange, slot)
            answer = await self._others.export(received, slot, signal, transport=Transport.HTTP)
        return received.encoding.of(answer)

    async def _read(self, exchange: Exchange, slot: Slot) -> Received:
        """Refuse by the headers what can be refused by them, then read the body."""
        only = self._ingest.admit(exchange.header)
        encoding = _required_encoding(exchange)
        content_encoding = require_encoding(exchange.header("content-encoding") or "")
        async with asyncio.timeout(self._limits.body_timeout_s):
            body = await exchange.read(
                max_bytes=self._limits.max_body_bytes,
                setting="receivers.otlp.http.max_body",
                reserve=slot.reserve,
            )
        return Received(body, encoding, exchange.header, content_encoding, only)

    def _answer_page(self, exchange: Exchange, path: str) -> Response:
        if exchange.method not in _PAGE_METHODS:
            message = f"cannot {exchange.method} {path}, only GET"
            return _failure(_NO_SUCH_METHOD, message, _UNKNOWN, ("allow", "GET, HEAD"))
        return self._pages[path]()


def _media_of(exchange: Exchange) -> _Media:
    """What the answer is written in: as the request, JSON where that is unknown."""
    content_type = exchange.header("content-type") or ""
    media_type = content_type.partition(";")[0].strip().lower()
    encoding = _ENCODINGS.get(media_type)
    return _UNKNOWN if encoding is None else _Media(media_type, encoding)


def _required_encoding(exchange: Exchange) -> Encoding:
    media = _media_of(exchange)
    if media is _UNKNOWN:
        content_type = exchange.header("content-type") or ""
        raise UnsupportedMediaError(
            f"cannot read `Content-Type: {content_type[:100]}`",
            hint=f"send {_PROTOBUF} or {_JSON}",
        )
    return media.encoding


def _refusal(error: IngestError | TimeoutError, media: _Media) -> Response:
    if isinstance(error, TimeoutError):
        return _failure(_TOO_SLOW, "the body took too long to arrive", media)
    headers = [header for cls, header in _HEADERS if isinstance(error, cls)]
    return _failure(status_of(error), told(error), media, *headers)


def _failure(status: Status, message: str, media: _Media, *headers: tuple[str, str]) -> Response:
    if status.is_retryable:
        headers = (*headers, ("retry-after", str(RETRY_DELAY_S)))
    return Response(
        status.http, media.encoding.of(error_answer(status, message)), media.media_type, headers
    )
