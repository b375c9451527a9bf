"""Events on their way from scheduled runs to a webhook."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.testing.daemon import DaemonProcess

pytestmark = pytest.mark.slow

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class _Receiver(BaseHTTPRequestHandler):
    """Refuses the first delivery, takes the second, and keeps both."""

    deliveries: list

    def do_POST(self):
        """Answer one delivery."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.deliveries.append((dict(self.headers), body))
        self.send_response(503 if len(self.deliveries) == 1 else 204)
        self.end_headers()

    def log_message(self, *arguments):
        """Stay silent."""


@pytest.fixture
def webhook():
    """A loopback webhook: its URL and what was delivered to it."""
    deliveries: list = []
    handler = type("Receiver", (_Receiver,), {"deliveries": deliveries})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/halo", deliveries
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_scheduled_report_reaches_the_webhook_signed(tmp_path, webhook):
    """A refused delivery is repeated with the same id, and its signature verifies."""
    url, deliveries = webhook
    data = tmp_path / "data"
    settings = tmp_path / "halo-daemon.yaml"
    settings.write_text(
        "notify:\n"
        f'  targets: {{ hook: {{ type: webhook, url: "{url}", secret: "${{env:HOOK_SECRET}}" }} }}\n'
        "  routes: [{ to: [hook], when: [report] }]\n"
    )
    with DaemonProcess(data) as daemon:
        generated = [generate(AGENTS[0], now_unix_ns=time.time_ns(), traces=6)]
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))

    arguments = ("--config", str(settings))
    with DaemonProcess(data, arguments=arguments, environ={"HOOK_SECRET": SECRET}):
        until = time.monotonic() + 300
        while len(deliveries) < 2 and time.monotonic() < until:
            time.sleep(0.05)

    (first, _), (second, body) = deliveries
    event = Webhook(SECRET).verify(body, {key.lower(): value for key, value in second.items()})
    assert event["type"] == "report.created"
    assert event["data"]["project"] == "support-bot"
    assert first["webhook-id"] == second["webhook-id"]
    assert json.loads(body) == event


def test_a_scheduled_run_that_fails_is_told(tmp_path, webhook):
    """A ledger that cannot be read fails the run, and `run.failed` says which and why."""
    url, deliveries = webhook
    data = tmp_path / "data"
    settings = tmp_path / "halo-daemon.yaml"
    settings.write_text(
        "notify:\n"
        f'  targets: {{ hook: {{ type: webhook, url: "{url}", secret: "{SECRET}" }} }}\n'
        "  routes: [{ to: [hook], when: [failed] }]\n"
    )
    with DaemonProcess(data) as daemon:
        generated = [generate(AGENTS[0], now_unix_ns=time.time_ns(), traces=2)]
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))
    (data / "projects" / "support-bot" / "findings.jsonl").mkdir()

    with DaemonProcess(data, arguments=("--config", str(settings))):
        until = time.monotonic() + 300
        while len(deliveries) < 2 and time.monotonic() < until:
            time.sleep(0.05)

    (first, _), (second, body) = deliveries
    event = json.loads(body)
    assert event["type"] == "run.failed"
    assert (event["data"]["project"], event["data"]["schedule"]) == ("support-bot", "nightly")
    assert event["data"]["retry_after_s"] == 60.0
    assert "analyze" in event["data"]["error"]
    assert first["webhook-id"] == second["webhook-id"]
