"""Text cut into lines by the columns it takes on a screen, not by its characters."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len

_GLUE: Final = "\N{NO-BREAK SPACE}"
_WIDE: Final = frozenset("WF")
_CUT: Final = re.compile(r"[^\x00-\u10ff]|[\x00-\u10ff]+")
"""Characters that may be wide, one by one, and what stands between them."""


def columns(text: str) -> int:
    """How many columns *text* takes: two for each wide character, none for combining ones."""
    return cell_len(text)


def padded(text: str, width: int) -> str:
    """*text* with spaces up to *width* columns; as it is where it is wider."""
    return text + " " * (width - columns(text))


def wrapped(text: str, width: int, *, first: str = "", then: str = "") -> list[str]:
    """
    Cut *text* into lines of at most *width* columns; one empty line's worth for no words.

    A line ends between words, or before a wide character, as such scripts are set; a word
    that is longer than a line is not cut. A sign stays with its figure.

    Args:
        text: Without line ends.
        width: Columns.
        first: Stands before the first line, and counts.
        then: Stands before the others.
    """
    lines: list[str] = []
    line, is_empty = first, True
    for gap, word in _words(text.replace(" %", f"{_GLUE}%").replace(" ·", f"{_GLUE}·")):
        space = "" if is_empty else gap
        if not is_empty and columns(line) + len(space) + columns(word) > width:
            lines.append(line)
            line, space = then, ""
        line += space + word
        is_empty = False
    if not is_empty:
        lines.append(line)
    return [one.replace(_GLUE, " ") for one in lines]


def _words(text: str) -> Iterator[tuple[str, str]]:
    """What may stand at the beginning of a line, each with the space before it."""
    for word in filter(None, re.split(r"[ \t\r\n]+", text)):
        gap, part = " ", ""
        for piece in _CUT.findall(word):
            # A line may end before a wide character, not before one that joins the last.
            if part and unicodedata.east_asian_width(piece[0]) in _WIDE:
                yield gap, part
                gap, part = "", ""
            part += piece
        yield gap, part
