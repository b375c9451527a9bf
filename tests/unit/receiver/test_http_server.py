import asyncio

import pytest

from halo_daemon.receiver.asgi import Exchange, Response
from halo_daemon.receiver.http_server import HttpServer, HttpSettings


async def _echo(scope, receive, send):
    exchange = Exchange(scope, receive, send)
    await exchange.read(max_bytes=1000, setting="x", reserve=lambda _size_bytes: None)
    await exchange.respond(Response(200, b"done", "text/plain"))


class _Running:
    """A server around an application, with connections to it."""

    def __init__(self, app=_echo, **settings):
        self._server = HttpServer(HttpSettings(port=0, **settings), app)

    async def __aenter__(self):
        self.port = await self._server.start()
        return self

    async def __aexit__(self, *_error):
        await self._server.stop(1.0)

    def stop_accepting(self):
        self._server.stop_accepting()

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)


_REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nok"


async def _answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b"\r\n")[0]


async def test_two_requests_on_one_connection_are_answered():
    """A connection is kept between requests."""
    async with _Running() as server:
        reader, writer = await server.connect()
        for _ in range(2):
            writer.write(_REQUEST)
            assert await _answer(reader) == b"HTTP/1.1 200 OK"
            assert await reader.readexactly(4) == b"done"
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nHost: lo"], ids=["nothing", "half"])
async def test_a_head_that_does_not_come_is_cut_off(sent):
    """A connection whose head takes too long is closed."""
    async with _Running(header_timeout_s=0.05) as server:
        reader, writer = await server.connect()
        writer.write(sent)

        try:
            rest = await asyncio.wait_for(reader.read(), 60)
        except ConnectionError:
            rest = b""

        assert rest == b""
        writer.close()


async def test_a_connection_too_many_is_closed_at_once():
    """Beyond the bound a new connection gets no answer; the old ones go on."""
    async with _Running(max_connections=1) as server:
        first, first_writer = await server.connect()
        first_writer.write(_REQUEST)
        await _answer(first)
        second, second_writer = await server.connect()

        try:
            rest = await asyncio.wait_for(second.read(), 60)
        except ConnectionError:
            rest = b""
        first_writer.write(_REQUEST)
        await first.readexactly(4)

        assert rest == b""
        assert await _answer(first) == b"HTTP/1.1 200 OK"
        for writer in (first_writer, second_writer):
            writer.close()


