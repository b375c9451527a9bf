"""kill -9 of a real daemon under load: nothing that was acknowledged is missing."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from halo_daemon.testing.daemon import DaemonProcess
from tests.conformance.receiver import Receiver
from tests.conformance.requests import base_span, body_of, new_span_id

ROUNDS = 20
OK = grpc.StatusCode.OK
SENDERS = 4
_ENVIRON = {
    "HALO_DAEMON__STORAGE__MIN_FREE": "1MiB",
    # Small shards, so that rounds also end in the middle of sealing one.
    "HALO_DAEMON__STORAGE__SHARD__MAX_SIZE": "64KiB",
}


def _send_until_killed(receiver, number, killed, acknowledged, enough):
    """Send batches of changing size; note a span only once its success was seen."""
    while not killed.is_set():
        ids = [new_span_id() for _ in range(1 + len(acknowledged) % 40)]
        body = body_of(*(base_span(span_id=bytes.fromhex(span_id)) for span_id in ids))
        try:
            if number % 2:
                is_stored = receiver.export(body, project=f"p{number % 3}").code is OK
            else:
                is_stored = receiver.post(body, project=f"p{number % 3}").status == 200
        except (OSError, ConnectionError):
            return
        if not is_stored:
            return
        acknowledged.extend(ids)
        enough.set()


def _round(daemon: DaemonProcess, chance: random.Random) -> set[str]:
    """Start, load, kill at a random point; the ids that were acknowledged."""
    daemon.start()
    receiver = Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)
    killed, enough = threading.Event(), threading.Event()
    acknowledged: list[str] = []
    with ThreadPoolExecutor(SENDERS) as threads:
        for number in range(SENDERS):
            threads.submit(_send_until_killed, receiver, number, killed, acknowledged, enough)
        assert enough.wait(20)
        killed.wait(chance.uniform(0.0, 0.1))
        daemon.kill()
        killed.set()
    receiver.close()
    return set(acknowledged)


@pytest.mark.slow
def test_c73_kill_9_loses_no_acknowledged_span(tmp_path):
    """After twenty crashes under load every acknowledged span is stored and no line is torn."""
    chance = random.Random(7)
    daemon = DaemonProcess(tmp_path / "data", environ=_ENVIRON)
    acknowledged: set[str] = set()
    for _ in range(ROUNDS):
        acknowledged |= _round(daemon, chance)

    with daemon:
        receiver = Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)
        spans = [span for number in range(3) for span in receiver.spans(f"p{number}")]
        receiver.close()

    assert len(acknowledged) > ROUNDS
    assert acknowledged <= {span["span_id"] for span in spans}
