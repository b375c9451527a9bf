"""Rows C37 to C39 over gRPC: peers that speak HTTP/2 badly, too much of it, or not at all."""

import json
import random
import resource
import socket
import struct
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from tests.conformance.conftest import daemon_in, in_time, receiver_of
from tests.conformance.receiver import EXPORT
from tests.conformance.requests import t1

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM = 0x1
END_HEADERS = 0x4
INITIAL_WINDOW_SIZE = 4
MEMORY_BOUND_BYTES = 128 * 1024**2


def frame(kind, flags=0, stream=0, payload=b""):
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name, value):
    """A header that enters no table; name and value of less than 2 MiB."""
    return b"\0" + _text(name) + _text(value)


def _text(text):
    size = len(text)
    if size < 127:
        return bytes([size]) + text
    size -= 127
    out = bytearray([127])
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out) + text


REQUEST_HEADERS = b"".join(
    literal(name, value)
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", EXPORT.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
)
MESSAGE = b"\0" + struct.pack(">I", len(t1())) + t1()
SETTLED = PREFACE + frame(SETTINGS)


def _streams(count):
    return range(1, 2 * count, 2)


def _random_frames():
    chance = random.Random(7)
    return b"".join(
        frame(
            chance.randrange(12), chance.randrange(256), chance.randrange(9), chance.randbytes(40)
        )
        for _ in range(2000)
    )


HOSTILE = {
    "http-1": b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" * 100,
    "tls-hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(508),
    "garbage": random.Random(5).randbytes(100_000),
    "garbage-behind-the-preface": PREFACE + random.Random(6).randbytes(100_000),
    "random-frames": SETTLED + _random_frames(),
    "a-frame-of-16-mib": SETTLED + b"\xff\xff\xff" + struct.pack(">BBI", DATA, 0, 1),
    "rapid-reset": SETTLED
    + b"".join(
        frame(HEADERS, END_HEADERS, stream, REQUEST_HEADERS)
        + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        for stream in _streams(10_000)
    ),
    "reset-behind-a-message": SETTLED
    + b"".join(
        frame(HEADERS, END_HEADERS, stream, REQUEST_HEADERS)
        + frame(DATA, END_STREAM, stream, MESSAGE)
        + frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        for stream in _streams(2_000)
    ),
    "a-header-of-a-megabyte": SETTLED
    + frame(HEADERS, 0, 1, REQUEST_HEADERS)
    + b"".join(frame(CONTINUATION, 0, 1, literal(b"x-%d" % n, b"x" * 16_000)) for n in range(64))
    + frame(CONTINUATION, END_HEADERS, 1),
    "endless-continuation": SETTLED
    + frame(HEADERS, 0, 1, REQUEST_HEADERS)
    + frame(CONTINUATION, 0, 1) * 100_000,
    "header-table-bomb": SETTLED
    # One entry of 4,000 bytes in the table, named again ten thousand times.
    + frame(HEADERS, 0, 1, REQUEST_HEADERS + b"\x40" + _text(b"x") + _text(b"y" * 4_000))
    + frame(CONTINUATION, END_HEADERS, 1, b"\xbe" * 10_000),
    "settings-flood": SETTLED + frame(SETTINGS) * 50_000,
    "ping-flood": SETTLED + frame(PING, 0, 0, bytes(8)) * 50_000,
    "window-overflow": SETTLED + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)) * 3,
    "more-streams-than-allowed": SETTLED
    + b"".join(
        frame(HEADERS, END_HEADERS, stream, REQUEST_HEADERS) + frame(DATA, 0, stream, MESSAGE[:-1])
        for stream in _streams(2_000)
    ),
    "a-length-of-4-gib": SETTLED
    + frame(HEADERS, END_HEADERS, 1, REQUEST_HEADERS)
    + frame(DATA, 0, 1, b"\0\xff\xff\xff\xff" + bytes(1000)),
    "a-compressed-flag-without-encoding": SETTLED
    + frame(HEADERS, END_HEADERS, 1, REQUEST_HEADERS)
    + frame(DATA, END_STREAM, 1, b"\1" + MESSAGE[1:]),
    "answers-that-nobody-reads": PREFACE
    + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, 0))
    + b"".join(
        frame(HEADERS, END_HEADERS, stream, REQUEST_HEADERS)
        + frame(DATA, END_STREAM, stream, MESSAGE)
        for stream in _streams(100)
    ),
}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    """A daemon of which nobody expects anything but that it goes on."""
    with daemon_in(tmp_path_factory.mktemp("attacked")) as daemon:
        receiver = receiver_of(daemon)
        assert receiver.export(t1()).code is grpc.StatusCode.OK
        yield daemon, receiver
        receiver.close()


