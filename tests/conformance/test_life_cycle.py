"""Rows C69 to C80: overload, durability, life cycle."""

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from halo_daemon.proto.otlp_wire import varint_bytes
from tests.conformance.conftest import daemon_in, receiver_of
from tests.conformance.receiver import JSON, PROTOBUF
from tests.conformance.requests import json_body, new_span_id, t1

_FULL = {"HALO_DAEMON__STORAGE__MIN_FREE": "1000TiB"}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A receiver whose disk has less free space than it must leave."""
    with daemon_in(tmp_path_factory.mktemp("full"), _FULL) as daemon:
        receiver = receiver_of(daemon)
        yield receiver
        receiver.close()


def test_c70_a_full_disk_is_503_with_a_retry_hint_over_http(full):
    """A retryable refusal over HTTP is 503, with the wait in the header and in the body."""
    answer = full.post(json_body(), JSON)

    details = json.loads(answer.body)["details"]
    assert answer.status == 503
    assert answer.headers["retry-after"].isdigit()
    assert {"retryDelay": f"{answer.headers['retry-after']}s"}.items() <= details[0].items()
    assert full.lines("default") == []


def test_c69_a_retryable_refusal_over_grpc_has_the_hint_in_both_trailers(full):
    """UNAVAILABLE carries RetryInfo in the status details and in a trailer of its own."""
    answer = full.export(t1())

    details = Status.FromString(answer.trailers["grpc-status-details-bin"]).details
    in_details = RetryInfo()
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert details[0].Unpack(in_details)
    assert RetryInfo.FromString(answer.trailers["google.rpc.retryinfo-bin"]) == in_details


def test_c71_nobody_is_asked_to_wait_longer_than_five_seconds(full):
    """The wait is a whole number of seconds from 1 to 5, or exporters give up at once."""
    over_http = int(full.post(t1()).headers["retry-after"])
    over_grpc = RetryInfo.FromString(full.export(t1()).trailers["google.rpc.retryinfo-bin"])

    assert 1 <= over_http <= 5
    assert 1 <= over_grpc.retry_delay.seconds <= 5


def test_c75_sigterm_under_load_loses_nothing_that_was_acknowledged(tmp_path):
    """A daemon that is asked to stop finishes what it took, exits 0, and kept every promise."""
    daemon = daemon_in(tmp_path).start()
    receiver = receiver_of(daemon)
    acknowledged: list[str] = []
    has_begun = threading.Event()

    def send():
        while True:
            span_id = new_span_id()
            try:
                answer = receiver.post(t1(span_id=bytes.fromhex(span_id)), project="p")
            except OSError:
                return
            if answer.status != 200:
                assert answer.status == 503
                return
            acknowledged.append(span_id)
            if len(acknowledged) > 20:
                has_begun.set()

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    assert has_begun.wait(300)
    exit_status = daemon.stop()
    for sender in senders:
        sender.join()
    receiver.close()

    stored = {span["span_id"] for span in receiver.spans("p")}
    assert exit_status == 0
    assert set(acknowledged) <= stored


@pytest.mark.slow
def test_c75_a_decode_in_work_does_not_keep_a_stopped_daemon_alive(tmp_path):
    """After the grace time the daemon ends, however long a request would still take."""
    environ = {
        "HALO_DAEMON__SHUTDOWN_GRACE": "1s",
        "HALO_DAEMON__RECEIVERS__MAX_SPANS_PER_REQUEST": "10000000",
    }
    daemon = daemon_in(tmp_path, environ).start()
    receiver = receiver_of(daemon)
    kept_id = new_span_id()
    assert receiver.post(t1(span_id=bytes.fromhex(kept_id)), project="p").status == 200
    answers: list[int] = []

    def send():
        with suppress(OSError, http.client.HTTPException):
            answers.append(receiver.post(_minutes_of_work(), project="slow").status)

    sender = threading.Thread(target=send)
    sender.start()
    while sender.is_alive() and not _is_working(receiver):
        time.sleep(0.1)
    # The grace time, and what the interpreter's lock costs beside a thread that wants it too;
    # the rest of the decode takes longer.
    exit_status = daemon.stop(timeout_s=300)
    sender.join()
    receiver.close()

    log = daemon.log_path.read_text()
    assert exit_status == 0
    assert '"requests_cut_off"' in log
    assert '"stopped"' in log
    assert 200 not in answers
    assert [span["span_id"] for span in receiver.spans("p")] == [kept_id]


def _minutes_of_work():
    """One and a half million spans with ids; decoding them outlasts any test's patience."""
    span = bytes([0x0A, 16]) + b"\1" * 16 + bytes([0x12, 8]) + b"\2" * 8
    spans = (bytes([0x12, len(span)]) + span) * 1_500_000
    scope = b"\x12" + varint_bytes(len(spans)) + spans
    return b"\x0a" + varint_bytes(len(scope)) + scope


