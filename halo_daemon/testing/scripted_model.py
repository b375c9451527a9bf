"""
An OpenAI-compatible server that follows a script, on a real loopback socket.

A script is a list of steps, one for each request, or a function that chooses
the step for a request. Steps are built by `scripted_replies`. The server
records the exact bytes of every request, so tests can say what was sent.
"""

import contextlib
import itertools
import json
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from halo_daemon.proto.json_value import JsonObject

_MAX_HEAD_BYTES = 65_536
_ACCEPT_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it came in."""

    number: int
    """Counted from 0, in order of arrival."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""

    body: bytes

    @property
    def fields(self) -> JsonObject:
        """The JSON object of the body."""
        return cast("JsonObject", json.loads(self.body))

    @property
    def messages(self) -> list[JsonObject]:
        """The messages of a chat completion request."""
        return cast("list[JsonObject]", self.fields["messages"])

    @property
    def is_stream(self) -> bool:
        """Whether the client asked for server-sent events."""
        return self.fields.get("stream") is True

    @property
    def is_responses(self) -> bool:
        """Whether the Responses API was called."""
        return self.path.endswith("/responses")


@dataclass(slots=True)
class Exchange:
    """One request and the connection to answer it on."""

    request: RecordedRequest
    connection: socket.socket
    closing: threading.Event

    def send(self, piece: bytes) -> None:
        """Write *piece* at once; a client that has gone is no error."""
        try:
            self.connection.sendall(piece)
        except OSError:
            self.closing.wait(0)

    def send_head(self, status: int, content_type: str, headers: Sequence[tuple[str, str]]) -> None:
        """Write the status line and headers; the body ends with the connection."""
        lines = [f"HTTP/1.1 {status} scripted", f"content-type: {content_type}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send("\r\n".join([*lines, "connection: close", "", ""]).encode())

    def pause(self, seconds: float) -> bool:
        """Wait, unless the server is closed meanwhile; returns whether it was."""
        return self.closing.wait(seconds)

    def drop(self) -> None:
        """Reset the connection in both directions."""
        with_linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        try:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, with_linger)
            self.connection.close()
        except OSError:
            self.closing.wait(0)


Step = Callable[[Exchange], None]
"""Answers one request."""

Script = Sequence[Step] | Callable[[RecordedRequest], Step]


class ScriptExhaustedError(AssertionError):
    """A test's script and the requests that came in do not agree."""


@dataclass(slots=True)
class ScriptedModelServer:
    """
    The server; a context manager that listens on a free port of 127.0.0.1.

    A request beyond the script's end is answered with status 599, which no
    client retries, and fails `finish`.
    """

    script: Script
    requests: list[RecordedRequest] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)
    _listener: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.settimeout(_ACCEPT_POLL_S)
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes `accept` where the system can
        for thread in tuple(self._threads):
            thread.join(timeout=5)
        self._listener.close()

    @property
    def base_url(self) -> str:
        """Where clients send requests, with the ``/v1`` prefix."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def finish(self) -> None:
        """
        Check that the script was followed to its end.

        Raises:
            ScriptExhaustedError: Steps are left, or requests came after the last one.
        """
        if not callable(self.script) and len(self.requests) != len(self.script):
            raise ScriptExhaustedError(
                f"{len(self.requests)} requests for {len(self.script)} steps"
            )

    def assert_prefix_stable(self) -> None:
        """Check that tools and system text are the same bytes in all requests."""
        prefixes = {
            json.dumps([request.messages[0], request.fields.get("tools")])
            for request in self.requests
        }
        assert len(prefixes) <= 1, f"{len(prefixes)} different prefixes"

    def assert_pairs(self) -> None:
        """Check that in every request each tool call has exactly one result, after it."""
        for request in self.requests:
            _check_pairs(request)

    def assert_only_in_tool_messages(self, text: str) -> None:
        """Check that *text* (of a trace) is sent only inside tool messages."""
        for request in self.requests:
            for message in request.messages:
                inside = text in json.dumps(message, ensure_ascii=False)
                assert not inside or message["role"] == "tool", f"found in {message['role']}"

    def assert_not_sent(self, secret: str) -> None:
        """Check that *secret* is in no body."""
        assert all(secret.encode() not in request.body for request in self.requests)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue
            connection.settimeout(5)
            self._start(lambda connection=connection: self._answer(connection))  # type: ignore[misc]

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                head, rest = _read_head(connection)
                path, headers = _parse_head(head)
                body = _read_body(connection, rest, headers)
            except OSError:
                return
            step, request = self._next_step(path, headers, body)
            step(Exchange(request, connection, self._closing))

    def _next_step(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[Step, RecordedRequest]:
        with self._lock:
            request = RecordedRequest(len(self.requests), path, headers, body)
            self.requests.append(request)
        if callable(self.script):
            return self.script(request), request
        step = next(itertools.islice(self.script, request.number, None), _beyond_the_script)
        return step, request


def _beyond_the_script(exchange: Exchange) -> None:
    exchange.send_head(599, "application/json", [("x-should-retry", "false")])
    exchange.send(b'{"error": {"message": "the script has ended"}}')


def _read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece or len(received) > _MAX_HEAD_BYTES:
            raise OSError("the client left before its request was complete")
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    request_line, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return request_line.split(" ")[1], headers


def _read_body(connection: socket.socket, received: bytes, headers: dict[str, str]) -> bytes:
    length = int(headers.get("content-length", "0"))
    pieces = [received]
    missing = length - len(received)
    while missing > 0:
        piece = connection.recv(min(missing, 1 << 20))
        if not piece:
            raise OSError("the client left before its request was complete")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _check_pairs(request: RecordedRequest) -> None:
    waiting: list[str] = []
    for message in request.messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "a result without its call"
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, f"calls without results: {waiting}"
        calls = cast("list[JsonObject]", message.get("tool_calls") or [])
        waiting = [cast("str", call["id"]) for call in calls]
    assert not waiting, f"calls without results: {waiting}"
