import json
import os
import subprocess

import pytest

from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.repo_arguments import GrepFilesArguments
from halo_daemon.analyzer.agent.repo_tools import Repository, repo_tools, why_no_history
from halo_daemon.analyzer.agent.toolbox import Toolbox
from halo_daemon.errors import ConfigError

SECRET = "hunter2-in-a-file"


def git(root, *arguments):
    """Run git for the test's own set-up."""
    env = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments],
        cwd=root, check=True, capture_output=True, env=env,
    )  # fmt: skip


def printed(*command):
    """What a command prints."""
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stdout.strip()


@pytest.fixture
def repo(tmp_path):
    """A small repository with secrets in the places where people leave them."""
    root = tmp_path / "repo"
    (root / "src").mkdir(parents=True)
    (root / "src" / "app.py").write_text("def book():\n    return 1\n")
    (root / "README.md").write_text("# Shop\n")
    (root / ".gitignore").write_text("ignored.txt\n")
    for name in (".env", "ignored.txt", "server.pem", ".env.local", "aws_credentials"):
        (root / name).write_text(SECRET)
    (tmp_path / "outside.txt").write_text(SECRET)
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    git(root, "init", "-q")
    git(root, "add", "src", "README.md", ".gitignore", "link.txt", ".env")
    git(root, "commit", "-q", "-m", "Begin")
    (root / "src" / "app.py").write_text("def book():\n    return 2\n")
    git(root, "commit", "-q", "-am", "Book two")
    return root


async def ask(root, name, **arguments):
    """One call's answer."""
    answer = await Toolbox(repo_tools(root)).answer(ToolCall("c", name, json.dumps(arguments)))
    assert SECRET not in answer
    return json.loads(answer).get("result", json.loads(answer))


async def test_files_are_listed_found_and_read(repo):
    """Tree, glob, grep and read agree on what there is."""
    tree = await ask(repo, "view_repo_tree")
    globbed = await ask(repo, "glob_files", pattern="**/*.py")
    grepped = await ask(repo, "grep_files", regex_pattern="return [0-9]")
    read = await ask(repo, "read_file", path="src/app.py", offset=2)

    assert "src/app.py" in tree["tree"]
    assert globbed["files"] == [{"path": "src/app.py", "size_bytes": 25}]
    assert grepped["matches"] == [
        {"path": "src/app.py", "line_number": 2, "line_text": "    return 2"}
    ]
    assert (read["content"], read["total_line_count"]) == ("2\t    return 2", 2)


@pytest.mark.parametrize(
    "path",
    [".env", ".env.local", ".git/config", "ignored.txt", "server.pem", "aws_credentials",
     "link.txt", "../outside.txt", "/etc/passwd", "src/../.env", "", "src"],
)  # fmt: skip
async def test_secrets_and_strangers_are_refused(repo, path):
    """Ignored, secret, foreign and linked files are not read, whoever asks (G1, S-04)."""
    assert "cannot read" in (await ask(repo, "read_file", path=path))["error"]


async def test_history_is_shown(repo):
    """Log, show, diff, blame and old files."""
    log = await ask(repo, "git_log", pickaxe_string="return 2")
    sha = log["commits"][0]["full_sha"]
    show = await ask(repo, "git_show", ref=sha, include_patch=True)
    diff = await ask(repo, "git_diff", from_ref=f"{sha}~1", to_ref=sha)
    blame = await ask(repo, "git_blame", path="src/app.py", start_line=2, end_line=2)
    old = await ask(repo, "git_read_file", ref=f"{sha}~1", path="src/app.py")

    assert [c["subject"] for c in log["commits"]] == ["Book two"]
    assert "+    return 2" in show["body"]
    assert "src/app.py" in diff["diff"]
    assert blame["lines"][0]["short_sha"] == sha[:12]
    assert "return 1" in old["content"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("git_show", {"ref": "--output=made.txt"}),
        ("git_show", {"ref": "HEAD:.env"}),
        ("git_diff", {"from_ref": "--no-index", "to_ref": "HEAD"}),
        ("git_log", {"ref_range": "--all"}),
        ("git_log", {"pickaxe_string": "a", "pickaxe_regex": "b"}),
        ("git_read_file", {"ref": "HEAD", "path": ".env"}),
        ("git_read_file", {"ref": "HEAD", "path": "../x"}),
        ("git_blame", {"path": "src/app.py", "start_line": 5, "end_line": 1}),
        ("git_blame", {"path": ".env", "start_line": 1, "end_line": 1}),
    ],
)
async def test_options_and_secret_paths_are_refused(repo, name, arguments):
    """A ref is never an option, a path never a secret (S-04)."""
    answer = await ask(repo, name, **arguments)

    assert "error" in answer
    assert not (repo / "made.txt").exists()


