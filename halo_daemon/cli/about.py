"""``halo-daemon version`` and ``halo-daemon completion``: about the program itself."""

import platform
from enum import StrEnum
from typing import Annotated

import typer

from halo_daemon import __version__
from halo_daemon.cli.options import JsonOption
from halo_daemon.cli.output import print_json

_PROGRAM = "halo-daemon"
_COMPLETE_VARIABLE = "_HALO_DAEMON_COMPLETE"


class Shell(StrEnum):
    """Shells that commands can be completed in."""

    BASH = "bash"
    FISH = "fish"
    ZSH = "zsh"


def version(*, as_json: JsonOption = False) -> None:
    """Print the version, and with --json what it runs on."""
    if as_json:
        found = {"version": __version__, "python": platform.python_version()}
        print_json("halo.version/v1", {**found, "platform": platform.platform()})
    else:
        print(f"{_PROGRAM} {__version__}")


def completion(shell: Annotated[Shell, typer.Argument(help="Whose syntax.")]) -> None:
    """Print the script that completes commands and options; put it where the shell looks."""
    # What typer's own --show-completion prints for the shell that it finds.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(
        prog_name=_PROGRAM, complete_var=_COMPLETE_VARIABLE, shell=shell.value
    )
    print(script)
