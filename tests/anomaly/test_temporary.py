"""What processes leave behind under the directory for temporary files."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLDER = """
import sys
from halo_daemon.store.temporary import private_directory
print(private_directory("spans").parent, flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(tmp: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with a directory under *tmp*, and that directory."""
    # This process may have such a directory, from other tests.
    ours = {key: value for key, value in os.environ.items() if key != "_HALO_DAEMON_SCRATCH"}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**ours, "TMPDIR": str(tmp), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process, Path(process.stdout.readline().strip())
        process.stdin.close()


def test_a_process_removes_its_directory_when_it_ends(tmp_path):
    """An orderly end leaves nothing, and nobody else could read it meanwhile."""
    with holder(tmp_path) as (_, directory):
        assert directory.parent == tmp_path
        assert directory.stat().st_mode & 0o077 == 0

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_one(tmp_path):
    """Kills do not add up to a full disk; a living process keeps its directory."""
    with holder(tmp_path) as (killed, left), holder(tmp_path) as (_, kept):
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert left.is_dir()

        with holder(tmp_path) as (_, new):
            assert not left.exists()
            assert kept.is_dir()
            assert new.is_dir()


def test_a_directory_goes_on_while_one_of_its_processes_lives(tmp_path):
    """A child of a killed process loses no file under its hands."""
    with holder(tmp_path) as (parent, shared):
        with holder(tmp_path, _HALO_DAEMON_SCRATCH=str(shared)) as (_, same):
            assert same == shared
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            with holder(tmp_path):
                assert shared.is_dir()
        with holder(tmp_path):
            assert not shared.exists()


def test_directories_of_others_stay(tmp_path):
    """A name that begins alike is no reason to remove anything."""
    other = Path(tempfile.mkdtemp(prefix="halo-daemon-", dir=tmp_path))
    (other / "letters.txt").write_text("mine")

    with holder(tmp_path):
        assert (other / "letters.txt").read_text() == "mine"
