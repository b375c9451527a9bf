"""
Wrong words on the command line, told as every other error is.

The parser prints its own errors in a form of its own. Here they become `ConfigError`, before
it does, so that one place prints errors, in text and in JSON, and one form is learned.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer._click import exceptions as parser_errors  # the public names cover only their root
from typer.core import TyperGroup
from typer.exceptions import TyperException

from halo_daemon.cli.output import did_you_mean
from halo_daemon.cli.terminal import GLOBAL_FLAGS
from halo_daemon.errors import ConfigError

_SHOWN_CHARS = 80


class Verbs(TyperGroup):
    """The verbs of a noun; one that is not there is told with the nearest."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """
        As in the base.

        Raises:
            ConfigError: There is no such command.
        """
        word = args[0]
        if word in self.commands or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        meant = did_you_mean(word, self.commands)
        raise ConfigError(
            f"`{ctx.command_path}` has no command `{word[:_SHOWN_CHARS]}`{meant}",
            hint=f"{ctx.command_path} --help",
        )


def noun(sentence: str) -> typer.Typer:
    """A command whose verbs are added to it; without one it prints its help."""
    return typer.Typer(cls=Verbs, help=sentence, no_args_is_help=True, rich_markup_mode=None)


@contextmanager
def usage_errors_told() -> Iterator[None]:
    """
    Raise as our own what the parser refuses.

    Raises:
        ConfigError: An option, argument or value is wrong or missing.
    """
    try:
        yield
    except parser_errors.NoArgsIsHelpError:
        # No mistake: whoever names a noun alone is shown its verbs.
        raise
    except TyperException as exc:
        ctx = getattr(exc, "ctx", None)
        path = ctx.command_path if ctx else "halo-daemon"
        raise ConfigError(_told(exc, path), hint=f"{path} --help") from exc


def _told(exc: TyperException, path: str) -> str:
    match exc:
        case parser_errors.NoSuchOption():
            meant = did_you_mean(exc.option_name, _options_of(exc.ctx))
            return f"`{path}` has no option `{exc.option_name[:_SHOWN_CHARS]}`{meant}"
        case parser_errors.MissingParameter(param=param) if param is not None:
            return f"cannot run `{path}`: {param.param_type_name} {_name_of(param)} is missing"
        case parser_errors.BadParameter(param=param) if param is not None:
            return f"{_name_of(param)}: {_why_refused(exc, param)}"
        case parser_errors.BadOptionUsage():
            told = _as_clause(exc.message).removeprefix(f"option {exc.option_name!r} ")
            return f"{exc.option_name}: {told}"
    return f"cannot run `{path}`: {_as_clause(exc.format_message())}"


def _options_of(ctx: Any) -> list[str]:
    """Every option that may stand after the verb of *ctx*."""
    own = [
        option for param in ctx.command.params for option in (*param.opts, *param.secondary_opts)
    ]
    return [*(option for option in own if option.startswith("-")), *GLOBAL_FLAGS]


def _name_of(param: Any) -> str:
    """An option as it is written, an argument as the help names it."""
    if param.param_type_name == "option":
        return str(max(param.opts, key=len))
    return str(param.metavar or param.name.upper()).strip("[]")


def _why_refused(exc: parser_errors.BadParameter, param: Any) -> str:
    """What is wrong with a value, with the value where the parser kept it."""
    # The parser checks values with pydantic, whose error holds the value.
    mistakes: list[Any] = getattr(exc.__cause__, "errors", list)()
    if not mistakes:
        return _as_clause(exc.message)
    value = str(mistakes[0]["input"])
    refused = f"cannot take `{value[:_SHOWN_CHARS]}`"
    choices = [str(getattr(one, "value", one)) for one in param.type_descriptor.choices or ()]
    if choices:
        return f"{refused}: not one of {', '.join(choices)}{did_you_mean(value, choices)}"
    return f"{refused}: {_as_clause(mistakes[0]['msg'])}"


def _as_clause(sentence: str) -> str:
    """A sentence of the parser within one of ours."""
    clause = sentence.removeprefix("Value error, ").rstrip(".")
    return clause[:1].lower() + clause[1:]
