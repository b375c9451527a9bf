"""What goes to the terminal: data to stdout, everything else to stderr."""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, TextIO

from halo_daemon.analyzer.safe_text import without_escapes
from halo_daemon.cli.terminal import console, is_color_forced, is_quiet
from halo_daemon.errors import ConfigError, HaloError

# C0 and C1 controls, bidirectional overrides and isolates, zero-width characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)

STYLES = {"error": "bold red", "open": "yellow", "ok": "green"}
"""Words that stand out; the word itself says it where there is no colour."""

# Choose between forms of the character before them; terminals do not agree on the width.
_VARIATIONS = re.compile("[\ufe00-\ufe0f]")

_GAP = 1
_LEAST_WIDTH = 4
_LONG_WIDTH = 24
"""Texts of this width can be told from each other when they are cut to it."""

_PLACE = re.compile(r"(?P<file>[^:\n]+):(?P<line>\d+):\d+: ")
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def printable(text: str) -> str:
    """Strip what could drive a terminal or hide text; tabs and line ends stay."""
    return _UNPRINTABLE.sub("", without_escapes(text))


def one_line(text: str) -> str:
    """As `printable`, in one cell of one line."""
    return _VARIATIONS.sub("", printable(text)).replace("\t", " ").replace("\n", " ")


def print_error(error: HaloError, stream: TextIO | None = None) -> None:
    """Print an error and its remedy."""
    stream = stream or sys.stderr
    if isinstance(error, ConfigError) and len(error.diagnostics) > 1:
        for diagnostic in error.diagnostics:
            print(printable(diagnostic), file=stream)
        print(f"{len(error.diagnostics)} errors", file=stream)
    else:
        print(f"error: {printable(str(error))}", file=stream)
    if error.hint:
        print(f"\nTry: {printable(error.hint)}", file=stream)


def print_error_json(error: HaloError) -> None:
    """Print an error for the program that asked for JSON."""
    first = error.diagnostics[0] if isinstance(error, ConfigError) else ""
    place = _PLACE.match(first)
    document = {
        "code": _CAPITAL.sub("_", type(error).__name__.removesuffix("Error")).lower(),
        "message": str(error),
        "hint": error.hint or None,
        "file": place["file"] if place else None,
        "line": int(place["line"]) if place else None,
    }
    print(json.dumps({"error": document}), file=sys.stderr)


def print_note(text: str, *, hint: str = "") -> None:
    """Say something that is neither data nor an error; nothing where that is not wanted."""
    if is_quiet():
        return
    print(printable(text), file=sys.stderr)
    if hint:
        print(f"\nTry: {printable(hint)}", file=sys.stderr)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown *word*: which is meant, or nothing."""
    near = get_close_matches(word, list(known), n=1)
    return f" – did you mean `{near[0]}`?" if near else ""


def print_json(schema: str, document: Mapping[str, object]) -> None:
    """Print one document with its schema."""
    print(json.dumps({"schema": schema, **document}))


def select_fields(rows: Sequence[Mapping[str, object]], fields: str) -> list[dict[str, object]]:
    """
    Only the fields that are named, in their order; all of them for ``""``.

    Raises:
        ConfigError: No row can have such a field; what rows there are decides.
    """
    if not fields:
        return [dict(row) for row in rows]
    wanted = [field.strip() for field in fields.split(",")]
    known = list(rows[0]) if rows else wanted
    for field in wanted:
        if field not in known:
            raise ConfigError(
                f"cannot show the field `{field[:80]}`: there is none{did_you_mean(field, known)}",
                hint=f"the fields are {', '.join(known)}",
            )
    return [{field: row[field] for field in wanted} for row in rows]


class Shape(NamedTuple):
    """How rows are asked for."""

    as_json: bool
    fields: str


def print_rows(
    rows: Sequence[Mapping[str, object]],
    shape: Shape,
    table: Callable[[], None],
    *,
    schema: str,
    key: str,
    more: Mapping[str, object] | None = None,
) -> None:
    """
    Print rows as *shape* says; as the *table* that people read when it says nothing.

    Args:
        rows: Each with the same fields.
        shape: What was asked for.
        table: Prints the rows for people.
        schema: The document's, in JSON.
        key: Where the rows stand in it.
        more: What else stands in it.
    """
    if not shape.as_json and not shape.fields:
        table()
        return
    chosen = select_fields(rows, shape.fields)
    if shape.as_json:
        print_json(schema, {**(more or {}), key: chosen})
    elif chosen:
        print_table(list(chosen[0]), [[cell_text(one) for one in row.values()] for row in chosen])


def print_fields(document: Mapping[str, object], shape: Shape, *, schema: str) -> None:
    """Print one thing: a line for each field, or JSON."""
    (chosen,) = select_fields([document], shape.fields)
    if shape.as_json:
        print_json(schema, chosen)
        return
    width = max(map(len, chosen))
    for key, value in chosen.items():
        print(printable(f"{key:{width}}  {cell_text(value)}"))


def cell_text(value: object) -> str:
    """A value of a document as people read it; ``-`` for none."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_output(data: bytes, path: Path | None) -> None:
    """
    Write a document to *path*, or to stdout when it is None.

    A file appears whole or not at all: it is written beside its place and renamed.
    """
    if path is None:
        write_stdout([data])
        return
    write_file([data], path)


