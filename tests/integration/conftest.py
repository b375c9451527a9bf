"""The command line in the process of the test."""

import shlex
import sys

import pytest

from halo_daemon.cli import main


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """Run one command in this process: its status, stdout and stderr."""
    for name in ("HALO_DAEMON_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def one(line, data=None):
        named = ["--data", str(data)] if data else []
        monkeypatch.setattr(sys, "argv", ["halo-daemon", *shlex.split(line), *named])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return caught.value.code or 0, out, err

    return one
