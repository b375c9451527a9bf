"""`project rename` under `kill -9`: the same command again completes it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from halo_daemon.proto.project import Project
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import find_project, register_project
from halo_daemon.testing.spans import START_UNIX_NS

REPOSITORY = Path(__file__).parents[2]
CALLS = 6
"""Calls to the disk of one renaming; the directory's is the first."""


@pytest.mark.parametrize("call", range(1, CALLS + 1))
def test_the_same_command_completes_a_killed_one(tmp_path, call):
    """Whichever call to the disk it was killed at, one project is left, by its new name."""
    paths = DataPaths(tmp_path)
    register_project(Disk(), paths, Project("shop", "Shop"), now_unix_ns=START_UNIX_NS)
    (paths.project("shop").directory / "findings.jsonl").write_text("{}\n")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.anomaly.rename_process", str(tmp_path), str(call)],
        cwd=REPOSITORY,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL

    command = [sys.executable, "-m", "halo_daemon", "project", "rename", "shop", "Bot"]
    again = subprocess.run(
        [*command, "--data", str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert again.returncode == 0, again.stderr
    assert paths.slugs() == ["bot"]
    assert find_project(paths, "bot") == ("bot", "Bot", START_UNIX_NS)
    assert (paths.project("bot").directory / "findings.jsonl").read_text() == "{}\n"
