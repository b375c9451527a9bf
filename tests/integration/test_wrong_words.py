"""Every command that reads: on no data, and on a wrong word."""

import json

import pytest

OF_ALL = (
    "project list",
    "finding list",
    "finding list --all --json",
    "report list",
    "run list",
    "store stats",
    "store verify",
    "store prune --max-age 1d --dry-run",
    "project keys list",
    "reproject --dry-run",
    "analyze --since 1h --no-notify",
)
OF_A_PROJECT = (
    "trace list --project {}",
    "trace list --project {} --json",
    "trace search fail --project {}",
    "trace lint --project {}",
    "export halo --project {}",
    "export otlp-json --project {}",
    "store stats --project {}",
    "report list --project {}",
    "finding list --project {}",
    "tail --project {} --count 1",
    "analyze --since 1h --no-notify --project {}",
)


@pytest.mark.parametrize("line", [one for one in OF_ALL if "verify" not in one])
def test_an_empty_data_directory_is_no_error(run, tmp_path, line):
    """Nothing to show is status 0; nothing is invented and no traceback shown."""
    (tmp_path / "empty").mkdir()

    status, out, err = run(line, tmp_path / "empty")

    assert status == 0
    assert "Traceback" not in out + err
    assert "a bug" not in err


@pytest.mark.parametrize("line", [*OF_ALL, "project show x", "trace list", "report show"])
def test_a_mistyped_data_directory_is_an_error(run, tmp_path, line):
    """Status 2, one line that names it, a remedy; and it is not made."""
    status, out, err = run(line, tmp_path / "none")

    assert (status, out) == (2, ""), err
    assert str(tmp_path / "none") in err.partition("\n")[0]
    assert "name one with --data" in err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("line", [*OF_A_PROJECT, "project show {}", "project delete {} --yes"])
def test_a_mistyped_project_is_an_error(run, tmp_path, line):
    """Status 2, one line that names it, and the nearest name as the remedy."""
    data = tmp_path / "data"
    run("project create support-bot", data)

    status, out, err = run(line.format("suport-bot"), data)

    assert (status, out) == (2, "")
    assert "cannot find project `suport-bot`" in err
    assert "did you mean `support-bot`?" in err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("store compact --older-than soon", "--older-than"),
        ("store prune --max-age soon --yes", "--max-age"),
        ("store prune --max-size 1 --yes", "--max-size"),
        ("trace search ( --project p", "cannot search"),
        ("analyze --finding F-ZZZZ", "no report ever showed it"),
        ("project keys revoke x", "cannot find key"),
        ("finding show F-ZZZZ", "cannot find a finding"),
        ("report export --project p", "project `p` has none"),
        ("report show", "there are none"),
        ("trace search status=banana --project p", "no status: error, ok, unset"),
        ("tail --count 1 --where kind=banana", "no kind: agent, chain"),
        ("export halo --project p -o .", "it is a directory"),
        ("import claude-cod", "no such source – did you mean `claude-code`?"),
        ("import zzzz trace.json", "cannot import `zzzz`: no such source"),
    ],
)
def test_a_wrong_word_is_an_error(run, tmp_path, line, told):
    """Status 2 and a line that says which word."""
    data = tmp_path / "data"
    run("project create p", data)

    status, _, err = run(line, data)

    assert status == 2
    assert err.startswith("error: ")
    assert told in err.partition("\n")[0]


MISUSED = (
    ("serv", "has no command `serv` – did you mean `serve`?", "halo-daemon --help"),
    ("zzzz", "`halo-daemon` has no command `zzzz`", "halo-daemon --help"),
    ("finding shwo F-1", "no command `shwo` – did you mean `show`?", "halo-daemon finding --help"),
    ("project keys creat", "did you mean `create`?", "halo-daemon project keys --help"),
    ("--quite", "has no option `--quite` – did you mean `--quiet`?", "halo-daemon --help"),
    ("analyze --sinze 1h", "did you mean `--since`?", "halo-daemon analyze --help"),
    ("finding list --verbos", "did you mean `--verbose`?", "halo-daemon finding list --help"),
    ("finding list -z", "has no option `-z`", "halo-daemon finding list --help"),
    ("finding show", "argument F is missing", "halo-daemon finding show --help"),
    ("analyze --since", "--since: requires an argument", "--help"),
    ("status --json=1", "--json: does not take a value", "--help"),
    (
        "analyze --engine lln",
        "--engine: cannot take `lln`: not one of builtin, llm",
        "analyze --help",
    ),
    ("analyze --budget-usd x", "--budget-usd: cannot take `x`: input should be", "analyze --help"),
    ("schedule list --next 0", "--next: cannot take `0`: input should be", "list --help"),
    ("analyze extra", "extra", "halo-daemon analyze --help"),
    ("-q", "missing command", "halo-daemon --help"),
)


@pytest.mark.parametrize(("line", "told", "remedy"), MISUSED)
def test_a_misused_command_is_told_as_every_error_is(run, line, told, remedy):
    """Status 2, nothing on stdout, a line with what is wrong and a line with the way to the help."""
    status, out, err = run(line)

    assert (status, out) == (2, "")
    first, blank, hint = err.splitlines()
    assert first.startswith("error: ")
    assert told in first
    assert blank == ""
    assert hint.startswith("Try: ")
    assert hint.endswith(remedy)


@pytest.mark.parametrize(
    "line", ["finding shwo --json", "run list --jsn --json", "run show --json"]
)
def test_a_misused_command_answers_a_program_in_json(run, line):
    """Under `--json` a wrong word is the same document that other errors are."""
    status, out, err = run(line)

    assert (status, out) == (2, "")
    error = json.loads(err)["error"]
    assert error["code"] == "config"
    assert error["message"]
    assert error["hint"].endswith("--help")


def test_a_noun_alone_shows_its_verbs(run):
    """Whoever does not know the verbs is not told of a mistake."""
    status, out, err = run("finding")

    assert (status, out) == (2, "")
    assert "Commands:" in err
    assert "error" not in err


def test_a_text_file_is_no_import(run, tmp_path):
    """What holds no record at all is counted as unreadable, and fails."""
    (tmp_path / "notes.txt").write_text("milk\neggs\n")

    status, _, err = run("import otlp notes.txt", tmp_path / "data")

    assert status == 1
    assert "skipped 1: not JSON" in err
