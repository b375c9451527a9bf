"""The OpenTelemetry SDK for Go, both exporters, and its retries."""

import json
import subprocess
import threading

import pytest

from tests.conformance.conftest import daemon_in, receiver_of
from tests.interop.relay import Relay


def _address(receiver, kind):
    return receiver.grpc_address if kind == "grpc" else receiver.http_address


@pytest.mark.parametrize("compression", ["plain", "gzip"])
@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_spans_of_the_go_sdk_arrive_once_and_whole(go_sender, receiver, kind, compression):
    """Every span that the SDK says it sent is stored once, with its attributes."""
    sent = subprocess.run(
        [str(go_sender), kind, _address(receiver, kind), "from-go", compression],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )

    spans = receiver.spans("from-go")
    assert sorted(span["span_id"] for span in spans) == sorted(json.loads(sent.stdout))
    assert {span["attributes"]["text"] for span in spans} == {"café\u2028"}


@pytest.mark.parametrize("kind", ["grpc", "http"])
def test_spans_sent_while_the_daemon_cannot_store_arrive_after_it_can(go_sender, tmp_path, kind):
    """A refusal with a retry hint makes the exporter wait and send again; nothing is lost."""
    full = {"HALO_DAEMON__STORAGE__MIN_FREE": "1000TiB"}
    for name in ("full", "free"):
        (tmp_path / name).mkdir()
    # Two daemons behind one port: the exporter gives up at a port that nobody listens on.
    with daemon_in(tmp_path / "full", full) as refusing, daemon_in(tmp_path / "free") as storing:
        seen = {daemon: receiver_of(daemon) for daemon in (refusing, storing)}
        with Relay(_address(seen[refusing], kind)) as relay:
            sender = subprocess.Popen(
                [str(go_sender), kind, relay.address, "from-go", "plain"],
                stdout=subprocess.PIPE,
                text=True,
            )
            while not refusing_count(seen[refusing]):
                threading.Event().wait(0.05)
            relay.switch(_address(seen[storing], kind))
            output, _ = sender.communicate(timeout=120)
        stored = [span["span_id"] for span in seen[storing].spans("from-go")]
        for each in seen.values():
            each.close()

    assert sender.returncode == 0
    assert sorted(stored) == sorted(json.loads(output))


def refusing_count(receiver):
    """How many requests the receiver answered with an error so far."""
    text = receiver.request("GET", "/metrics").body.decode()
    name = "halo_receiver_failed_requests_total"
    return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))