async def test_stopping_lets_the_answer_in_work_be_sent():
    """An answer that was begun is sent before its connection closes."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        begun.set()
        await may_end.wait()
        await _echo(scope, receive, send)

    async with _Running(slow) as server:
        reader, writer = await server.connect()
        writer.write(_REQUEST)
        await begun.wait()

        server.stop_accepting()
        may_end.set()

        assert await _answer(reader) == b"HTTP/1.1 200 OK"
        assert await asyncio.wait_for(reader.read(), 60) == b"done"
        with pytest.raises(ConnectionError):
            await server.connect()
        writer.close()


async def test_an_address_in_use_is_an_error_that_names_it():
    """Two servers cannot have one port."""
    async with _Running() as server:
        second = HttpServer(HttpSettings(port=server.port), _echo)

        with pytest.raises(OSError, match=f"127.0.0.1:{server.port}"):
            await second.start()


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n\r\nX"])
async def test_what_is_not_http_gets_400_and_is_closed(sent):
    """Bytes of another protocol are answered and the connection ends."""
    async with _Running() as server:
        reader, writer = await server.connect()
        writer.write(sent + b"\r\n\r\n")

        assert await _answer(reader) == b"HTTP/1.1 400 Bad Request"
        writer.close()


async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for_without_end():
    """A client that drips a body after its answer is cut off as well."""

    async def refuse(scope, receive, send):
        await Exchange(scope, receive, send).respond(Response(401))

    async with _Running(refuse, header_timeout_s=0.05) as server:
        reader, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n")
        assert await _answer(reader) == b"HTTP/1.1 401 Unauthorized"
        writer.write(b"x")

        try:
            rest = await asyncio.wait_for(reader.read(), 60)
        except ConnectionError:
            rest = b""

        assert rest == b""
        writer.close()


async def _named_host(scope, _receive, send):
    host = dict(scope["headers"]).get(b"host", b"")
    await Exchange(scope, _receive, send).respond(Response(200, host, "text/plain"))


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
    ],
    ids=["two-hosts", "coding-before-chunked", "coding-after-chunked"],
)
async def test_a_head_that_others_may_read_differently_is_refused(head):
    """Two hosts, or a transfer coding beside `chunked`, end the connection with 400."""
    async with _Running() as server:
        reader, writer = await server.connect()
        writer.write(head)

        assert await _answer(reader) == b"HTTP/1.1 400 Bad Request"
        writer.close()


async def test_a_target_that_cannot_be_read_is_refused_without_a_trace_in_the_log():
    """A first request that ends in its head is answered; nothing is raised into the loop."""
    raised = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: raised.append(context))
    async with _Running() as server:
        reader, writer = await server.connect()
        writer.write(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert await _answer(reader) == b"HTTP/1.1 400 Bad Request"
        writer.close()
    assert raised == []


async def test_an_absolute_target_says_which_host_is_meant():
    """The name in the target counts, not the one in the header beside it."""
    async with _Running(_named_host) as server:
        reader, writer = await server.connect()
        writer.write(b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

        assert await _answer(reader) == b"HTTP/1.1 200 OK"
        assert await reader.readexactly(len(b"evil.example")) == b"evil.example"
        writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request", id="1.1"),
        pytest.param(
            b"GET http://localhost/ HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 400 Bad Request",
            id="1.1-absolute",
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"HTTP/1.1 200 OK", id="1.1-empty"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK", id="1.0"),
    ],
)
async def test_a_request_without_host_is_refused_where_http_asks_for_one(head, status):
    """HTTP/1.1 must name a host, be it an empty one, also beside an absolute target; 1.0 need not."""
    async with _Running(_named_host) as server:
        reader, writer = await server.connect()
        writer.write(head)

        assert await _answer(reader) == status
        writer.close()


async def _tell_headers(scope, receive, send):
    exchange = Exchange(scope, receive, send)
    await exchange.read(max_bytes=1000, setting="x", reserve=lambda _size_bytes: None)
    names = b",".join(name for name, _ in scope["headers"])
    await exchange.respond(Response(200, names, "text/plain"))


async def test_trailers_are_no_headers():
    """What follows a chunked body cannot add a key, a project or a type to its head."""
    async with _Running(_tell_headers) as server:
        reader, writer = await server.connect()
        writer.write(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\nAuthorization: Bearer x\r\nContent-Type: text/html\r\n\r\n"
        )

        assert await _answer(reader) == b"HTTP/1.1 200 OK"
        assert await reader.readexactly(22) == b"host,transfer-encoding"
        writer.close()


async def test_trailers_are_bounded_as_heads_are():
    """Trailers without end are refused, not collected."""
    async with _Running(_tell_headers, max_header_bytes=1000) as server:
        reader, writer = await server.connect()
        writer.write(
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\n" + b"X-A: 0123456789\r\n" * 100 + b"\r\n"
        )

        assert await _answer(reader) == b"HTTP/1.1 431 Request Header Fields Too Large"
        writer.close()


async def test_a_sender_that_closes_its_half_after_the_request_gets_the_answer():
    """The answer comes, and then the connection ends."""
    async with _Running() as server:
        reader, writer = await server.connect()
        writer.write(_REQUEST)
        writer.write_eof()

        answer = await reader.read()

        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"done")
        writer.close()


async def test_a_sender_that_closes_its_half_in_the_middle_of_a_request_is_let_go():
    """Half a request is no request."""
    async with _Running() as server:
        reader, writer = await server.connect()
        writer.write(_REQUEST[:-1])
        writer.write_eof()

        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
