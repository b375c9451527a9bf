"""
The HTTP listener.

uvicorn's protocol speaks HTTP; the listening socket, the limits of a connection and
the stop are ours. The server shares the event loop with gRPC and installs no signal
handlers.
"""

import asyncio
import socket
import ssl
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from halo_daemon.errors import ConfigError
from halo_daemon.log import get_logger
from halo_daemon.receiver.asgi import App
from halo_daemon.receiver.tls import TlsFiles, server_context

log = get_logger()

_BACKLOG: Final = 2048
# One read of the transport may hold the end of a head and much of its body.
_READ_SLACK_BYTES: Final = 256 * 1024
_HEADER_OVERHEAD_BYTES: Final = 4
_TLS_CHECK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to listen for HTTP."""

    host: str = "127.0.0.1"
    port: int = 4318
    """0 takes a free port."""

    max_header_bytes: int = 64 * 1024
    """Head of one request; more is answered 431."""

    max_connections: int = 4096
    """`receivers.max_connections`; further ones are closed at once."""

    header_timeout_s: float = 60.0
    """Time that the head of a request may take to arrive."""

    idle_timeout_s: float = 60.0
    """Time that a connection may be kept without a request."""

    reuse_port: bool = False
    """Whether other processes may listen on the same port."""

    tls: TlsFiles | None = None
    """Certificate and key; None for plain HTTP."""


class HttpServer:
    """
    A listener for an ASGI application.

    Args:
        settings: Where to listen, and the limits of a connection.
        app: Answers requests.
    """

    def __init__(self, settings: HttpSettings, app: App) -> None:
        self._settings = settings
        self._config = Config(
            app,
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            log_level="critical",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=int(settings.idle_timeout_s),
        )
        self._state = ServerState()
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._tls_watch: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """
        Listen; returns the port.

        Raises:
            OSError: The address cannot be bound.
            ConfigError: The certificate cannot be used.
        """
        self._config.load()
        tls = self._settings.tls
        context = server_context(tls) if tls else None
        self._listener = _listen(self._settings)
        await self._accept(context)
        if tls:
            self._tls_watch = asyncio.create_task(self._watch_tls(tls))
        port: int = self._listener.getsockname()[1]
        return port

    async def _accept(self, context: ssl.SSLContext | None) -> None:
        """Accept connections with *context* from now on; those that are open go on."""
        assert self._listener is not None, "not started"
        before = self._server
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, sock=self._listener.dup(), backlog=_BACKLOG, ssl=context
        )
        if before is not None:
            before.close()

    async def _watch_tls(self, tls: TlsFiles) -> None:
        seen = tls.signature()
        while True:
            await asyncio.sleep(_TLS_CHECK_S)
            if (now := tls.signature()) == seen:
                continue
            seen = now
            try:
                await self._accept(server_context(tls))
            except (ConfigError, OSError) as exc:
                log.error("certificate_refused", transport="http", error=str(exc))  # noqa: TRY400 -- the files are at fault, not the code
            else:
                log.info("certificate_replaced", transport="http")

    def stop_accepting(self) -> None:
        """Take no new connections, and end each one after the answer it is waiting for."""
        if self._tls_watch is not None:
            self._tls_watch.cancel()
        if self._server is not None:
            self._server.close()
        if self._listener is not None:
            self._listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def stop(self, grace_s: float) -> None:
        """Stop accepting, wait up to *grace_s* for answers in work, then cut what is left."""
        self.stop_accepting()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=grace_s)
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            if connection.transport is not None:
                connection.transport.abort()

    def _protocol(self) -> "_Connection":
        return _Connection(self._config, self._state, self._settings)


class _Connection(HttpToolsProtocol):
    """One connection, with bounds on its heads and on the time they take."""

    def __init__(self, config: Config, state: ServerState, settings: HttpSettings) -> None:
        super().__init__(config, state, {})
        self._limits = settings
        self._head_timer: TimerHandle | None = None
        self._head_bytes = 0
        self._raw_head_bytes = 0
        self._is_head_too_large = False
        self._has_host = False
        self._is_head_over = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_timer is not None:
            self._raw_head_bytes += len(data)
            if self._raw_head_bytes > self._limits.max_header_bytes + _READ_SLACK_BYTES:
                self._is_head_too_large = True
                self.send_400_response("")
                return
        super().data_received(data)
        if self.transport.is_closing():
            return  # a head that was refused has begun no answer of ours to look at
        if self._head_timer is None and self.cycle.response_complete:
            # What follows an answer is the rest of an unread body, or a head: both in time.
            self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override] # uvicorn always closes
        """Keep a connection whose request is whole open for its answer; TLS cannot."""
        if not self._is_head_over or self.scheme == "https":
            return False
        if self.cycle.more_body or self.cycle.response_complete:
            return False
        self.cycle.keep_alive = False
        return True

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_host = self._is_head_over = False
        self._await_head()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + _HEADER_OVERHEAD_BYTES)
        if self._is_head_over:
            # A trailer must not change what the head said: neither the key nor the project.
            return
        self._refuse_ambiguity(name.lower(), value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        self._is_head_over = True
        if not self._has_host and self.parser.get_http_version() == "1.1":
            raise ValueError("no host")  # RFC 9112, section 3.2
        if not self.url.startswith(b"/") and (host := httptools.parse_url(self.url).host):
            # Whom an absolute target names is asked, whatever the header says.
            self.headers[:] = [each for each in self.headers if each[0] != b"host"]
            self.headers.append((b"host", host))
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- uvicorn's signature
        """Answer what is not HTTP, or a head that is too large, and close."""
        status = (
            b"431 Request Header Fields Too Large"
            if self._is_head_too_large
            else b"400 Bad Request"
        )
        body = b'{"code":3,"message":"%s"}' % status
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, len(body), body)
        )
        self.transport.close()

    def _count_head(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes
        if self._head_bytes > self._limits.max_header_bytes:
            self._is_head_too_large = True
            raise ValueError("the head is too large")

    def _refuse_ambiguity(self, name: bytes, value: bytes) -> None:
        """Refuse what another program on the way may read differently."""
        if name == b"host":
            if self._has_host:
                raise ValueError("more than one host")
            self._has_host = True
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise ValueError("a transfer coding that is not spoken here")

    def _await_head(self) -> None:
        self._stop_head_timer()
        self._head_bytes = self._raw_head_bytes = 0
        self._head_timer = self.loop.call_later(self._limits.header_timeout_s, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _listen(settings: HttpSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((settings.host, settings.port))
    except OSError as exc:
        listener.close()
        raise OSError(
            exc.errno,
            f"cannot listen on {settings.host}:{settings.port} for HTTP: {exc.strerror}",
        ) from exc
    listener.setblocking(False)  # noqa: FBT003 -- the library's signature
    return listener
