"""What the terminal can show: colour, characters, width; decided once, before anything is printed."""

import codecs
import locale
import os
import shutil
import sys
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

_ASCII: Final = {
    "✓": "+",
    "✗": "x",
    "·": "-",
    "…": "~",
    "–": "-",
    "—": "-",
    "≈": "~",
    "→": ">",
    "•": "*",
    "─": "-",
    "━": "-",
    "│": "|",
    "├": "|",
    "└": "`",
    "┃": "|",
    "┣": "|",
    "┗": "`",
    **dict.fromkeys("▁▂▃▄▅▆▇█", "#"),
}
"""One character each, so that what was aligned stays aligned."""

_FALLBACK: Final = "halo_ascii"
_TAKES_VALUE: Final = "--color"
GLOBAL_FLAGS: Final = frozenset({"--utc", "-q", "--quiet", "-v", "--verbose", "--yes"})
"""What is heard before and after every verb, and takes no value."""
_WORDINESS: Final = "HALO_DAEMON_WORDINESS"


class ColorWhen(StrEnum):
    """When output is coloured."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Wordiness(StrEnum):
    """How much is said beside the data."""

    QUIET = "quiet"
    """Errors only."""
    VERBOSE = "verbose"
    """What happens on the way, and where an error came from."""


def hoist_global_options(arguments: Sequence[str]) -> list[str]:
    """Put ``--color`` and the global flags before the verb, wherever they stand before ``--``."""
    first: list[str] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument == "--":
            rest += [argument, *queue]
            break
        if argument in GLOBAL_FLAGS or argument.startswith(f"{_TAKES_VALUE}="):
            first.append(argument)
        elif argument == _TAKES_VALUE and queue and queue[0] != "--":
            first += [argument, queue.pop(0)]
        else:
            rest.append(argument)
    return [*first, *rest]


def use_color(when: ColorWhen) -> None:
    """Let the option win over ``NO_COLOR`` and ``FORCE_COLOR``, for child processes too."""
    if when is ColorWhen.AUTO:
        return
    for name in ("NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)
    os.environ["FORCE_COLOR" if when is ColorWhen.ALWAYS else "NO_COLOR"] = "1"


def use_wordiness(wordiness: Wordiness) -> None:
    """Say less or more from here on, in child processes too."""
    os.environ[_WORDINESS] = wordiness.value


def is_quiet() -> bool:
    """Whether only data and errors are wanted."""
    return os.environ.get(_WORDINESS) == Wordiness.QUIET


def is_verbose() -> bool:
    """Whether more is wanted than data, notes and errors."""
    return os.environ.get(_WORDINESS) == Wordiness.VERBOSE


def width_columns() -> int:
    """How wide the terminal is, or what ``COLUMNS`` says; 80 where nothing tells."""
    return shutil.get_terminal_size(fallback=(80, 24)).columns


def use_utc() -> None:
    """Make UTC the local zone: of times that are shown and of those that are read."""
    os.environ["TZ"] = "UTC"
    time.tzset()


def make_streams_safe() -> None:
    """
    Let stdout and stderr take every character.

    A terminal of a locale without UTF-8 gets ASCII; a pipe gets UTF-8 where Python
    gives it one, and escapes instead of an error where it does not.
    """
    codecs.register_error(_FALLBACK, _to_ascii)
    is_utf8 = locale.getencoding().lower().replace("-", "") == "utf8"
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        if stream.isatty() and not is_utf8:
            reconfigure(encoding="ascii", errors=_FALLBACK)
        elif stream.encoding.lower().replace("-", "") != "utf8":
            reconfigure(errors=_FALLBACK)
        else:
            # Lone surrogates come from file names that are not UTF-8.
            reconfigure(errors="backslashreplace")


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    shown = "".join(_ASCII.get(one) or ascii(one)[1:-1] for one in wrong)
    return shown, error.end


def console() -> "Console":
    """Where tables and trees for people go: stdout, coloured as the environment says."""
    from rich.console import Console

    # Values are data: nothing in them is markup, an emoji or a number to paint.
    is_plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        highlight=False, markup=False, emoji=False, color_system=None if is_plain else "auto"
    )


def is_color_forced() -> bool:
    """Whether colour was asked for where stdout is no terminal."""
    return bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR")
