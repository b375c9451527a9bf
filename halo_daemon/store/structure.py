"""
What a block of new spans changes in the trees of their traces.

Two counts are kept of each trace: parents that spans name and nobody sent, and
spans that begin before their parent does, which only a skewed clock explains.
Each block costs work for its own spans: most have their parent in the same
block, and only the others are looked up.
"""

import sqlite3
from collections.abc import Iterable

from halo_daemon.store import index_schema as sql
from halo_daemon.store.span_row import SpanRow

_Node = tuple[bytes, bytes | None, int]
"""A new span, its parent and its start; a plain tuple, because there is one for each span."""


def add_structure(
    connection: sqlite3.Connection, rows: Iterable[SpanRow], *, first_id: int, recounted: set[bytes]
) -> None:
    """
    Count for new *rows*, which are stored with ids from *first_id* on.

    Traces in *recounted*, those with a re-delivered span, are counted from all their spans.
    """
    traces: dict[bytes, list[_Node]] = {}
    for _, trace_id, span_id, parent_id, _, _, _, start_ns, *_ in rows:
        traces.setdefault(trace_id, []).append((span_id, parent_id, start_ns))
    for trace_id, nodes in traces.items():
        if trace_id not in recounted:
            _add(connection, trace_id, nodes, first_id)
    for trace_id in sorted(recounted):
        for statement in (
            sql.FORGET_MISSING_PARENTS,
            sql.RECOUNT_MISSING_PARENTS,
            sql.RECOUNT_STRUCTURE,
        ):
            connection.execute(statement, {"trace_id": trace_id})


def _add(
    connection: sqlite3.Connection, trace_id: bytes, nodes: list[_Node], first_id: int
) -> None:
    execute = connection.execute
    starts = {span_id: start_ns for span_id, _, start_ns in nodes}
    skewed = changes = 0
    for _, parent_id, start_ns in nodes:
        if parent_id is None:
            continue
        parent_start_ns = starts.get(parent_id)
        if parent_start_ns is None:
            found = execute(sql.FIND_START, (trace_id, parent_id)).fetchone()
            if found is None:
                changes += execute(sql.NOTE_MISSING_PARENT, (trace_id, parent_id)).rowcount
                continue
            (parent_start_ns,) = found
        skewed += start_ns < parent_start_ns
    if execute(sql.HAS_MISSING_PARENTS, (trace_id,)).fetchone() is not None:
        for span_id, start_ns in starts.items():
            if execute(sql.FORGET_MISSING_PARENT, (trace_id, span_id)).rowcount:
                changes += 1
                early = (trace_id, span_id, start_ns, first_id)
                skewed += execute(sql.COUNT_EARLY_CHILDREN, early).fetchone()[0]
    if skewed or changes:
        execute(sql.SET_STRUCTURE, (skewed, trace_id))
