"""Questions on a terminal, and what the answers end with."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest

from halo_daemon.proto.project import project_named
from halo_daemon.store.disk import Disk
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import list_projects, register_project


@pytest.mark.parametrize(
    ("answer", "status", "left", "said"),
    [
        pytest.param(b"n\n", 1, 1, "error: nothing was done", id="no"),
        pytest.param(b"y\n", 0, 0, "", id="yes"),
        pytest.param(b"\x03", 130, 1, "", id="ctrl-c"),
        pytest.param(b"\x04", 1, 1, "error: nothing was done", id="end of file"),
    ],
)
def test_what_is_destroyed_is_asked_for(tmp_path, answer, status, left, said):
    """Only "yes" deletes; "no" is told in one line, and leaving is an interruption."""
    paths = DataPaths(tmp_path)
    register_project(Disk(), paths, project_named("bot"), now_unix_ns=1)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "halo_daemon", "project", "delete", "bot"]
    with subprocess.Popen(
        [*command, "--data", str(tmp_path)],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=_on_this_terminal,  # noqa: PLW1509 -- no thread runs in the child
    ) as process:
        os.close(theirs)
        assert process.stderr is not None
        asked = b""
        while not asked.endswith(b"[y/N] "):
            asked += os.read(process.stderr.fileno(), 1000) or pytest.fail(f"not asked: {asked!r}")
        os.write(ours, answer)
        _, err = process.communicate(timeout=30)
        os.close(ours)

    assert process.returncode == status
    assert len(list_projects(paths)) == left
    assert said in err.decode()


def _on_this_terminal() -> None:
    """Make standard input the terminal that sends signals, which a shell's child may ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
