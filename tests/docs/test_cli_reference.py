"""The reference page of the command line: complete, current, and true about exit statuses."""

import inspect
import re

import pytest
import typer

from halo_daemon.cli import app
from halo_daemon.cli.exit_codes import FURTHER, MEANINGS
from scripts.cli_reference import further_statuses, render_cli_page
from scripts.reference import CLI_PAGE

_EVERYWHERE = {0, 1, 2, 130}


def _leaves(command, path):
    for name, verb in getattr(command, "commands", {}).items():
        yield from _leaves(verb, (*path, name))
    if not hasattr(command, "commands"):
        yield " ".join(path), command


COMMANDS = dict(_leaves(typer.main.get_command(app), ()))


def test_the_page_is_what_the_commands_say():
    """A changed command or option comes with its regenerated page."""
    assert CLI_PAGE.read_text(encoding="utf-8") == render_cli_page()


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_says_what_it_does_and_what_its_parameters_mean(path):
    """Each command has a section and a sentence, each argument and option that is shown too."""
    command, page = COMMANDS[path], CLI_PAGE.read_text(encoding="utf-8")

    assert f" `halo-daemon {path}`\n" in page
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "hidden", False) or parameter.help, parameter.name


@pytest.mark.parametrize("path", COMMANDS)
def test_help_and_table_agree_on_exit_statuses(path):
    """What a command's help says it exits with is what the table has of it, and the reverse."""
    said = inspect.cleandoc(COMMANDS[path].help or "").replace("\n", " ")
    sentences = " ".join(re.findall(r"\b[Ee]xits\b[^.;]*", said))
    told = {int(word) for word in re.findall(r"\b[0-9]+\b", sentences)}

    assert told - _EVERYWHERE == set(further_statuses(path))


def test_the_table_names_commands_and_statuses_that_there_are():
    """No row is left of a command that is gone."""
    assert FURTHER.keys() <= COMMANDS.keys()
    assert {status for row in FURTHER.values() for status in row} <= MEANINGS.keys()