async def test_a_hostile_repository_runs_nothing(repo):
    """Hooks, monitors, external diffs and text conversions of a repository are not run (G2)."""
    made = repo / "made.txt"
    script = repo / ".git" / "evil.sh"
    script.write_text(f'#!/bin/sh\ntouch {made}\ncat "$1"\n')
    script.chmod(0o755)
    (repo / ".gitattributes").write_text("*.py diff=evil\n")
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command",
                "core.pager", "core.sshCommand"):  # fmt: skip
        git(repo, "config", key, str(script))

    for name, arguments in (
        ("view_repo_tree", {}),
        ("git_log", {}),
        ("git_show", {"ref": "HEAD", "include_patch": True}),
        ("git_diff", {"from_ref": "HEAD~1", "to_ref": "HEAD", "stat_only": False}),
        ("git_read_file", {"ref": "HEAD", "path": "src/app.py"}),
        ("git_blame", {"path": "src/app.py", "start_line": 1, "end_line": 1}),
    ):
        await ask(repo, name, **arguments)

    assert not made.exists()


async def test_a_directory_without_git_is_read_too(tmp_path):
    """Files are shown by their own rules, history is said to be absent."""
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / ".env").write_text(SECRET)

    read = await ask(tmp_path, "read_file", path="a.txt")
    log = await ask(tmp_path, "git_log")

    assert read["content"] == "1\thello"
    assert "error" in log
    assert why_no_history(tmp_path) == "not a git work tree"


def test_a_missing_directory_is_a_configuration_error(tmp_path):
    """The setting is named."""
    with pytest.raises(ConfigError, match="repo_path"):
        Repository(tmp_path / "none")


async def test_a_patch_shows_no_secret_file(repo):
    """A commit that added credentials is shown without them; a blob's hash is no commit (G1)."""
    log = await ask(repo, "git_log")
    first = log["commits"][-1]["full_sha"]
    blob = printed("git", "-C", str(repo), "rev-parse", f"{first}:.env")

    shown = await ask(repo, "git_show", ref=first, include_patch=True)
    changed = await ask(
        repo, "git_diff", from_ref=first, to_ref=log["commits"][0]["full_sha"], stat_only=False
    )
    refused = await ask(repo, "git_show", ref=blob)

    assert "def book" in shown["body"]
    assert "not shown: may hold credentials" in shown["body"]
    assert "return 2" in changed["diff"]
    assert "error" in refused


async def test_blame_reads_ids_of_both_lengths(tmp_path):
    """A repository with 64-character ids is blamed like any other (G3)."""
    git(tmp_path, "init", "-q", "--object-format=sha256")
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-q", "-m", "Begin")

    blamed = await ask(tmp_path, "git_blame", path="a.py", start_line=1, end_line=1)

    [line] = blamed["lines"]
    assert (line["line_text"], len(line["short_sha"]), line["summary"]) == ("x = 1", 12, "Begin")


async def test_slow_git_is_ended_with_its_children(repo, tmp_path, monkeypatch):
    """What takes too long is killed, whatever it started, and told as such (G4)."""
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    repository = Repository(repo, timeout_s=2.0)

    with pytest.raises(EngineToolError, match="took more than"):
        await repository._git("log")

    child = int((tmp_path / "child").read_text())
    assert printed("ps", "-o", "stat=", "-p", str(child))[:1] in {"", "Z"}


async def test_a_search_that_takes_too_long_says_that_there_is_more(repo):
    """What was found in time is given, marked as not all (G4)."""
    repository = Repository(repo, timeout_s=-1)
    arguments = GrepFilesArguments(regex_pattern="return")

    found, has_more = repository._search(arguments, ["src/app.py"])

    assert (found, has_more) == ([], True)


def test_what_git_lacks_is_said_in_one_line(repo, tmp_path, monkeypatch):
    """Available, not a work tree, not installed: each has its words (G5)."""
    bare = tmp_path / "bare"
    bare.mkdir()

    assert why_no_history(repo / "src") == ""
    assert why_no_history(bare) == "not a git work tree"
    monkeypatch.setenv("PATH", "/nowhere")
    assert why_no_history(repo) == "git is not installed"
