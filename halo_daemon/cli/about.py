"""``halo-daemon version`` and ``halo-daemon completion``: about the program itself."""

import platform
from enum import StrEnum
from importlib.util import find_spec
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


def is_compiled() -> bool:
    """Whether decoding runs as extension modules, as a build may ask for."""
    spec = find_spec("halo_daemon.proto.line")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def version(*, as_json: JsonOption = False) -> None:
    """Print the version, and with --json what it runs on."""
    if as_json:
        found = {"version": __version__, "compiled": is_compiled()}
        machine = {"python": platform.python_version(), "platform": platform.platform()}
        print_json("halo.version/v1", {**found, **machine})
    else:
        print(f"{_PROGRAM} {__version__}{', compiled' if is_compiled() else ''}")


def completion(shell: Annotated[Shell, typer.Argument(help="Whose syntax.")]) -> None:
    """Print the script that completes commands and options; put it where the shell looks."""
    # What typer's own --show-completion prints for the shell that it finds.
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    script = get_completion_script(
        prog_name=_PROGRAM, complete_var=_COMPLETE_VARIABLE, shell=shell.value
    )
    print(script)
