"""How the process ends, whatever happens in it."""

import os
import signal
import subprocess
import sys

import pytest

from halo_daemon.cli.border import border
from halo_daemon.errors import AmbiguousNameError, ConfigError, HaloError, UnknownNameError


def run(*arguments, **options):
    """One command as a user starts it."""
    command = [sys.executable, "-m", "halo_daemon", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_a_reader_that_goes_away_ends_the_command_as_it_ends_others():
    """Behind a closed pipe the process dies of SIGPIPE and says nothing."""
    ours, theirs = os.pipe()
    os.close(ours)
    ended = subprocess.run(
        [sys.executable, "-m", "halo_daemon", "config", "schema"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)

    assert ended.returncode == -signal.SIGPIPE
    assert ended.stderr == b""


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        pytest.param(HaloError("no", hint="do"), 1, "error: no\n\nTry: do\n", id="failed"),
        pytest.param(ConfigError("no"), 2, "error: no\n", id="configuration"),
        pytest.param(UnknownNameError("no"), 2, "error: no\n", id="unknown"),
        pytest.param(AmbiguousNameError("no"), 2, "error: no\n", id="ambiguous"),
        pytest.param(KeyboardInterrupt(), 130, "", id="interrupted"),
        pytest.param(
            PermissionError(13, "Permission denied", "/d\x1b/x"),
            1,
            "error: cannot go on: /d/x: Permission denied\n",
            id="refused",
        ),
    ],
)
def test_an_error_is_told_in_a_line_and_ends_with_its_status(capsys, error, status, told):
    """What went wrong, what to try, and the exit status of the table."""
    with pytest.raises(SystemExit) as caught, border(as_json=False):
        raise error

    assert caught.value.code == status
    assert capsys.readouterr().err.startswith(told)


def test_a_bug_says_where_its_traceback_is(capsys, tmp_path, monkeypatch):
    """No traceback on the terminal; the file that is named holds it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as caught, border(as_json=False):
        raise KeyError("oh\nno")

    told = capsys.readouterr().err
    (file,) = tmp_path.iterdir()
    assert caught.value.code == 1
    assert told.startswith("error: a bug in halo-daemon: KeyError: ")
    assert str(file) in told
    assert "Traceback" in file.read_text()


def test_a_traceback_is_shown_to_whoever_asks_for_it(tmp_path):
    """`-v` shows where an error came from, before the message; without it nothing is shown."""
    arguments = ("finding", "list", "--data", str(tmp_path / "none"))

    assert "Traceback" in run(*arguments, "-v").stderr
    assert run(*arguments).stderr.startswith("error: the data directory")


def test_quiet_leaves_data_and_errors(tmp_path):
    """Notes go, before the verb or after it; errors stay."""
    environ = {**os.environ, "HOME": str(tmp_path)}
    noted = run("project", "list", env=environ)
    quiet = run("project", "list", "-q", env=environ)
    wrong = run("-q", "project", "show", "none", env=environ)

    assert "no projects yet" in noted.stderr
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert (wrong.returncode, wrong.stderr[:6]) == (2, "error:")


@pytest.mark.parametrize("place", ["before", "after"])
def test_yes_is_heard_before_and_after_the_verb(tmp_path, place):
    """Whoever said `--yes` is not asked; without it a pipe is refused with status 2."""
    data = ("--data", str(tmp_path))
    run("project", "create", "p", *data)
    verb = ("project", "delete", "p", *data)

    assert run(*verb).returncode == 2
    assert (tmp_path / "projects" / "p").is_dir()
    said = ("--yes", *verb) if place == "before" else (*verb, "--yes")
    assert run(*said).returncode == 0
    assert not (tmp_path / "projects" / "p").exists()