def _is_working(receiver):
    page = receiver.request("GET", "/metrics").body.decode()
    found = re.search(r"^halo_receiver_working_requests\S* (\d+)", page, re.MULTILINE)
    return found is not None and int(found[1]) > 0


def test_c76_a_second_daemon_on_one_directory_is_refused(ours):
    """The second daemon does not start, and says who holds the directory."""
    addresses = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")

    run = subprocess.run(
        [sys.executable, "-m", "halo_daemon", "serve", "--data", str(ours.data), *addresses],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert run.returncode not in {0, -9}
    assert "pid" in run.stderr


def test_c79_health_and_readiness(receiver):
    """A running receiver says that it lives and that it is ready."""
    if not receiver.is_ours:
        pytest.skip("the paths are ours")

    assert receiver.request("GET", "/healthz").status == 200
    assert receiver.request("GET", "/readyz").status == 200
    assert receiver.request("HEAD", "/healthz").body == b""
    assert receiver.request("POST", "/healthz", b"").status == 405


def test_c79_grpc_health(ours):
    """`grpc.health.v1` says SERVING for the server and for what it serves, and knows no other."""
    check = "/grpc.health.v1.Health/Check"
    service = b"opentelemetry.proto.collector.trace.v1.TraceService"

    answers = [ours.export(b"", method=check), ours.export(_asking(service), method=check)]

    assert [answer.body for answer in answers] == [b"\x08\x01", b"\x08\x01"]
    assert ours.export(_asking(b"other"), method=check).code is grpc.StatusCode.NOT_FOUND
    assert ours.export(b"\xff", method=check).code is grpc.StatusCode.INVALID_ARGUMENT


def _asking(service):
    return bytes([0x0A, len(service)]) + service


def test_c79_not_ready_while_the_disk_is_full(full):
    """Readiness is false when spans could not be stored; liveness is not concerned."""
    ready = full.request("GET", "/readyz")
    health = full.export(b"", method="/grpc.health.v1.Health/Check")

    assert full.request("GET", "/healthz").status == 200
    assert (ready.status, json.loads(ready.body)["status"]) == (503, "unavailable")
    assert health.body == b"\x08\x02"


_LINE = re.compile(r"halo_receiver_(received|accepted|refused|failed)_spans_total\{(.*?)\} (.*)")


def _spans_by_fate(receiver):
    """Spans by transport and fate, as a scrape tells them."""
    text = receiver.request("GET", "/metrics").body.decode()
    counts: Counter[tuple[str, str]] = Counter()
    for fate, labels, number in _LINE.findall(text):
        transport = "grpc" if 'transport="grpc"' in labels else "http"
        counts[transport, fate] += int(float(number))
    return counts


def test_c80_the_scrape_obeys_the_conservation_law(tmp_path):
    """For each transport, received is accepted, refused and failed together."""
    with daemon_in(tmp_path) as daemon:
        receiver = receiver_of(daemon)
        receiver.post(t1())
        receiver.post(t1(span_id=b""))
        receiver.post(b"\xff")
        receiver.export(t1())
        receiver.export(t1(trace_id=b""))
        counts = _spans_by_fate(receiver)
        receiver.close()

    for transport in ("grpc", "http"):
        assert counts[transport, "received"] == 2
        assert counts[transport, "accepted"] == 1
        assert counts[transport, "refused"] == 1


def test_c80_what_the_disk_refused_has_failed(full):
    """Spans that could not be stored are counted as failed, with the reason."""
    before = _spans_by_fate(full)

    full.post(t1())

    after = _spans_by_fate(full)
    assert after["http", "failed"] == before["http", "failed"] + 1
    assert after["http", "received"] == before["http", "received"] + 1


def test_c80_what_was_sent_is_stored_refused_or_failed(tmp_path):
    """The daemon's own counts add up to what was sent to it."""
    daemon = daemon_in(tmp_path).start()
    receiver = receiver_of(daemon)
    receiver.post(t1(), PROTOBUF)
    receiver.post(t1(span_id=b""))
    receiver.export(t1())
    receiver.export(b"\xff")
    daemon.stop()
    receiver.close()

    counts = next(
        event
        for event in map(json.loads, daemon.log_path.read_text().splitlines())
        if event["event"] == "received"
    )
    assert counts["received_spans"] == 3
    assert counts["accepted_spans"] == 2
    assert counts["refused_spans"] == 1
    assert counts["failed_spans"] == 0
