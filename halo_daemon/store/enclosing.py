"""
Marks model calls that enclose other ones, whose tokens and cost are not counted again.

Only the whole trace tells them, so the mark stands in the index and in no line. A call
that encloses another has a child, which nearly none has: a trace that is new is looked
at only when a block holds such a child. One that grew is looked at again only when
something new hangs below a call without a mark, which the way up from it tells, so that
a trace of a million spans is not read whole for each few that are added.
"""

import sqlite3
from collections.abc import Iterable

from halo_daemon.proto.ancestry import spans_above
from halo_daemon.store import index_schema as sql
from halo_daemon.store.span_row import Absent
from halo_daemon.store.trace_gain import Gains, TraceGain

_Node = tuple[bytes, object]
"""A trace and one of its spans, stored or only named as a parent."""


def calls_with_children(gains: Gains) -> set[bytes]:
    """Traces that gain a model call that reports usage, and a child of it."""
    return {
        trace_id
        for trace_id, gain in gains.items()
        if gain.calls and not gain.calls.isdisjoint(gain.parent_ids)
    }


def grown_below_calls(
    connection: sqlite3.Connection, gains: Gains, grown: set[bytes]
) -> set[bytes]:
    """
    Those *grown* traces whose marks may change by what they gain.

    The rows are stored, none replaces another, and `structure.add_structure` has not yet
    counted them. A new span matters when it is a call, or when spans that came before it
    hang on it, and then only to calls without a mark above it, or when it closes a cycle.
    """
    return {
        trace_id
        for trace_id in grown
        if _has_grown_below_call(connection, trace_id, gains[trace_id])
    }


def _has_grown_below_call(connection: sqlite3.Connection, trace_id: bytes, gain: TraceGain) -> bool:
    parents = connection.execute(sql.MISSING_PARENTS_OF_TRACE, (trace_id,))
    orphaned = {parent_id for (parent_id,) in parents}
    walked: set[_Node] = set()
    for span_id, parent_id in zip(gain.span_ids, gain.parent_ids, strict=True):
        is_call, is_late = span_id in gain.calls, span_id in orphaned
        if (is_call and is_late) or (
            (is_call or is_late)
            and _may_mark_above(connection, (trace_id, span_id), parent_id, walked)
        ):
            return True
    return False


def _may_mark_above(
    connection: sqlite3.Connection, span: _Node, parent_id: bytes | Absent, walked: set[_Node]
) -> bool:
    """Whether a call without a mark is above a span, or a cycle; *walked* is known to be neither."""
    trace_id, span_id = span
    way: set[object] = {span_id}
    above: object = None if isinstance(parent_id, int) else parent_id
    while above is not None and (trace_id, above) not in walked:
        if above in way:
            return True
        way.add(above)
        stored = connection.execute(sql.FIND_CALL, (trace_id, above)).fetchone()
        if stored is None:
            break
        above, is_call, encloses = stored
        if is_call and not encloses:
            return True
    way.discard(span_id)
    walked.update((trace_id, passed) for passed in way)
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
        calls = [span_id for _, span_id, _, is_call, _ in spans if is_call]
        above = spans_above({span_id: parent for _, span_id, parent, _, _ in spans}, calls)
        wrong = [
            (not encloses, row)
            for row, span_id, _, is_call, encloses in spans
            if bool(encloses) != bool(is_call and span_id in above)
        ]
        connection.executemany("UPDATE spans SET encloses = ? WHERE id = ?", wrong)
        if wrong:
            changed.add(trace_id)
    return changed
