"""One trace for people: a tree on a terminal, one line for each span in a pipe."""

import sys
from typing import TYPE_CHECKING

from halo_daemon.cli import formats
from halo_daemon.cli.output import STYLES, one_line, print_note, print_table
from halo_daemon.cli.terminal import console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

    from halo_daemon.proto.span import Span
    from halo_daemon.proto.trace import Trace
    from halo_daemon.store.views import OutlineEntry

_COLUMNS = ("span", "parent", "kind", "name", "status", "started", "duration", "tokens")
_MAX_ROWS = 1_000
"""Rows of a tree on a terminal; deeper spans are folded into the last that is shown."""

_LEAST_NAME = 12
_ID_CHARS = 8
_MEDIUM = 60
_WIDE = 90


def print_trace(trace: "Trace") -> None:
    """Print the spans of a trace, parents before children, siblings by start."""
    from halo_daemon.store.views import fit, outline

    spans = {span.span_id: span for span in trace.spans}
    entries = outline(trace)
    if sys.stdout.isatty():
        _print_tree(trace, fit(entries, max_entries=_MAX_ROWS), spans)
        return
    print_table(_COLUMNS, [_cells(entry, spans[entry.span_id]) for entry in entries])


def _cells(entry: "OutlineEntry", span: "Span") -> tuple[str, ...]:
    return (
        entry.span_id,
        entry.parent_span_id or "-",
        entry.observation_kind,
        entry.name,
        _status(entry, span),
        formats.local_time(entry.start_unix_ns),
        formats.duration(entry.duration_ms) if span.is_complete else "-",
        str(_tokens(span)) if _tokens(span) else "-",
    )


def _status(entry: "OutlineEntry", span: "Span") -> str:
    if entry.has_error:
        return "error"
    return "ok" if span.is_complete else "open"


def _tokens(span: "Span") -> int:
    return (span.input_tokens or 0) + (span.output_tokens or 0)


def _print_tree(trace: "Trace", entries: "list[OutlineEntry]", spans: "Mapping[str, Span]") -> None:
    from rich.table import Table

    screen = console()
    errors = sum(entry.has_error for entry in entries)
    head = (
        trace.trace_id,
        formats.local_time(trace.start_unix_ns),
        f"{len(trace.spans)} spans",
        f"{errors} with errors" if errors else "no errors",
    )
    screen.print("  ".join(head), style="bold", soft_wrap=True)
    rows = [
        (_label(lines, entry), *_figures(entry, spans[entry.span_id]))
        for lines, entry in zip(_branches(entries), entries, strict=True)
    ]
    shown = 1 + (3 if screen.width >= _MEDIUM else 2) + (screen.width >= _WIDE)
    figures = [max(row[place].cell_len for row in rows) for place in range(1, shown)]
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    most = max(_LEAST_NAME, screen.width - sum(figures) - len(figures) - 1)
    table.add_column(overflow="ellipsis", no_wrap=True, max_width=most)
    for width in figures:
        table.add_column(no_wrap=True, min_width=width)
    for row in rows:
        table.add_row(*row[:shown])
    screen.print(table)
    folded = sum(entry.folded_spans for entry in entries)
    if folded:
        print_note(f"{folded} deeper spans are folded", hint="see all in a pipe, or with --json")


def _figures(entry: "OutlineEntry", span: "Span") -> "tuple[Text, ...]":
    """Status, duration, tokens and id; the first that fit are shown."""
    from rich.text import Text

    status, tokens = _status(entry, span), _tokens(span)
    length = formats.duration(entry.duration_ms) if span.is_complete else ""
    return (
        Text(status, style=STYLES[status]),
        Text(length, justify="right"),
        Text(f"{tokens:,} tok" if tokens else "", justify="right"),
        Text(entry.span_id[:_ID_CHARS], style="dim"),
    )


def _label(lines: str, entry: "OutlineEntry") -> "Text":
    """The branch, the kind, the name, and what the name leaves out."""
    from rich.text import Text

    what = entry.tool_name or entry.model_name
    label = Text()
    label.append(lines, style="dim")
    label.append(f"{entry.observation_kind} ", style="cyan")
    label.append(one_line(entry.name), style="bold red" if entry.has_error else "")
    if what and what not in entry.name:
        label.append(f" {one_line(what)}", style="dim")
    if entry.folded_spans:
        label.append(f" (+{entry.folded_spans} spans)", style="dim")
    return label


def _branches(entries: "list[OutlineEntry]") -> list[str]:
    """The lines that lead to each entry of an outline, from its depths alone."""
    found: list[str] = []
    # From below: at which depths a sibling follows.
    follows: set[int] = set()
    for entry in reversed(entries):
        follows = {depth for depth in follows if depth <= entry.depth}
        stems = ["│ " if depth in follows else "  " for depth in range(1, entry.depth)]
        if entry.depth:
            stems.append("├ " if entry.depth in follows else "└ ")
        found.append("".join(stems))
        follows.add(entry.depth)
    return found[::-1]
