"""
How many spans and traces of an index have some shapes, by the counts kept with the shapes.

The counts are of a whole index, so they answer for windows that hold all of it. What
traces that another index answers for add to them is taken away again.
"""

from math import isqrt

from halo_daemon.store import day_totals
from halo_daemon.store.filters import SpanFilter
from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.span_sql import Condition, shape_condition

_TRACES = day_totals.COLUMNS.index("traces")
_ELSEWHERE_TOO = "trace_id IN (SELECT trace_id FROM temp.shared)"


def count_spans(part: SpanIndex, wanted: SpanFilter) -> int:
    """Spans that *wanted* means, by their shape alone, of traces that *part* answers for."""
    condition = Condition()
    shapes = _shapes(wanted, condition)
    whole = f"SELECT coalesce(sum(spans), 0) FROM shapes WHERE id IN {shapes}"  # noqa: S608 -- marks only
    total = _one(part, whole, condition)
    if not part.has_shared:
        return total
    # The sign keeps the planner from walking all spans of the shapes.
    elsewhere = f"superseded = 0 AND {_ELSEWHERE_TOO} AND +shape IN {shapes}"
    return total - _one(part, f"SELECT count(*) FROM spans WHERE {elsewhere}", condition)  # noqa: S608 -- marks only


def count_traces(part: SpanIndex, wanted: SpanFilter) -> int:
    """Traces with a span that *wanted* means, by its shape alone, that *part* answers for."""
    condition = Condition()
    shapes = _shapes(wanted, condition)
    number, total = _sizes(part, shapes, condition)
    # A trace may have several of the shapes: then their counts do not add up.
    distinct = f"SELECT count(DISTINCT trace_id) FROM trace_shapes WHERE shape IN {shapes}"  # noqa: S608 -- marks only
    if number > 1:
        total = _one(part, distinct, condition)
    if total and part.has_shared:
        total -= _one(part, f"{distinct} AND {_ELSEWHERE_TOO}", condition)
    return total


def are_many(part: SpanIndex, wanted: SpanFilter, *, first: int) -> bool:
    """
    Whether the *first* traces with such a span are found sooner by a walk over all traces
    in their order than by a look at each that has one.
    """
    condition = Condition()
    number, having = _sizes(part, _shapes(wanted, condition), condition)
    traces = day_totals.read_totals(part.connection)[_TRACES]
    # A walk meets one in each `traces / having`, and looks for every shape at each step.
    return having > isqrt(int(traces) * first * number)


def _shapes(wanted: SpanFilter, condition: Condition) -> str:
    return f"(SELECT id FROM shapes WHERE {shape_condition(wanted, condition) or '1'})"  # noqa: S608 -- marks only


def _sizes(part: SpanIndex, shapes: str, condition: Condition) -> tuple[int, int]:
    """How many shapes, and how many traces they have, one by one."""
    query = f"SELECT count(*), coalesce(sum(traces), 0) FROM shapes WHERE id IN {shapes}"  # noqa: S608 -- marks only
    number, traces = part.connection.execute(query, condition.parameters).fetchone()
    return number, traces


def _one(part: SpanIndex, query: str, condition: Condition) -> int:
    (count,) = part.connection.execute(query, condition.parameters).fetchone()
    return int(count)
