"""`halo-daemon doctor` on healthy and on troubled machines."""

import json
import os
import socket
import subprocess
import sys

from halo_daemon.testing.daemon import DaemonProcess


def _doctor(data, **environ):
    run = subprocess.run(
        [sys.executable, "-m", "halo_daemon", "doctor", "--json", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environ},
    )
    return run, {
        check["name"]: check for check in json.loads(run.stdout or '{"checks": []}')["checks"]
    }


def _ports(grpc, http):
    return {
        "HALO_DAEMON__RECEIVERS__OTLP__GRPC__ENDPOINT": grpc,
        "HALO_DAEMON__RECEIVERS__OTLP__HTTP__ENDPOINT": http,
    }


def test_a_healthy_machine_has_no_trouble(tmp_path):
    """Free ports, a writable directory: exit 0, and nothing was created."""
    run, checks = _doctor(tmp_path / "data", **_ports("127.0.0.1:0", "127.0.0.1:0"))

    assert run.returncode == 0
    assert checks["data directory"]["state"] == "ok"
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_trouble_with_a_hint(tmp_path):
    """A port that someone else holds is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        run, checks = _doctor(tmp_path / "data", **_ports(address, "127.0.0.1:0"))

    assert run.returncode == 1
    assert address in checks["grpc port"]["detail"]
    assert checks["grpc port"]["hint"]


def test_our_own_daemon_on_its_ports_is_no_trouble(tmp_path):
    """The ports of the daemon that runs on this data directory are in use rightly."""
    with DaemonProcess(tmp_path / "data") as daemon:
        run, checks = _doctor(tmp_path / "data", **_ports(daemon.grpc, daemon.http))

    assert run.returncode == 0
    assert f"pid {daemon.pid}" in checks["grpc port"]["detail"]


def test_a_wrong_configuration_is_told(tmp_path):
    """Doctor reports a mistake in the configuration rather than failing on it."""
    run, _ = _doctor(tmp_path / "data", HALO_DAEMON__NONSENSE="1")

    assert run.returncode == 1
    assert "nonsense" in run.stderr.lower()
