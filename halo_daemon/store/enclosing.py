"""
Marks model calls that enclose other ones, whose tokens and cost are not counted again.

Only the whole trace tells them, so the mark stands in the index and in no line. A call
that encloses another has a child, which nearly none has: a trace that is new is looked
at only when a block holds such a child. One that grew is looked at again only when
something new hangs below a call without a mark, which the way up from it tells, so that
a trace of a million spans is not read whole for each few that are added.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from halo_daemon.proto.ancestry import spans_above
from halo_daemon.store import index_schema as sql
from halo_daemon.store.span_row import SPAN_COLUMNS, SpanRow, TraceRows

_SPAN, _PARENT = (SPAN_COLUMNS.index(name) for name in ("span_id", "parent_id"))
_USAGE = slice(SPAN_COLUMNS.index("input_tokens"), SPAN_COLUMNS.index("cost_usd") + 1)
_NO_USAGE: object = (None, None, None)

_Node = tuple[bytes, object]
"""A trace and one of its spans, stored or only named as a parent."""


def calls_with_children(traces: TraceRows) -> set[bytes]:
    """Traces with a model call that reports usage and has a child among the rows of *traces*."""
    found: set[bytes] = set()
    for trace_id, rows in traces.items():
        calls = {row[_SPAN] for row in rows if row[_USAGE] != _NO_USAGE}
        if calls and not calls.isdisjoint([row[_PARENT] for row in rows]):
            found.add(trace_id)
    return found


def grown_below_calls(
    connection: sqlite3.Connection, traces: TraceRows, grown: set[bytes]
) -> set[bytes]:
    """
    Those *grown* traces whose marks the new rows of *traces* may change.

    The rows are stored, none replaces another, and `structure.add_structure` has not yet
    counted them. A new span matters when it is a call, or when spans that came before it
    hang on it, and then only to calls without a mark above it, or when it closes a cycle.
    """
    return {
        trace_id
        for trace_id in grown
        if _has_grown_below_call(connection, trace_id, traces[trace_id])
    }


def _has_grown_below_call(
    connection: sqlite3.Connection, trace_id: bytes, rows: Sequence[SpanRow]
) -> bool:
    parents = connection.execute(sql.MISSING_PARENTS_OF_TRACE, (trace_id,))
    orphaned = {parent_id for (parent_id,) in parents}
    walked: set[_Node] = set()
    for row in rows:
        is_call, is_late = row[_USAGE] != _NO_USAGE, row[_SPAN] in orphaned
        if (is_call and is_late) or (
            (is_call or is_late) and _may_mark_above(connection, row, walked)
        ):
            return True
    return False


def _may_mark_above(connection: sqlite3.Connection, row: SpanRow, walked: set[_Node]) -> bool:
    """Whether a call without a mark is above a span, or a cycle; *walked* is known to be neither."""
    trace_id, span_id, parent_id = row[1], row[_SPAN], row[_PARENT]
    way: set[object] = {span_id}
    while parent_id is not None and (trace_id, parent_id) not in walked:
        if parent_id in way:
            return True
        way.add(parent_id)
        stored = connection.execute(sql.FIND_CALL, (trace_id, parent_id)).fetchone()
        if stored is None:
            break
        parent_id, has_usage, encloses = stored
        if has_usage and not encloses:
            return True
    way.discard(span_id)
    walked.update((trace_id, above) for above in way)
    return False


def mark_enclosing(connection: sqlite3.Connection, trace_ids: Iterable[bytes]) -> set[bytes]:
    """
    Set the marks of these traces as their spans are now.

    Returns:
        The traces of which a mark changed.
    """
    changed: set[bytes] = set()
    for trace_id in trace_ids:
        spans = connection.execute(sql.CALLS_OF_TRACE, (trace_id,)).fetchall()
        calls = [span_id for _, span_id, _, has_usage, _ in spans if has_usage]
        above = spans_above({span_id: parent for _, span_id, parent, _, _ in spans}, calls)
        wrong = [
            (not encloses, row)
            for row, span_id, _, has_usage, encloses in spans
            if bool(encloses) != bool(has_usage and span_id in above)
        ]
        connection.executemany("UPDATE spans SET encloses = ? WHERE id = ?", wrong)
        if wrong:
            changed.add(trace_id)
    return changed
