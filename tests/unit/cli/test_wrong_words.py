import pytest
from typer.testing import CliRunner

from halo_daemon.cli import app
from halo_daemon.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (("run", "show", "r_1"), "cannot find run `r_1`", "halo-daemon run list"),
        (("notify", "test", "hook"), "no such target", "config explain notify.targets"),
        (("config", "explain"), "argument KEY is missing", "--help"),
        (("finding", "feedback", "F-1", "maybe"), "VERDICT: cannot take `maybe`", "--help"),
        (("trace", "lint", "none.jsonl"), "FILE: file 'none.jsonl' does not exist", "--help"),
        (("ask", "none.jsonl", "-p", "why?"), "none.jsonl: No such file or directory", "JSONL"),
    ],
)
def test_wrong_words_are_named_as_the_help_names_them(tmp_path, words, said, hint):
    """What is missing, wrong or not there is told with its name, once, and with a remedy."""
    with pytest.raises((ConfigError, UnknownNameError)) as told:
        CliRunner().invoke(app, [*words, "--data", str(tmp_path)], catch_exceptions=False)

    assert said in str(told.value)
    assert "[Errno" not in str(told.value)
    assert hint in told.value.hint
