"""Test spans, and those of a file, through the port of a running daemon."""

import json
import subprocess
import sys

import pytest

from halo_daemon.testing.spans import make_line, span_id_of
from tests.conformance.conftest import daemon_in


@pytest.fixture
def daemon(tmp_path):
    """A running daemon."""
    with daemon_in(tmp_path) as running:
        yield running


def _halo(daemon, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", *arguments, "--data", str(daemon.data)],
        env={"HALO_DAEMON__RECEIVERS__OTLP__HTTP__ENDPOINT": daemon.http, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_test_spans_are_found_again(daemon):
    """`send --wait` ends well only when a reader of the data directory sees them."""
    ended = _halo(daemon, "send", "--wait")

    assert ended.returncode == 0, ended.stderr
    assert "stored in project halo-send" in ended.stdout


def test_the_spans_of_a_file_are_sent(daemon, tmp_path):
    """What an import would store is what the endpoint gets."""
    file = tmp_path / "lines.jsonl"
    file.write_bytes(make_line(span_id=span_id_of(1)) + make_line(span_id=span_id_of(2)))

    ended = _halo(daemon, "send", "--file", str(file), "--header", "x-project-name: sent")

    assert ended.returncode == 0, ended.stderr
    exported = _halo(daemon, "export", "halo", "--project", "sent", "--since", "1h").stdout
    assert [json.loads(line)["span_id"] for line in exported.splitlines()] == [
        span_id_of(1),
        span_id_of(2),
    ]
