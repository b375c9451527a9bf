"""What goes to the terminal: data to stdout, everything else to stderr."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from halo_daemon.errors import ConfigError, HaloError

# C0 and C1 controls, bidirectional overrides and isolates, zero-width characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)


def printable(text: str) -> str:
    """Strip what could drive a terminal or hide text; tabs and line ends stay."""
    return _UNPRINTABLE.sub("", text)


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


def print_note(text: str, *, hint: str = "") -> None:
    """Say something that is neither data nor an error."""
    print(printable(text), file=sys.stderr)
    if hint:
        print(f"\nTry: {printable(hint)}", file=sys.stderr)


def print_json(schema: str, document: Mapping[str, object]) -> None:
    """Print one document with its schema."""
    print(json.dumps({"schema": schema, **document}))


def write_output(data: bytes, path: Path | None) -> None:
    """
    Write a document to *path*, or to stdout when it is None.

    A file appears whole or not at all: it is written beside its place and renamed.
    """
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise HaloError(
            f"cannot write {path}: {exc.strerror}", hint="name a writable file with -o"
        ) from exc


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows: aligned under their headings on a terminal, tab-separated elsewhere.

    Cells are made printable; nothing is cut in a pipe.
    """
    cells = [
        [printable(cell).replace("\t", " ").replace("\n", " ") for cell in row] for row in rows
    ]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="ellipsis", no_wrap=True)
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
