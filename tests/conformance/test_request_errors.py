"""Rows C19 to C42: errors of the whole request."""

import gzip
import json
import socket
import zlib

import grpc
import pytest
from backports import zstd

from tests.conformance.conftest import SMALL_LIMIT_BYTES
from tests.conformance.receiver import JSON, PROTOBUF, read_answer
from tests.conformance.requests import base_span, json_body, json_object, prefixes, request_of, t1


def _is_status(answer, status, media_type):
    return answer.status == status and answer.media_type == media_type and bool(answer.message)


def test_c19_garbage_protobuf_is_a_bad_request(receiver):
    """Bytes that are no protobuf get 400 with a Status in protobuf."""
    assert _is_status(receiver.post(b"\xff" * 64), 400, PROTOBUF)


def test_c20_every_prefix_of_a_request_is_answered_by_the_rules(receiver):
    """A request cut anywhere is a bad request, or a valid shorter one; never a defect."""
    statuses = {receiver.post(prefix).status for prefix in prefixes(t1())}

    assert statuses <= {200, 400}


@pytest.mark.parametrize(
    "body", [b"not json", b"{", b"[]", b'"x"', b"123", b"null", b"", b"\xff\xfe", b"NaN"]
)
def test_c21_what_is_no_json_object_is_a_bad_request(receiver, body):
    """A JSON body that is no object gets 400 with a Status in JSON."""
    assert _is_status(receiver.post(body, JSON), 400, JSON)


WRONG_TYPES = [
    pytest.param({"resourceSpans": {}}, "resourceSpans", id="resource-spans"),
    pytest.param(
        {"resourceSpans": [{"scopeSpans": [{"spans": "x"}]}]},
        "resourceSpans[0].scopeSpans[0].spans",
        id="spans",
    ),
    pytest.param(json_object(kind={}), "spans[0].kind", id="kind"),
    pytest.param(json_object(attributes={"a": 1}), "spans[0].attributes", id="attributes"),
    pytest.param(json_object(traceId=5), "spans[0].traceId", id="trace-id"),
]


@pytest.mark.parametrize(("request_", "path"), WRONG_TYPES)
def test_c22_a_wrong_type_is_named_by_its_path(receiver, request_, path):
    """The answer to a field of the wrong type says where it stands."""
    answer = receiver.post(json.dumps(request_).encode(), JSON)

    assert _is_status(answer, 400, JSON)
    if receiver.is_ours:
        assert path in answer.message


def test_c23_of_duplicate_keys_in_json_the_last_wins(receiver, project):
    """Duplicate keys are no defect, and the same one wins every time."""
    body = json_body().replace(b'"name": "s"', b'"name": "first", "name": "last"')

    answer = receiver.post(body, JSON, project=project)

    assert answer.status == 200
    if receiver.is_ours:
        assert receiver.spans(project)[0]["name"] == "last"


def test_c24_garbage_over_grpc_is_an_invalid_argument(receiver):
    """Bytes that are no protobuf get INVALID_ARGUMENT, which tells the sender whose fault it is."""
    answer = receiver.export(b"\xff" * 64)

    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "google.rpc.retryinfo-bin" not in answer.trailers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/grpc"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "\u00e9"},
    ],
    ids=lambda headers: headers.get("content-type", "none"),
)
def test_c25_other_media_types_are_refused(receiver, headers):
    """An unknown media type gets 415 with a Status in JSON."""
    answer = receiver.request("POST", "/v1/traces", t1(), headers)

    assert _is_status(answer, 415, JSON)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_c26_other_methods_are_refused(receiver, method):
    """An unknown method gets 405 that names POST."""
    answer = receiver.request(method, "/v1/traces")

    assert _is_status(answer, 405, JSON)
    assert answer.headers["allow"] == "POST"


def test_c26_the_answer_to_head_has_no_body(receiver):
    """HEAD is refused without a body, and the connection goes on."""
    head = f"HEAD /v1/traces HTTP/1.1\r\nHost: {receiver.http_address}\r\n\r\n".encode()
    with receiver.connect() as connection:
        connection.sendall(head)
        first = b""
        while not first.endswith(b"\r\n\r\n"):
            first += connection.recv(1)
        connection.sendall(head)
        second = connection.recv(12)

    assert first.startswith(b"HTTP/1.1 405")
    assert second == b"HTTP/1.1 405"


def test_c27_no_origin_is_allowed_by_default(receiver):
    """Without an allow-list a browser of any origin is told nothing."""
    preflight = receiver.request(
        "OPTIONS",
        "/v1/traces",
        headers={"origin": "https://a.example", "access-control-request-method": "POST"},
    )
    posted = receiver.post(t1(), headers={"origin": "https://a.example"})

    assert "access-control-allow-origin" not in {**preflight.headers, **posted.headers}


