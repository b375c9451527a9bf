"""Analyses on schedule, by the daemon itself."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.testing.daemon import DaemonProcess

pytestmark = pytest.mark.slow

WAIT_S = 45.0


def _settings(tmp_path, cron):
    path = tmp_path / "halo-daemon.yaml"
    path.write_text(
        "analysis:\n  schedule:\n"
        f'    - {{ name: nightly, cron: "{cron}", timezone: UTC, since: 24h }}\n'
    )
    return ("--config", str(path))


def _send_sample(daemon):
    generated = [generate(AGENTS[0], now_unix_ns=time.time_ns(), traces=6)]
    export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))


def _report(data, deadline_s=WAIT_S):
    path = data / "projects" / "support-bot" / "latest" / "report.json"
    until = time.monotonic() + deadline_s
    while not path.is_file() and time.monotonic() < until:
        time.sleep(0.05)
    return json.loads(path.read_text())


def _other_hour():
    """A cron expression that is due hours from now."""
    return f"0 {(datetime.now(UTC) + timedelta(hours=6)).hour} * * *"


def test_a_missed_night_is_made_up_for_at_start(tmp_path):
    """Spans stored while no schedule ran are analysed when the daemon starts."""
    data = tmp_path / "data"
    with DaemonProcess(data) as daemon:
        _send_sample(daemon)

    with DaemonProcess(data, arguments=_settings(tmp_path, _other_hour())):
        report = _report(data)

    assert report["run"]["trigger"] == "schedule"
    assert report["run"]["schedule"] == "nightly"
    assert report["dataset"]["traces"] == 6


def test_a_completed_night_is_not_repeated_at_the_next_start(tmp_path):
    """What was analysed is noted on disk: a restart runs nothing again."""
    data = tmp_path / "data"
    arguments = _settings(tmp_path, _other_hour())
    with DaemonProcess(data) as daemon:
        _send_sample(daemon)
    with DaemonProcess(data, arguments=arguments) as daemon:
        _report(data)
        _wait_for_log(daemon, "scheduled_run_completed")

    with DaemonProcess(data, arguments=arguments):
        time.sleep(1.5)

    assert len(list((data / "projects" / "support-bot" / "runs").iterdir())) == 1


def test_a_run_comes_when_it_is_due(tmp_path):
    """An entry due in the next minute runs by itself, beside the receivers."""
    data = tmp_path / "data"
    with DaemonProcess(data, arguments=_settings(tmp_path, "* * * * *")) as daemon:
        _send_sample(daemon)
        report = _report(data, deadline_s=75.0)

    assert report["dataset"]["traces"] == 6


def _wait_for_log(daemon, event):
    until = time.monotonic() + WAIT_S
    while event not in daemon.log_path.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    assert event in daemon.log_path.read_text()
