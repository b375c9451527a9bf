"""Which traces of an index a window means, as conditions on its tables."""

from halo_daemon.store.span_index import SpanIndex
from halo_daemon.store.trace_reader import Window, WindowBy

_MIN_NS, _MAX_NS = -(2**63), 2**63 - 1

NOT_SHARED = "t.trace_id NOT IN (SELECT trace_id FROM temp.shared)"
SHARED = "t.trace_id IN (SELECT trace_id FROM temp.shared)"

_BY_RECEIPT = """
    t.first_received_ns < :to_ns AND t.last_received_ns >= :from_ns
    AND (t.first_received_ns >= :from_ns OR t.last_received_ns < :to_ns
         OR EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id
                    AND s.received_ns >= :from_ns AND s.received_ns < :to_ns))
"""

_BY_START = """
    t.first_start_ns < :to_ns AND t.last_start_ns >= :from_ns
    AND (t.first_start_ns >= :from_ns OR t.last_start_ns < :to_ns
         OR EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id AND s.superseded = 0
                    AND s.start_ns >= :from_ns AND s.start_ns < :to_ns))
"""


def window_condition(window: Window) -> tuple[str, dict[str, float]]:
    """The condition on a row ``t`` of ``traces``, and its parameters."""
    condition = _BY_START if window.by is WindowBy.START else _BY_RECEIPT
    to_ns = max(window.to_unix_ns, _MIN_NS)
    return condition, {
        "from_ns": min(max(window.from_unix_ns, _MIN_NS), _MAX_NS),
        # Rows have the latest time for what is later still: a window beyond it holds them too.
        "to_ns": to_ns if to_ns <= _MAX_NS else float(_MAX_NS),
    }


def traces_in(part: SpanIndex, window: Window) -> tuple[str, dict[str, float]]:
    """The condition on ``t`` for traces in *window*, whether *part* answers for them or not."""
    if part.is_outside(window):
        return "0", {}
    return ("1", {}) if part.is_within(window) else window_condition(window)


def traces_of(part: SpanIndex, window: Window) -> tuple[str, dict[str, float]]:
    """The same for those that *part* answers for."""
    condition, parameters = traces_in(part, window)
    return (f"{condition} AND {NOT_SHARED}" if part.has_shared else condition), parameters


def spans_of(part: SpanIndex, window: Window) -> tuple[str, dict[str, float]]:
    """The condition on a row ``s`` of ``spans``: of the latter, the versions that count."""
    in_window, parameters = traces_in(part, window)
    if parameters:
        # Otherwise no trace needs a look to tell.
        in_window = f"EXISTS (SELECT 1 FROM traces t WHERE t.trace_id = s.trace_id AND {in_window})"  # noqa: S608 -- constants
    if part.has_shared:
        in_window += " AND s.trace_id NOT IN (SELECT trace_id FROM temp.shared)"
    return f"s.superseded = 0 AND {in_window}", parameters