def test_c28_an_unknown_path_has_a_status_too(receiver):
    """An unknown path gets 404 in the encoding of the request."""
    assert _is_status(receiver.post(t1(), path="/v1/unknown"), 404, PROTOBUF)
    assert _is_status(receiver.post(json_body(), JSON, path="/v1/unknown"), 404, JSON)


@pytest.mark.parametrize("encoding", ["br", "foo", "gzip, gzip"])
def test_c29_other_content_encodings_are_refused(receiver, encoding):
    """An unknown content encoding gets 415 that says which ones are taken."""
    answer = receiver.post(t1(), headers={"content-encoding": encoding})

    assert _is_status(answer, 415, PROTOBUF)
    assert "gzip" in answer.headers["accept-encoding"]


_ZSTD_WIDE_WINDOW = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"
BROKEN = [
    pytest.param("gzip", t1(), id="plain-body"),
    pytest.param("gzip", gzip.compress(t1())[:-9], id="truncated"),
    pytest.param("gzip", gzip.compress(t1())[:-8] + b"\0" * 8, id="bad-crc"),
    pytest.param("gzip", gzip.compress(t1()) + b"trailing", id="bytes-after"),
    pytest.param("gzip", b"", id="empty"),
    pytest.param("zstd", zstd.compress(t1())[:6] + b"\xff" * 20, id="zstd-garbage"),
    pytest.param("zstd", _ZSTD_WIDE_WINDOW, id="zstd-window-of-2-gib"),
    pytest.param("deflate", b"\x78\x9c" + b"\xff" * 9, id="deflate-garbage"),
]


@pytest.mark.parametrize(("encoding", "body"), BROKEN)
def test_c30_a_broken_stream_is_a_bad_request(receiver, encoding, body):
    """Whatever is wrong with a compressed body, the answer is 400."""
    assert _is_status(receiver.post(body, headers={"content-encoding": encoding}), 400, PROTOBUF)


def test_c31_a_body_over_the_limit_is_refused_before_it_is_read(small):
    """A length over the limit is answered although not one byte of the body was sent."""
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: {small.http_address}\r\n"
        f"Content-Type: {PROTOBUF}\r\nContent-Length: {SMALL_LIMIT_BYTES + 1}\r\n\r\n"
    )

    [answer] = small.raw(head.encode())

    assert _is_status(answer, 413, PROTOBUF)
    assert "receivers.otlp.http.max_body" in answer.message


def test_c31_a_chunked_body_over_the_limit_is_refused(small):
    """Without a length the body is cut off when it passes the limit."""
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: {small.http_address}\r\n"
        f"Content-Type: {PROTOBUF}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with small.connect() as connection:
        connection.sendall(head.encode())
        for _ in range(SMALL_LIMIT_BYTES // 0x10000 + 1):
            connection.sendall(chunk)
        answer = read_answer(connection)

    assert _is_status(answer, 413, PROTOBUF)


def test_c31_a_client_that_sends_all_before_it_reads_finds_the_answer(small):
    """The refusal is not lost in a reset when the client goes on sending."""
    assert small.post(b"x" * (4 * SMALL_LIMIT_BYTES)).status == 413


def _body_of_size(size_bytes):
    request = request_of(base_span())
    attribute = request.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="k")
    attribute.value.string_value = ""
    attribute.value.string_value = "x" * (size_bytes - request.ByteSize())
    while (over := request.ByteSize() - size_bytes) > 0:
        attribute.value.string_value = attribute.value.string_value[over:]
    return request.SerializeToString()


def test_c32_a_body_of_exactly_the_limit_is_taken(small):
    """The limit is inclusive, on both transports and after decompression."""
    body = _body_of_size(SMALL_LIMIT_BYTES)

    compressed = small.post(gzip.compress(body), headers={"content-encoding": "gzip"})

    assert len(body) == SMALL_LIMIT_BYTES
    assert small.post(body).status == 200
    assert compressed.status == 200
    assert small.export(body).code is grpc.StatusCode.OK


def _gzip_bomb(megabytes):
    compressor = zlib.compressobj(9, wbits=31)
    zeros = b"\0" * 1024 * 1024
    parts = [compressor.compress(zeros) for _ in range(megabytes)]
    return b"".join(parts) + compressor.flush()


def _zstd_bomb(megabytes):
    return zstd.compress(b"\0" * 1024 * 1024 * megabytes, level=1)


BOMBS = [
    pytest.param("gzip", _gzip_bomb(256), id="gzip"),
    pytest.param("zstd", _zstd_bomb(256), id="zstd"),
    pytest.param("deflate", zlib.compress(b"\0" * 1024 * 1024 * 64, 9), id="deflate"),
    pytest.param("gzip", _gzip_bomb(1) * 20, id="many-members"),
]


