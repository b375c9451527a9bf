"""The canary against a running daemon."""

import json
import subprocess
import sys

import pytest

from tests.conformance.conftest import daemon_in


@pytest.fixture
def daemon(tmp_path):
    """A running daemon."""
    with daemon_in(tmp_path) as running:
        yield running


def _canary(daemon, http):
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", "canary", "--json", "--data", str(daemon.data)],
        env={"HALO_DAEMON__RECEIVERS__OTLP__HTTP__ENDPOINT": http, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_healthy_daemon_gives_every_span_back(daemon):
    """All spans come back, the ratio is 0 and so is the exit status."""
    ended = _canary(daemon, daemon.http)

    outcome = json.loads(ended.stdout)
    assert ended.returncode == 0
    assert outcome["read_back"] == outcome["acknowledged"] == outcome["sent"] == 30
    assert outcome["error_ratio"] == 0


def test_a_daemon_that_stores_elsewhere_is_found_out(daemon, tmp_path):
    """Acknowledged spans that cannot be read back are errors."""
    daemon.data = tmp_path / "elsewhere"

    ended = _canary(daemon, daemon.http)

    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error_ratio"] == 1


def test_no_daemon_is_another_exit_status(daemon):
    """A daemon that does not answer is told apart from one that loses spans."""
    ended = _canary(daemon, "127.0.0.1:1")

    assert ended.returncode == 5
    assert "serve" in json.loads(ended.stderr)["error"]["hint"]
