"""Analyses on schedule, by the daemon itself."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths
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


def _require_nothing_missed(data, run, config):
    """Start anew; what was missed is in line before what is asked for, so the first run tells."""
    daemon = DaemonProcess(data, arguments=config)
    logged_before = len(daemon.log_path.read_text())
    with daemon:
        run(f"schedule run nightly {' '.join(config)}", data)
        _wait_for_log(daemon, "scheduled_run_completed", after=logged_before)
        logged = daemon.log_path.read_text()[logged_before:]
    assert '"catch_up": true' not in logged


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


def test_a_completed_night_is_not_repeated_at_the_next_start(tmp_path, run):
    """What was analysed is noted on disk: a restart runs nothing but what is asked for."""
    data = tmp_path / "data"
    arguments = _settings(tmp_path, _other_hour())
    with DaemonProcess(data) as daemon:
        _send_sample(daemon)
    with DaemonProcess(data, arguments=arguments) as daemon:
        _report(data)
        _wait_for_log(daemon, "scheduled_run_completed")

    _require_nothing_missed(data, run, arguments)


def test_a_run_comes_when_it_is_due(tmp_path):
    """An entry due in the next minute runs by itself, beside the receivers."""
    data = tmp_path / "data"
    with DaemonProcess(data, arguments=_settings(tmp_path, "* * * * *")) as daemon:
        _send_sample(daemon)
        report = _report(data, deadline_s=75.0)

    assert report["dataset"]["traces"] == 6


def _runs(data):
    return list((data / "projects" / "support-bot" / "runs").glob("*/report.json"))


def test_a_paused_entry_is_not_run_and_a_run_can_be_asked_for(tmp_path, run):
    """A running daemon heeds the pause without a restart, and makes the run that is asked for."""
    data = tmp_path / "data"
    config = _settings(tmp_path, "* * * * *")
    with DaemonProcess(data, arguments=config) as daemon:
        paused = run(f"schedule pause nightly {' '.join(config)}", data)
        _send_sample(daemon)
        _wait_for_log(daemon, "schedule_paused", deadline_s=75.0)
        assert not _runs(data)
        asked = run(f"schedule run nightly {' '.join(config)}", data)
        _wait_for_log(daemon, "scheduled_run_completed")

    assert paused[:2] == (0, "paused: nightly\n")
    assert asked[:2] == (0, "in line: nightly\n")
    assert len(_runs(data)) == 1


def test_without_a_daemon_an_entry_is_run_at_once_and_noted(tmp_path, run):
    """The report is there when the command ends; the next start of the daemon repeats nothing."""
    data = tmp_path / "data"
    config = _settings(tmp_path, _other_hour())
    with DaemonProcess(data) as daemon:
        _send_sample(daemon)

    status, out, _ = run(f"schedule run nightly {' '.join(config)}", data)

    assert (status, out) == (0, "nightly\tsupport-bot\tdone\n")
    assert len(_runs(data)) == 1
    _require_nothing_missed(data, run, config)


def test_a_daemon_that_takes_no_request_is_told(tmp_path, run):
    """Status 5, who has the directory, a remedy; and no request is left behind."""
    with DataLock(DataPaths(tmp_path)):
        status, out, err = run("schedule run nightly", tmp_path)

    assert (status, out) == (5, "")
    assert "has it open, and took no request" in err
    assert "Try: " in err
    assert not list(DataPaths(tmp_path).schedules.iterdir())


def test_a_pause_is_listed_and_lifted(tmp_path, run):
    """`list` says the state; saying the same twice is no error; an unknown name is."""
    (tmp_path / "data").mkdir()

    def states():
        listed = json.loads(run("schedule list --json", tmp_path / "data")[1])
        return [(row["schedule"], row["state"]) for row in listed["schedules"]]

    said = [
        run(f"schedule {verb} nightly", tmp_path / "data")[1].strip()
        for verb in ("pause", "pause", "resume", "resume", "pause")
    ]
    assert said == [
        "paused: nightly",
        "already_paused: nightly",
        "resumed: nightly",
        "already_active: nightly",
        "paused: nightly",
    ]
    assert states() == [("nightly", "paused")]
    assert json.loads(run("schedule pause nightly --json", tmp_path / "data")[1]) == {
        "schema": "halo.schedule/v1",
        "schedule": "nightly",
        "outcome": "already_paused",
    }
    ran = json.loads(run("schedule run nightly --json", tmp_path / "data")[1])
    assert ran == {"schema": "halo.schedule-run/v1", "schedule": "nightly", "projects": []}
    status, _, err = run("schedule run nihgtly", tmp_path / "data")
    assert status == 2
    assert "did you mean `nightly`?" in err


def _wait_for_log(daemon, event, deadline_s=WAIT_S, *, after=0):
    until = time.monotonic() + deadline_s
    while event not in daemon.log_path.read_text()[after:] and time.monotonic() < until:
        time.sleep(0.05)
    assert event in daemon.log_path.read_text()[after:]
