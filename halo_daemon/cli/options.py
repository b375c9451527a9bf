"""Options that many commands share, and what they resolve to."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import typer

from halo_daemon.errors import ConfigError, HaloError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.config_file import Loaded

_Q = TypeVar("_Q")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file.", show_default=False),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Data directory.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FieldsOption = Annotated[
    str, typer.Option("--fields", metavar="A,B", help="Only these fields, in this order.")
]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ProjectsOption = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="NAME", help="Only this project; may be repeated."),
]
SinceOption = Annotated[
    str,
    typer.Option("--since", metavar="T", help="Start: 90s, 15m, 24h, 7d ago, or an instant."),
]
UntilOption = Annotated[
    str, typer.Option("--until", metavar="T", help="End, written as --since; not included.")
]


class GlobalOptions(NamedTuple):
    """What was said before the verb; the same options after the verb win."""

    config: Path | None = None
    data: Path | None = None
    yes: bool = False


def said_before(ctx: typer.Context) -> GlobalOptions:
    """What was said before the verb."""
    return ctx.obj if isinstance(ctx.obj, GlobalOptions) else GlobalOptions()


def quantity(read: Callable[[str], _Q], text: str, flag: str) -> _Q:
    """
    What *read* makes of a flag's text.

    Raises:
        ConfigError: It makes nothing of it.
    """
    try:
        return read(text)
    except ValueError as exc:
        raise ConfigError(f"{flag}: {exc}") from exc


def confirm(ctx: typer.Context, question: str, *, yes: bool, otherwise: str = "") -> None:
    """
    Ask before something is destroyed, unless ``--yes`` was said.

    Raises:
        ConfigError: Nobody can be asked.
        HaloError: The answer is not yes.
    """
    if yes or said_before(ctx).yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            f"cannot go on unasked: {question}", hint=f"add --yes to do it{otherwise}"
        )
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise HaloError("nothing was done: the answer was not yes")


def load_config(
    ctx: typer.Context,
    *,
    config: Path | None,
    data: Path | None,
    overrides: Mapping[str, str] | None = None,
) -> "Config":
    """
    Load the configuration that a command works with; see `load_settings`.

    Raises:
        ConfigError: The file is missing or wrong.
    """
    return load_settings(ctx, config=config, data=data, overrides=overrides).config


def load_settings(
    ctx: typer.Context,
    *,
    config: Path | None,
    data: Path | None,
    overrides: Mapping[str, str] | None = None,
) -> "Loaded":
    """
    Load the configuration and where each value came from.

    Args:
        ctx: The command's context, with the options given before the verb.

        config: `--config` after the verb.

        data: `--data` after the verb; sets ``data.dir``.

        overrides: Values of further flags by configuration key.

    Raises:
        ConfigError: The file is missing or wrong.
    """
    from halo_daemon.config_file import load_with_origins

    before = said_before(ctx)
    flags = dict(overrides or {})
    if data_dir := data or before.data:
        flags["data.dir"] = str(data_dir.absolute())
    return load_with_origins(config or before.config, os.environ, overrides=flags)


def header_of(text: str) -> tuple[str, str]:
    """
    Name and value of a header as it is written after ``-H``.

    Raises:
        ConfigError: It has no name or no colon.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f'"{text}" is not a header', hint="write -H 'X-Team: agents'")
    return name.strip(), value.strip()
