"""
Marks model calls that enclose other ones, whose tokens and cost are not counted again.

Only the whole trace tells them, so the mark stands in the index and in no line. A call
that encloses another has a child, which nearly none has: a trace that is new is looked
at only when a block holds such a child; one that grew is looked at again.
"""

import sqlite3
from collections.abc import Iterable

from halo_daemon.proto.semconv import spans_above
from halo_daemon.store import index_schema as sql
from halo_daemon.store.span_row import SPAN_COLUMNS, SpanRow

_SPAN, _PARENT, _INPUT, _OUTPUT, _COST = (
    SPAN_COLUMNS.index(name)
    for name in ("span_id", "parent_id", "input_tokens", "output_tokens", "cost_usd")
)


def calls_with_children(rows: Iterable[SpanRow]) -> set[bytes]:
    """Traces with a model call that reports usage and has a child among *rows*."""
    calls = {
        (row[1], row[_SPAN])
        for row in rows
        if row[_INPUT] is not None or row[_OUTPUT] is not None or row[_COST] is not None
    }
    # The second item of a row is its trace id.
    return {row[1] for row in rows if (row[1], row[_PARENT]) in calls} if calls else set()


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