def _connect(address):
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


@pytest.mark.parametrize("name", HOSTILE)
def test_c39_a_hostile_peer_over_grpc_costs_nobody_else_anything(attacked, name):
    """While and after ten connections send it, others are served and memory stays bounded."""
    daemon, receiver = attacked
    before = _resident_bytes(daemon.pid)
    peers = [_connect(daemon.grpc) for _ in range(10)]

    for peer in peers:
        with suppress(OSError):  # the receiver hangs up on it, which is an answer
            peer.sendall(HOSTILE[name])
    # Those beyond `max_concurrent_requests` are told to resend, which costs them a moment.
    is_served_during = in_time(lambda: receiver.export(t1()).code is grpc.StatusCode.OK)
    grown = _resident_bytes(daemon.pid) - before
    for peer in peers:
        peer.close()

    assert is_served_during
    assert in_time(lambda: receiver.export(t1()).code is grpc.StatusCode.OK)
    assert in_time(lambda: receiver.post(t1()).status == 200)
    assert grown < MEMORY_BOUND_BYTES


def test_c38_a_peer_that_ends_in_the_middle_of_a_message_stores_nothing(attacked):
    """Half a message, and then the end of the stream, of the sending side or of the connection."""
    daemon, receiver = attacked
    headers = REQUEST_HEADERS + literal(b"x-project-name", b"half")
    begun = SETTLED + frame(HEADERS, END_HEADERS, 1, headers)
    for ending in (
        frame(DATA, END_STREAM, 1, MESSAGE[:-3]),
        frame(DATA, 0, 1, MESSAGE[:-3]) + frame(RST_STREAM, 0, 1, struct.pack(">I", 8)),
        frame(DATA, 0, 1, MESSAGE[:-3]),
    ):
        with _connect(daemon.grpc) as peer:
            peer.sendall(begun + ending)
            peer.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while peer.recv(65_536):
                    pass

    assert receiver.export(t1()).code is grpc.StatusCode.OK
    assert receiver.lines("half") == []


def test_c38_peers_that_left_leave_no_descriptor_behind(attacked):
    """Connections of peers that were cut off, or left without a word, are given back."""
    daemon, receiver = attacked
    directory = Path(f"/proc/{daemon.pid}/fd")
    if not directory.exists():
        pytest.skip("the descriptors of a process are counted in /proc")
    before = len(list(directory.iterdir()))

    for _ in range(200):
        with _connect(daemon.grpc) as peer:
            peer.sendall(SETTLED + frame(HEADERS, END_HEADERS, 1, REQUEST_HEADERS))
    assert receiver.export(t1()).code is grpc.StatusCode.OK

    assert in_time(lambda: len(list(directory.iterdir())) <= before + 20)


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_c37_running_out_of_descriptors_is_told_and_passes(tmp_path, transport):
    """Without descriptors the log says so once, in its own form; with them all is as before."""
    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        pytest.skip("the limit of another process is set on Linux only")
    with daemon_in(tmp_path) as daemon:
        receiver = receiver_of(daemon)
        assert receiver.export(t1()).code is grpc.StatusCode.OK
        limits = prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        in_use = len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))

        prlimit(daemon.pid, resource.RLIMIT_NOFILE, (in_use + 5, limits[1]))
        peers = [_connect(getattr(daemon, transport)) for _ in range(30)]
        was_told = in_time(lambda: "descriptors_exhausted" in daemon.log_path.read_text())
        for peer in peers:
            peer.close()
        prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)

        assert was_told
        assert in_time(lambda: _is_taken(receiver))
        receiver.close()
    lines = [json.loads(line) for line in daemon.log_path.read_text().splitlines()]
    assert [line["event"] for line in lines].count("descriptors_exhausted") == 1


def _is_taken(receiver):
    try:
        return receiver.post(t1()).status == 200
    except OSError:
        return False


def _resident_bytes(pid):
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("the memory of a process is read from /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024
