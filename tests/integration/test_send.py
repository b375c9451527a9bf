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


def _halo(daemon, *arguments, environ=None):
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", *arguments, "--data", str(daemon.data)],
        env={
            "HALO_DAEMON__RECEIVERS__OTLP__HTTP__ENDPOINT": daemon.http,
            "PATH": "/usr/bin:/bin",
            **(environ or {}),
        },
        capture_output=True,
        text=True,
        timeout=300,
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


def test_a_secret_has_one_hash_by_every_road(tmp_path):
    """Sent to either of two workers or imported, a secret is stored as the same hash alone."""
    key = "sk-proj-" + "a1" * 20
    files = []
    for number in range(1, 9):
        files.append(tmp_path / f"{number}.jsonl")
        files[-1].write_bytes(make_line(span_id=span_id_of(number), name=f"use {key}"))
    options = {
        "HALO_DAEMON__REDACTION__SECRETS": "hash",
        "HALO_DAEMON__RECEIVERS__OTLP__WORKERS": "2",
    }
    with daemon_in(tmp_path, environ=options) as daemon:
        for file in files[:6]:
            assert _halo(daemon, "send", "--file", str(file)).returncode == 0
    imported = [str(file) for file in files[6:]]
    run = _halo(daemon, "import", "halo", *imported, "--project", "p", environ=options)
    assert run.returncode == 0, run.stderr

    stored = _stored(daemon.data)

    assert len(stored) == 8
    (name,) = set(stored)
    assert name.startswith("use [redacted:api-key#")


def _stored(data):
    """Names of all stored spans, as they lie in the shards."""
    shards = data.glob("projects/*/spans/*/*.jsonl")
    return [
        json.loads(line)["name"] for shard in shards for line in shard.read_bytes().splitlines()
    ]
