"""Events of a run that is killed before, while and after it queues them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.testing.daemon import DaemonProcess

pytestmark = pytest.mark.slow

SECRET = "whsec_" + "MDEy" * 8
PROJECT = "support-bot"


class Hook:
    """A webhook: keeps what it took, or is down."""

    def __init__(self):
        self.is_up = True
        self.tries = 0
        self.taken = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one delivery."""

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.tries += 1
                if hook.is_up:
                    hook.taken.append((self.headers["webhook-id"], json.loads(body)))
                self.send_response(204 if hook.is_up else 503)
                self.end_headers()

            def log_message(self, *arguments):
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def ids(self):
        """The ids that each finding's events came under, by type and finding."""
        found = defaultdict(set)
        for identity, event in self.taken:
            finding = event["data"].get("finding")
            if finding:
                found[event["type"], finding["id"]].add(identity)
        return dict(found)


@pytest.fixture
def hook():
    """A webhook on a loopback socket."""
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever)
    thread.start()
    yield hook
    hook.server.shutdown()
    thread.join()
    hook.server.server_close()


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """A data directory with a project that has failures."""
    data = tmp_path_factory.mktemp("sent") / "data"
    with DaemonProcess(data) as daemon:
        generated = [generate(AGENTS[0], now_unix_ns=time.time_ns(), traces=40)]
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))
    return data


@pytest.fixture
def config(tmp_path, hook, sent):
    """A configuration with a webhook for every kind of event, and a copy of what was sent."""
    path = tmp_path / "halo-daemon.yaml"
    shutil.copytree(sent, tmp_path / "data")
    url = f"http://127.0.0.1:{hook.server.server_port}/"
    path.write_text(
        f"data: {{ dir: {tmp_path / 'data'} }}\n"
        "notify:\n"
        f"  targets: {{ hook: {{ type: webhook, url: '{url}', secret: '{SECRET}' }} }}\n"
        "  routes: [{ to: [hook], when: [report, new, regressed, reopened] }]\n"
    )
    return path


def analyze(config):
    """Start an analysis as a user does."""
    return subprocess.Popen(
        [sys.executable, "-m", "halo_daemon", "analyze", "--config", str(config)],
        env={**os.environ, "HOME": str(config.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process, condition):
    """SIGKILL as soon as the condition holds; whether it came before the process ended."""
    while process.poll() is None:
        if condition():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    return process.wait() == -signal.SIGKILL


def queued(config):
    """The ids of what waits in the outbox."""
    return {path.stem for path in (config.parent / "data/outbox/pending").glob("[!.]*.json")}


def in_ledger(config):
    """Findings that the ledger knows."""
    return {entry.finding_id for entry in LedgerStore(config.parent / "data", PROJECT).read()}


def test_events_of_a_run_killed_after_the_ledger_reach_the_webhook(config, hook):
    """Killed between the ledger and the delivery, the daemon delivers what was queued, once."""
    hook.is_up = False
    assert kill_when(analyze(config), lambda: hook.tries > 0)
    waiting, known = queued(config), in_ledger(config)
    hook.is_up = True

    with DaemonProcess(
        config.parent / "data", arguments=("--no-schedule", "--config", str(config))
    ):
        until = time.monotonic() + 300
        while queued(config) and time.monotonic() < until:
            time.sleep(0.05)

    assert known
    assert {identity for identity, _ in hook.taken} == waiting
    assert len(hook.taken) == len(waiting) == 1 + len(known)
    assert {finding for _, finding in hook.ids()} == known


def test_a_run_killed_while_it_queues_is_made_again_with_the_same_ids(config, hook):
    """However often that happens, every change is told at least once, always under one id."""
    kills = 0
    for number in (1, 2, 4):
        before = queued(config)
        kills += kill_when(
            analyze(config),
            lambda before=before, number=number: len(queued(config) - before) >= number,
        )
    analyze(config).wait()

    known, told = in_ledger(config), hook.ids()
    assert kills
    assert {finding for kind, finding in told if kind == "finding.new"} == known
    assert {len(identities) for identities in told.values()} == {1}