@pytest.mark.parametrize(("encoding", "body"), BOMBS)
def test_c33_a_bomb_is_refused_at_the_limit(small, encoding, body):
    """A small body that expands beyond the limit gets 413."""
    answer = small.post(body, headers={"content-encoding": encoding})

    assert _is_status(answer, 413, PROTOBUF)
    assert "receivers.otlp.http.max_decompressed" in answer.message


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "bomb"]
)
def test_c34_a_grpc_message_over_the_limit_is_never_retryable(small, compression):
    """Too large over gRPC is RESOURCE_EXHAUSTED without any hint to retry."""
    answer = small.export(b"\0" * (SMALL_LIMIT_BYTES + 1), compression=compression)

    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in answer.trailers


def _grpc_frames(receiver, *headers):
    """The bytes of a unary gRPC call that names another compression, without a library."""
    import_settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"

    def literal(name, value):
        return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value

    block = b"".join(literal(name, value) for name, value in headers)
    head = len(block).to_bytes(3) + b"\1\4" + (1).to_bytes(4) + block
    message = b"\1" + len(t1()).to_bytes(4) + t1()
    data = len(message).to_bytes(3) + b"\0\1" + (1).to_bytes(4) + message
    return import_settings + head + data


@pytest.mark.parametrize("compression", [b"zstd", b"snappy"])
def test_c35_other_grpc_compressions_are_refused_for_good(receiver, compression, project):
    """A compression that gRPC for Python lacks stores nothing and must not be retried."""
    host, _, port = receiver.grpc_address.rpartition(":")
    sent = _grpc_frames(
        receiver,
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"grpc-encoding", compression),
        (b"x-project-name", project.encode()),
    )
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(sent)
        received = b""
        while b"grpc-status" not in received:
            received += connection.recv(65536)

    status = received.partition(b"grpc-status")[2][1:4].strip(b"\x02\x01")[:2]
    assert status.strip() in {b"12", b"13"}
    if receiver.is_ours:
        assert receiver.lines(project) == []


@pytest.mark.parametrize(
    "method",
    ["/opentelemetry.proto.collector.trace.v1.TraceService/Nope", "/a.B/C"],
    ids=["method", "service"],
)
def test_c36_unknown_grpc_methods_are_unimplemented(receiver, method):
    """What is not served over gRPC is UNIMPLEMENTED."""
    assert receiver.export(b"", method=method).code is grpc.StatusCode.UNIMPLEMENTED


def test_c38_a_client_that_leaves_in_the_middle_leaves_nothing_behind(receiver, project):
    """Half a body stores nothing, and the receiver goes on."""
    body = t1()
    with receiver.connect() as connection:
        connection.sendall(
            f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\n"
            f"X-Project-Name: {project}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body[:-5]
        )

    assert receiver.post(t1()).status == 200
    if receiver.is_ours:
        assert receiver.lines(project) == []


def _head_answer(receiver, *lines):
    head = "\r\n".join(["POST /v1/traces HTTP/1.1", "Host: localhost", *lines, "", ""])
    with receiver.connect() as connection:
        connection.sendall(head.encode("latin-1"))
        return connection.recv(12)


def test_c39_too_many_header_bytes_are_refused(receiver):
    """A head of more than 64 KiB gets 431, and the receiver goes on."""
    first = _head_answer(receiver, *(f"X-H{i}: {'x' * 1000}" for i in range(80)))

    assert first in {b"HTTP/1.1 431", b"HTTP/1.1 400"}
    assert receiver.post(t1()).status == 200


def test_c39_one_endless_header_is_refused(receiver):
    """A single header that never ends is cut off."""
    with receiver.connect() as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nX: ")
        try:
            for _ in range(32):
                connection.sendall(b"x" * 65536)
            first = connection.recv(12)
        except ConnectionError:
            first = b"HTTP/1.1 431"

    assert first in {b"HTTP/1.1 431", b"HTTP/1.1 400"}


def test_c39_header_bytes_that_are_not_ascii_are_no_crash(receiver):
    """Bytes outside ASCII in a header are taken or refused."""
    first = _head_answer(receiver, "X-Project-Name: \xe9\xff", "Content-Length: 0")

    assert first in {b"HTTP/1.1 400", b"HTTP/1.1 415"}


def test_c39_five_thousand_headers_are_no_crash(receiver):
    """Very many small headers are taken or refused."""
    first = _head_answer(receiver, *(f"H{i}: 1" for i in range(5000)), "Content-Length: 0")

    assert first in {b"HTTP/1.1 431", b"HTTP/1.1 400", b"HTTP/1.1 415"}
