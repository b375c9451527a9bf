"""A webhook receiver on a real loopback socket, with scripted faults."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

_MAX_HEAD_BYTES = 65_536


class Answer(NamedTuple):
    """
    What the receiver does with one request.

    Attributes:
        status: The status line's number.

        hangs: Reads the request and never answers.

        drops: Closes the connection in place of an answer.
    """

    status: int = 204
    headers: Mapping[str, str] = {}
    body: bytes = b""
    hangs: bool = False
    drops: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    request_line: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(slots=True)
class WebhookServer:
    """
    Answers request after request from `answers`, then with 204.

    Attributes:
        port: Where it listens.

        received: Every request, oldest first.
    """

    answers: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    port: int = 0
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def listening(self, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
        """Listen on 127.0.0.1 for the length of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self._done.set()
            server.close()
            await server.wait_closed()

    @property
    def url(self) -> str:
        """An http address of the receiver."""
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.received.append(await _read_request(reader))
            answer = self.answers.pop(0) if self.answers else Answer()
            if answer.hangs:
                await self._done.wait()
            elif not answer.drops:
                writer.write(_render(answer))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n"))[:_MAX_HEAD_BYTES].decode("latin-1")
    request_line, *lines = head.strip().split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(request_line, headers, body)


def _render(answer: Answer) -> bytes:
    headers = {"connection": "close", "content-length": str(len(answer.body)), **answer.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} -\r\n{lines}\r\n".encode() + answer.body
