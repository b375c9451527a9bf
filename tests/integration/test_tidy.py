"""`store tidy`, by hand and below a daemon."""

import os
import subprocess
import sys
import time

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.store.paths import DataPaths
from halo_daemon.testing.daemon import DaemonProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path):
    """A data directory with one sealed shard."""
    data = tmp_path / "data"
    with DaemonProcess(data) as daemon:
        generated = [generate(AGENTS[0], now_unix_ns=time.time_ns(), traces=12)]
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))
    return data


def _tidy(data, **environ):
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", "store", "tidy", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environ},
    )


def _day(data):
    (day,) = DataPaths(data).project(AGENTS[0].name).days()
    return day


def test_old_shards_are_compressed_and_still_read(data):
    """A sealed shard of an earlier day becomes smaller, and every trace is still there."""
    today = _day(data).directory
    today.rename(today.with_name("2026-01-01"))
    (stem,) = _day(data).stems()

    run = _tidy(data, HALO_DAEMON__STORAGE__COMPRESS_AFTER="0s")

    assert run.returncode == 0, run.stderr
    assert not _day(data).plain(stem).exists()
    assert _day(data).compressed(stem).exists()
    command = [sys.executable, "-m", "halo_daemon", "trace", "list", "--data", str(data)]
    listed = subprocess.run(
        [*command, "--project", AGENTS[0].name],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(listed.stdout.splitlines()) == 12


def test_retention_deletes_whole_traces(data):
    """Beyond the configured number the oldest traces go."""
    run = _tidy(data, HALO_DAEMON__STORAGE__RETENTION__MAX_TRACES="5")

    assert run.returncode == 0, run.stderr
    assert '"traces": 7' in run.stderr


def test_a_running_daemon_tidies_as_often_as_it_is_told(data):
    """With a short `storage.tidy_every` the traces beyond the limit go while the daemon runs."""
    environ = {
        "HALO_DAEMON__STORAGE__RETENTION__MAX_TRACES": "5",
        "HALO_DAEMON__STORAGE__TIDY_EVERY": "1s",
    }
    with DaemonProcess(data, environ=environ) as daemon:
        deadline = time.monotonic() + 300
        while '"traces": 7' not in daemon.log_path.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_pass_ends_with_the_daemon_that_started_it(data):
    """After kill -9 in the middle of tidying, the next daemon starts at once, every time."""
    daemon = DaemonProcess(data, environ={"HALO_DAEMON__STORAGE__TIDY_EVERY": "1s"})
    for number in range(4):
        daemon.start()
        time.sleep(1.0 + number * 0.4)
        daemon.kill()

    with daemon:
        assert "has it open" not in daemon.log_path.read_text()


def test_a_pass_below_no_daemon_does_nothing(data):
    """One that finds no daemon above it leaves lock and shards alone."""
    run = subprocess.run(
        [sys.executable, "-m", "halo_daemon", "store", "tidy", "--below-daemon", "--data", data],
        env={**os.environ, "HALO_DAEMON__STORAGE__RETENTION__MAX_TRACES": "5"},
        capture_output=True,
        timeout=300,
        check=False,
    )

    assert run.returncode == 1
    assert b"pruned" not in run.stderr


def test_it_is_refused_beside_a_daemon_that_did_not_start_it(data):
    """Only the daemon's own child may change shards while the daemon runs."""
    with DaemonProcess(data) as daemon:
        run = _tidy(data)

        assert run.returncode == 1
        assert f"pid {daemon.pid}" in run.stderr
