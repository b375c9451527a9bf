"""
What a block of new spans changes in the trees of their traces.

Two counts are kept of each trace: parents that spans name and nobody sent, and
spans that begin before their parent does, which only a skewed clock explains.
Each block costs work for its own spans: most have their parent in the same
block, and only the others are looked up.
"""

import sqlite3
from collections.abc import Collection, Mapping

from halo_daemon.store import index_schema as sql
from halo_daemon.store.trace_gain import Gains, TraceGain

_LOOKS_FOR_A_ROW = 8
"""Rows of missing parents that are read in the time of one deletion."""


def add_structure(
    connection: sqlite3.Connection,
    gains: Gains,
    *,
    first_id: int,
    new: Collection[bytes],
    recounted: Collection[bytes],
) -> None:
    """
    Count for what traces gain in rows that are stored, with ids from *first_id* on.

    Of *new* traces nothing was stored before, so that nothing is looked up. Those in
    *recounted*, with a re-delivered span, are counted from all their spans.
    """
    for trace_id, gain in gains.items():
        if trace_id not in recounted:
            _add(connection, trace_id, gain, None if trace_id in new else first_id)
    for trace_id in sorted(recounted):
        for statement in (
            sql.FORGET_MISSING_PARENTS,
            sql.RECOUNT_MISSING_PARENTS,
            sql.RECOUNT_STRUCTURE,
        ):
            connection.execute(statement, {"trace_id": trace_id})


def _add(
    connection: sqlite3.Connection, trace_id: bytes, gain: TraceGain, first_id: int | None
) -> None:
    """Count for one trace; None for *first_id* when it had no rows before."""
    execute = connection.execute
    starts = dict(zip(gain.span_ids, gain.starts_ns, strict=True))
    # Of parents in other blocks: many children may have the same one.
    stored: dict[bytes, int | None] = {}
    skewed = changes = 0
    for parent_id, start_ns in zip(gain.parent_ids, gain.starts_ns, strict=True):
        if isinstance(parent_id, int):
            continue
        parent_start_ns = starts.get(parent_id)
        if parent_start_ns is None:
            if parent_id not in stored:
                key = (trace_id, parent_id)
                found = execute(sql.FIND_START, key).fetchone() if first_id is not None else None
                stored[parent_id] = found[0] if found else None
                if found is None:
                    changes += execute(sql.NOTE_MISSING_PARENT, key).rowcount
            parent_start_ns = stored[parent_id]
        if parent_start_ns is not None:
            skewed += start_ns < parent_start_ns
    for span_id in _perhaps_missed(connection, trace_id, starts) if first_id is not None else ():
        if execute(sql.FORGET_MISSING_PARENT, (trace_id, span_id)).rowcount:
            changes += 1
            early = (trace_id, span_id, starts[span_id], first_id)
            skewed += execute(sql.COUNT_EARLY_CHILDREN, early).fetchone()[0]
    if skewed or changes:
        execute(sql.SET_STRUCTURE, (skewed, trace_id))


def _perhaps_missed(
    connection: sqlite3.Connection, trace_id: bytes, starts: Mapping[bytes, int]
) -> Collection[bytes]:
    """New spans of a trace that may have been missed as parents; all of them in a pinch."""
    missing = connection.execute(sql.MISSING_PARENTS_OF_TRACE, (trace_id,)).fetchmany(
        _LOOKS_FOR_A_ROW * len(starts)
    )
    if len(missing) == _LOOKS_FOR_A_ROW * len(starts):
        return starts.keys()
    return [parent_id for (parent_id,) in missing if parent_id in starts]
