"""One HTTP exchange over ASGI: a request that is read within bounds, and its response."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Final, NotRequired, TypedDict

from halo_daemon.errors import LimitError


class Scope(TypedDict):
    """What ASGI says of a request; the keys that are read here."""

    type: str
    method: str
    path: str
    headers: Iterable[tuple[bytes, bytes]]


class Message(TypedDict):
    """An ASGI message, in or out."""

    type: str
    status: NotRequired[int]
    headers: NotRequired[list[tuple[bytes, bytes]]]
    body: NotRequired[bytes]
    more_body: NotRequired[bool]


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# An unread body of this size is read and dropped by the server on the same connection;
# beyond it, the connection is closed.
_KEPT_ALIVE_BYTES: Final = 1024 * 1024
_DRAIN_S: Final = 2.0
_DRAIN_BYTES: Final = 64 * 1024**2


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; the body's length is added to the headers."""

    status: int
    body: bytes = b""
    media_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, headers: tuple[tuple[str, str], ...]) -> "Response":
        """The same answer with *headers* added."""
        return replace(self, headers=self.headers + headers) if headers else self


class Exchange:
    """
    One request and its answer.

    Attributes:
        method: In upper case.
        path: Decoded, without the query.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method = scope["method"]
        self.path = scope["path"]
        self._headers = dict(scope["headers"])
        self._receive = receive
        self._send = send
        self._is_read = not self._announces_body()

    def header(self, name: str) -> str | None:
        """The last header of that lower-case name; None when absent."""
        value = self._headers.get(name.encode("ascii"))
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")

    @property
    def content_length(self) -> int | None:
        """The body's length in bytes as announced; None when it is not."""
        value = self._headers.get(b"content-length", b"")
        return int(value) if value.isdigit() else None

    async def read(self, *, max_bytes: int, setting: str, reserve: Callable[[int], None]) -> bytes:
        """
        The body as it came over the wire.

        Args:
            max_bytes: What it may hold; exactly that many pass.
            setting: The setting that says so.
            reserve: Called with the size of each chunk before it is kept; may raise.

        Raises:
            LimitError: The body is larger, by announcement or in fact.
            ClientGoneError: The client left.
        """
        announced = self.content_length
        if announced is not None and announced > max_bytes:
            raise _too_large(f"{announced} bytes", max_bytes, setting)
        body = BytesIO()
        size_bytes = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            chunk = message.get("body", b"")
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise _too_large("more", max_bytes, setting)
            reserve(len(chunk))
            body.write(chunk)
            if not message.get("more_body", False):
                self._is_read = True
                return body.getvalue()

    async def respond(self, response: Response) -> None:
        """
        Send *response*; a large body that nobody read ends the connection.

        The answer is complete before the rest of the body is drained, so that a client
        that is still sending finds it instead of a reset.
        """
        closes = not self._is_read and (self.content_length or _DRAIN_BYTES) > _KEPT_ALIVE_BYTES
        headers = [
            (b"content-length", str(len(response.body)).encode("ascii")),
            *((name.encode("ascii"), value.encode("latin-1")) for name, value in response.headers),
        ]
        if response.media_type:
            headers.append((b"content-type", response.media_type.encode("latin-1")))
        if closes:
            headers.append((b"connection", b"close"))
        await self._send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": response.body, "more_body": closes})
        if closes:
            await self._drain()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drain(self) -> None:
        if b"expect" in self._headers:
            return  # the client waits for leave to send, which it did not get
        left = _DRAIN_BYTES
        try:
            async with asyncio.timeout(_DRAIN_S):
                while left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
        except TimeoutError:
            return

    def _announces_body(self) -> bool:
        return b"transfer-encoding" in self._headers or bool(self.content_length)


def _too_large(size: str, max_bytes: int, setting: str) -> LimitError:
    return LimitError(
        f"cannot take a body of {size}: the limit is {max_bytes} bytes (`{setting}`)",
        hint="send smaller batches, or raise the limit",
    )
