"""Several receiving processes on the same ports."""

import os
import signal
import threading
from pathlib import Path

import grpc
import pytest

from halo_daemon.store.paths import DataPaths
from tests.conformance.conftest import daemon_in
from tests.conformance.receiver import Receiver
from tests.conformance.requests import new_span_id, t1

_WORKERS = {"HALO_DAEMON__RECEIVERS__OTLP__WORKERS": "2"}
_CONNECTIONS = 24


def _receiver(daemon):
    return Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)


def _send_everywhere(daemon):
    """Send over many connections, which the kernel spreads; the acknowledged span ids."""
    acknowledged = set()
    for number in range(_CONNECTIONS):
        receiver = _receiver(daemon)
        span_id = new_span_id()
        body = t1(span_id=bytes.fromhex(span_id))
        if number % 2:
            assert receiver.post(body, project="p").is_empty_success
        else:
            assert receiver.export(body, project="p").code is grpc.StatusCode.OK
        acknowledged.add(span_id)
        receiver.close()
    return acknowledged


def _workers_of_shards(daemon):
    days = DataPaths(daemon.data).project("p").days()
    return {stem.split("-")[1] for day in days for stem in day.stems()}


def _children(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def _ids(receiver):
    return {span["span_id"] for span in receiver.spans("p")}


def _metric(receiver, name):
    text = receiver.request("GET", "/metrics").body.decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


@pytest.fixture
def daemon(tmp_path):
    """A daemon with two receiving processes."""
    with daemon_in(tmp_path, _WORKERS) as running:
        yield running


def test_both_workers_store_and_nothing_is_lost(daemon):
    """Connections are spread, each worker writes shards of its own, and all spans are there."""
    acknowledged = _send_everywhere(daemon)

    receiver = _receiver(daemon)
    assert _ids(receiver) == acknowledged
    assert _workers_of_shards(daemon) == {"w0", "w1"}
    receiver.close()


def test_a_scrape_of_any_worker_counts_all_of_them(daemon):
    """The numbers add up to what was sent, whichever process is asked."""
    acknowledged = _send_everywhere(daemon)
    receiver = _receiver(daemon)

    for _ in range(100):
        seen = [_metric(receiver, "halo_receiver_accepted_spans_total") for _ in range(6)]
        if set(seen) == {len(acknowledged)}:
            break
        threading.Event().wait(0.05)

    receiver.close()
    assert set(seen) == {len(acknowledged)}


def test_a_worker_that_dies_is_started_again_and_loses_nothing(daemon):
    """After kill -9 of a worker, what it acknowledged is stored and a new one receives."""
    acknowledged = _send_everywhere(daemon)
    [worker] = _children(daemon.pid)

    os.kill(worker, signal.SIGKILL)
    for _ in range(200):
        if (now := _children(daemon.pid)) and worker not in now:
            break
        threading.Event().wait(0.05)

    receiver = _receiver(daemon)
    assert _children(daemon.pid) != [worker]
    assert _ids(receiver) >= acknowledged
    receiver.close()


def test_a_daemon_that_is_killed_leaves_no_worker_behind(tmp_path):
    """A restart after kill -9 succeeds at once, and everything acknowledged is there."""
    daemon = daemon_in(tmp_path, _WORKERS).start()
    acknowledged = _send_everywhere(daemon)

    daemon.kill()
    with daemon:
        receiver = _receiver(daemon)
        assert _ids(receiver) == acknowledged
        receiver.close()


def test_sigterm_stops_all_workers(tmp_path):
    """A daemon with workers exits 0, and none of them is left."""
    daemon = daemon_in(tmp_path, _WORKERS).start()
    [worker] = _children(daemon.pid)

    exit_status = daemon.stop()

    assert exit_status == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
