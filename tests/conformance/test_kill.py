"""
kill -9 of a real daemon under load: nothing that was acknowledged is missing.

``make kill-rounds`` runs 200 rounds; the suite runs 20.
"""

import contextlib
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import grpc
import pytest

from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.daemon import DaemonProcess
from tests.conformance.receiver import Receiver
from tests.conformance.requests import base_span, new_span_id, request_of

ROUNDS = int(os.environ.get("HALO_KILL_ROUNDS", "20"))
OK = grpc.StatusCode.OK
SENDERS = 4
PROJECTS = ("p0", "p1", "p2")
RECOVERY_EVERY = 3
_ENVIRON = {
    "HALO_DAEMON__STORAGE__MIN_FREE": "1MiB",
    # Small shards, so that rounds also end in the middle of sealing one and of beginning
    # the next.
    "HALO_DAEMON__STORAGE__SHARD__MAX_SIZE": "64KiB",
}


def _request(chance, ids):
    """The spans of *ids* in one request to up to three projects, and the ids of each."""
    cuts = sorted(chance.randint(0, len(ids)) for _ in PROJECTS[1:])
    parts = [ids[begin:end] for begin, end in pairwise([0, *cuts, len(ids)])]
    request = request_of()
    del request.resource_spans[:]
    for project, part in zip(PROJECTS, parts, strict=True):
        spans = [
            base_span(
                trace_id=os.urandom(8) + bytes.fromhex(span_id), span_id=bytes.fromhex(span_id)
            )
            for span_id in part
        ]
        group = request_of(*spans).resource_spans[0]
        name = group.resource.attributes.add(key="openinference.project.name")
        name.value.string_value = project
        request.resource_spans.append(group)
    return request.SerializeToString(), parts


def _send_until_killed(receiver, number, killed, sent, acknowledged, enough):
    """Send batches of changing size; note a span only once its success was seen."""
    chance = random.Random(number)
    while not killed.is_set():
        ids = [new_span_id() for _ in range(chance.choice((1, 3, 20, 400)))]
        body, parts = _request(chance, ids)
        sent.extend(parts)
        try:
            if number % 2:
                is_stored = receiver.export(body).code is OK
            else:
                is_stored = receiver.post(body).status == 200
        except (OSError, ConnectionError):
            return
        if not is_stored:
            return
        acknowledged.extend(ids)
        enough.set()


def _round(daemon: DaemonProcess, chance: random.Random, sent: list[list[str]]) -> set[str]:
    """
    Start, load, kill at a random point; the ids that were acknowledged.

    Adds what was *sent* to one project in one request.
    """
    daemon.start()
    receiver = Receiver(http_address=daemon.http, grpc_address=daemon.grpc, data=daemon.data)
    killed, enough = threading.Event(), threading.Event()
    acknowledged: list[str] = []
    with ThreadPoolExecutor(SENDERS) as threads:
        for number in range(SENDERS):
            threads.submit(_send_until_killed, receiver, number, killed, sent, acknowledged, enough)
        assert enough.wait(300)
        killed.wait(chance.uniform(0.0, 0.1))
        daemon.kill()
        killed.set()
    receiver.close()
    return set(acknowledged)


def _kill_while_it_starts(daemon: DaemonProcess, chance: random.Random) -> None:
    """Begin a start and end it at a random point, recovery included."""
    with ThreadPoolExecutor(1) as threads:
        begun = threads.submit(daemon.start)
        time.sleep(chance.uniform(0.05, 1.0))
        daemon.kill()
        with contextlib.suppress(RuntimeError):
            begun.result()
        daemon.kill()


def _read(data, project):
    """Every span id that a reader finds in *project*, and its damaged lines."""
    reader = LocalTraceReader(data, project, settle_s=0.0, now_unix_ns=time.time_ns)
    everything = Window(0, 2**62)
    try:
        ids = [span.span_id for trace in reader.iter_traces(everything) for span in trace.spans]
        return ids, reader.overview(everything).quarantined_lines
    finally:
        reader.close()


@pytest.mark.slow
def test_c73_kill_9_loses_no_acknowledged_span(tmp_path):
    """After every crash each acknowledged span is there once, and of no request a part."""
    chance = random.Random(7)
    daemon = DaemonProcess(tmp_path / "data", environ=_ENVIRON, start_timeout_s=300.0)
    acknowledged: set[str] = set()
    sent: list[list[str]] = []
    for number in range(ROUNDS):
        if number % RECOVERY_EVERY == 1:
            _kill_while_it_starts(daemon, chance)
        acknowledged |= _round(daemon, chance, sent)

    stored: list[str] = []
    with daemon:
        for project in PROJECTS:
            ids, damaged = _read(daemon.data, project)
            stored += ids
            assert damaged == 0

    assert len(acknowledged) > ROUNDS
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    found = set(stored)
    assert [part for part in sent if not (found.issuperset(part) or found.isdisjoint(part))] == []
    sys.stdout.write(f"{ROUNDS} rounds, {len(acknowledged)} acknowledged, {len(stored)} stored\n")
