"""Every command that reads: on no data, and on a wrong word."""

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


def test_a_text_file_is_no_import(run, tmp_path):
    """What holds no record at all is counted as unreadable, and fails."""
    (tmp_path / "notes.txt").write_text("milk\neggs\n")

    status, _, err = run("import otlp notes.txt", tmp_path / "data")

    assert status == 1
    assert "skipped 1: not JSON" in err
