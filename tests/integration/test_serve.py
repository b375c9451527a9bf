"""The daemon as a process: start, signals, refusals."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from halo_daemon.testing.daemon import DaemonProcess


def _serve(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "halo_daemon", "serve", "--no-schedule", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(signal.SIGTERM, 0, id="SIGTERM"),
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
    ],
)
def test_signals_stop_the_daemon_in_order(tmp_path, sent, status):
    """SIGTERM is a clean stop, Ctrl-C is told apart; both release the directory."""
    daemon = DaemonProcess(tmp_path / "data").start()

    assert daemon.stop(with_signal=sent) == status
    with DaemonProcess(tmp_path / "data"):
        pass


def test_a_hangup_ends_nothing(tmp_path):
    """SIGHUP is answered by a word in the log; the daemon goes on, with its workers."""
    environ = {"HALO_DAEMON__RECEIVERS__OTLP__WORKERS": "2"}
    daemon = DaemonProcess(tmp_path / "data", environ=environ).start()
    os.kill(daemon.pid, signal.SIGHUP)
    deadline = time.monotonic() + 300
    while "reload_ignored" not in daemon.log_path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert daemon.stop() == 0
    assert "fork" not in daemon.log_path.read_text()


def test_one_ready_line_names_both_ports(tmp_path):
    """`ready` is logged once, when both ports already answer."""
    with DaemonProcess(tmp_path / "data") as daemon:
        for address in (daemon.grpc, daemon.http):
            host, port = address.rsplit(":", 1)
            socket.create_connection((host, int(port)), timeout=5).close()

        assert daemon.log_path.read_text().count('"ready"') == 1


def test_a_second_daemon_is_refused_with_the_first_ones_pid(tmp_path):
    """Two daemons never write to one directory, and the message says who does."""
    with DaemonProcess(tmp_path / "data") as daemon:
        run = _serve(
            "--data", str(tmp_path / "data"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"
        )

        assert run.returncode == 1
        assert f"pid {daemon.pid}" in run.stderr
        assert "Try:" in run.stderr


@pytest.mark.parametrize("flag", ["--grpc", "--http"])
def test_a_taken_port_ends_the_start(tmp_path, flag):
    """An address in use is a usage error that names it."""
    other = "--http" if flag == "--grpc" else "--grpc"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        run = _serve("--data", str(tmp_path / "data"), flag, address, other, "127.0.0.1:0")

    assert run.returncode == 2
    assert address in run.stderr


def test_a_wrong_configuration_ends_the_start(tmp_path):
    """Every mistake is told with its line before anything is started."""
    path = tmp_path / "halo-daemon.yaml"
    path.write_text("receivers:\n  otpl: {}\nstorage: {max_pending: lots}\n")

    run = _serve("--config", str(path), "--data", str(tmp_path / "data"))

    assert run.returncode == 2
    assert "halo-daemon.yaml:2:3" in run.stderr
    assert "halo-daemon.yaml:3" in run.stderr
    assert not (tmp_path / "data").exists()
