"""
Running totals of a day's traces, so that counting a whole day costs no look at each.

They change in the transaction that changes the traces: what the traces of a block
add up to before it is taken away, what they add up to after it is added.
"""

import json
import sqlite3
from collections.abc import Collection
from typing import NamedTuple

COLUMNS = (
    "traces", "spans", "duplicates", "error_traces", "signal_traces", "error_spans",
    "tool_errors", "without_agent", "missing_parents", "skewed_spans", "open_traces",
    "input_tokens", "output_tokens", "cost_usd", "bytes",
)  # fmt: skip

SUMS = """
    count(*), coalesce(sum(spans), 0), coalesce(sum(duplicates), 0),
    coalesce(sum(error_spans > 0), 0), coalesce(sum(error_spans + derived_errors > 0), 0),
    coalesce(sum(error_spans), 0), coalesce(sum(tool_errors), 0),
    coalesce(sum(without_agent), 0), coalesce(sum(missing_parents), 0),
    coalesce(sum(skewed_spans), 0), coalesce(sum(ended_roots = 0), 0),
    coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
    coalesce(sum(cost_usd), 0.0), coalesce(sum(bytes), 0)
"""
"""Over rows ``t`` of ``traces``, in the order of `COLUMNS`."""

SCHEMA = f"""
CREATE TABLE day_totals ({", ".join(f"{name} NOT NULL DEFAULT 0" for name in COLUMNS)},
    first_start_ns INTEGER, last_start_ns INTEGER,
    first_received_ns INTEGER, last_received_ns INTEGER);
INSERT INTO day_totals DEFAULT VALUES;
"""

_OF_TRACES = (
    f"SELECT {SUMS}, min(t.first_start_ns), max(t.last_start_ns), min(t.first_received_ns),"  # noqa: S608 -- constants
    " max(t.last_received_ns) FROM traces t WHERE t.trace_id IN"
    " (SELECT key_of_hex(value) FROM json_each(?))"
)
_ADD = (
    "UPDATE day_totals SET "  # noqa: S608 -- constants
    + ", ".join(f"{name} = {name} + ?" for name in COLUMNS)
)
_WIDEN = """
UPDATE day_totals SET
    first_start_ns = min(coalesce(first_start_ns, :first_start), :first_start),
    last_start_ns = max(coalesce(last_start_ns, :last_start), :last_start),
    first_received_ns = min(coalesce(first_received_ns, :first_received), :first_received),
    last_received_ns = max(coalesce(last_received_ns, :last_received), :last_received)
"""


class Bounds(NamedTuple):
    """Between which moments a day's traces lie; replaced versions may make them wider."""

    first_start_ns: int
    last_start_ns: int
    first_received_ns: int
    last_received_ns: int


def read_bounds(connection: sqlite3.Connection) -> Bounds | None:
    """The bounds; None for a day without traces."""
    row = connection.execute(
        "SELECT first_start_ns, last_start_ns, first_received_ns, last_received_ns FROM day_totals"
    ).fetchone()
    return None if row[0] is None else Bounds(*row)


def _widen_bounds(connection: sqlite3.Connection, bounds: Bounds) -> None:
    connection.execute(
        _WIDEN,
        {
            "first_start": bounds.first_start_ns,
            "last_start": bounds.last_start_ns,
            "first_received": bounds.first_received_ns,
            "last_received": bounds.last_received_ns,
        },
    )


def read_totals(connection: sqlite3.Connection) -> tuple[float, ...]:
    """All traces of the day, in the order of `COLUMNS`."""
    query = f"SELECT {', '.join(COLUMNS)} FROM day_totals"  # noqa: S608 -- constants
    return tuple(connection.execute(query).fetchone())


class Sums(NamedTuple):
    """What some traces add up to."""

    figures: tuple[float, ...]
    """In the order of `COLUMNS`."""
    bounds: Bounds | None
    """Between which moments they lie; None without a trace."""


def sum_of(connection: sqlite3.Connection, trace_ids: Collection[bytes]) -> Sums:
    """What these traces add up to now."""
    packed = json.dumps([trace_id.hex() for trace_id in trace_ids])
    *figures, first_ns, last_ns, received_ns, until_ns = connection.execute(
        _OF_TRACES, (packed,)
    ).fetchone()
    bounds = None if first_ns is None else Bounds(first_ns, last_ns, received_ns, until_ns)
    return Sums(tuple(figures), bounds)


def add_change(connection: sqlite3.Connection, before: Sums, after: Sums) -> None:
    """Replace what some traces added up to *before* by what they do *after*."""
    change = [new - old for old, new in zip(before.figures, after.figures, strict=True)]
    connection.execute(_ADD, change)
    if after.bounds is not None:
        _widen_bounds(connection, after.bounds)