def write_stdout(parts: Iterable[bytes]) -> None:
    """Write text byte for byte to a pipe, and without what drives a terminal to a terminal."""
    is_terminal = sys.stdout.isatty()
    for part in parts:
        if is_terminal:
            sys.stdout.write(printable(part.decode("utf-8", errors="replace")))
        else:
            sys.stdout.buffer.write(part)
    sys.stdout.flush()


def write_file(parts: Iterable[bytes], path: Path) -> None:
    """
    Write a file beside its place and rename it: it appears whole or not at all.

    A device or a pipe is written to and stays what it is, and so does a link.

    Raises:
        ConfigError: *path* is a directory.
        HaloError: The disk refused.
    """
    if path.is_dir():
        raise ConfigError(f"cannot write {path}: it is a directory", hint="name a file with -o")
    try:
        if is_device(path):
            with path.open("wb") as file:
                file.writelines(parts)
        else:
            _replace_file(parts, path.resolve())
    except OSError as exc:
        raise HaloError(
            f"cannot write {path}: {exc.strerror}", hint="name a writable file with -o"
        ) from exc


def is_device(path: Path) -> bool:
    """Whether there is something that is neither a file nor a directory, such as `/dev/null`."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _replace_file(parts: Iterable[bytes], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            file.writelines(parts)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def has_display() -> bool:
    """Whether a browser that is opened would be seen."""
    return sys.platform == "darwin" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows: aligned under their headings on a terminal, tab-separated elsewhere.

    Cells are made printable; nothing is cut in a pipe.
    """
    cells = [[one_line(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        paint = _painted if is_color_forced() else str
        for row in cells:
            print("\t".join(map(paint, row)))
        return
    from rich.table import Table
    from rich.text import Text

    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for column, width in zip(columns, _widths(columns, cells, screen.width), strict=True):
        table.add_column(column, overflow="ellipsis", no_wrap=True, max_width=width)
    for row in cells:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in row))
    screen.print(table)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]], most: int) -> list[int]:
    """
    How wide each column may be, so that all fit on a line.

    The widest gives way first: a long id or name is cut before a figure is.
    """
    from rich.cells import cell_len

    needed = [
        max([_LEAST_WIDTH, *(cell_len(row[place]) for row in cells)])
        for place in range(len(columns))
    ]
    wanted = [max(width, cell_len(column)) for width, column in zip(needed, columns, strict=True)]
    over = sum(wanted) + _GAP * (len(wanted) - 1) - most
    is_uncut = over <= sum(wanted) - sum(needed)
    while over > 0 and max(wanted) > _LEAST_WIDTH:
        # Headings give way before values do, but not to spare a text that is cut all the same.
        give = is_uncut or max(wanted) <= _LONG_WIDTH
        widest = max(
            range(len(wanted)), key=lambda at: (give and wanted[at] > needed[at], wanted[at])
        )
        wanted[widest] -= 1
        over -= 1
    return wanted


def _painted(cell: str) -> str:
    return f"\x1b[31m{cell}\x1b[0m" if "red" in STYLES.get(cell, "") else cell
