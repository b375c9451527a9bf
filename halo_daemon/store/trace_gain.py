"""
What new rows add to their traces; pure.

Hot path: a row is read while it is still in a core's cache, and not kept. Reading all rows
of a block once more, by a statement or here, takes twice the time, and so many tuples
that stay make work for the garbage collector.
"""

from collections.abc import Iterable, Mapping

from halo_daemon.store.span_row import (
    ABSENT,
    DERIVED_ERROR_FLAG,
    NO_AGENT_FLAG,
    STATUS_ERROR_FLAG,
    TOOL_ERROR_FLAG,
    TRACE_ID,
    Absent,
    SpanRow,
)


class TraceGain:
    """
    New spans of one trace: what they are, and what they add up to.

    No span counts as replaced, and no call as one around others: traces that have such
    are counted again from all their rows.

    Attributes:
        span_ids: In order of the rows, as the next two.
        parent_ids: `ABSENT` for a root.
        starts_ns: When they start, in Unix nanoseconds.
        calls: Ids of the spans that report tokens or a cost.
        kinds: Their shapes, each with an agent's id, which no shape has.
    """

    def __init__(self) -> None:
        self.span_ids: list[bytes] = []
        self.parent_ids: list[bytes | Absent] = []
        self.starts_ns: list[int] = []
        self.calls: set[bytes] = set()
        self.kinds: set[tuple[int, str | Absent]] = set()
        self._received_ns: list[int] = []
        self._end_ns = self._bytes = self._ended_roots = 0
        self._error_spans = self._derived_errors = self._tool_errors = self._without_agent = 0
        self._input_tokens = self._output_tokens = 0
        self._cost_usd = 0.0
        self._sessions: set[str] = set()
        self._users: set[str] = set()

    def add(self, row: SpanRow) -> None:
        """Count one more row."""
        # fmt: off
        (
            _, shape, flags, start_ns, end_ns, received_ns, _, span_id, parent_id, _,
            session, user, agent_id, _, input_tokens, output_tokens, cost_usd, _, _, length, _,
        ) = row
        # fmt: on
        self.span_ids.append(span_id)
        self.parent_ids.append(parent_id)
        self.starts_ns.append(start_ns)
        self.kinds.add((shape, agent_id))
        self._received_ns.append(received_ns)
        self._bytes += length
        if end_ns > self._end_ns:  # noqa: PLR1730 -- a call takes three times as long
            self._end_ns = end_ns
        if flags:
            self._add_flags(flags)
        if end_ns and parent_id == ABSENT:
            self._ended_roots += 1
        # A cost of -1.0 is one: no number tells that there is none.
        if input_tokens != ABSENT or output_tokens != ABSENT or isinstance(cost_usd, float):
            self.calls.add(span_id)
            self._input_tokens += max(input_tokens, 0)
            self._output_tokens += max(output_tokens, 0)
            self._cost_usd += cost_usd if isinstance(cost_usd, float) else 0.0
        if isinstance(session, str):
            self._sessions.add(session)
        if isinstance(user, str):
            self._users.add(user)

    def _add_flags(self, flags: int) -> None:
        self._error_spans += flags & STATUS_ERROR_FLAG != 0
        self._derived_errors += flags & DERIVED_ERROR_FLAG != 0
        self._tool_errors += flags & TOOL_ERROR_FLAG != 0
        self._without_agent += flags & NO_AGENT_FLAG != 0

    def figures(self, trace_id: bytes) -> tuple[object, ...]:
        """What `index_schema.ADD_TO_TRACE` takes."""
        return (
            bytearray(trace_id),
            min(self.starts_ns),
            max(self.starts_ns),
            self._end_ns,
            min(self._received_ns),
            max(self._received_ns),
            len(self.span_ids),
            self._error_spans,
            self._derived_errors,
            self._tool_errors,
            self._without_agent,
            self._ended_roots,
            self._input_tokens,
            self._output_tokens,
            self._cost_usd,
            self._bytes,
            min(self._sessions, default=ABSENT),
            max(self._sessions, default=ABSENT),
            min(self._users, default=ABSENT),
            max(self._users, default=ABSENT),
        )


Gains = Mapping[bytes, TraceGain]
"""By trace."""


def add_rows(rows: Iterable[SpanRow], gains: dict[bytes, TraceGain]) -> None:
    """Add *rows* to what the traces gain; a trace stands where its first row put it."""
    for row in rows:
        trace_id = row[TRACE_ID]
        gain = gains.get(trace_id)
        if gain is None:
            gain = gains[trace_id] = TraceGain()
        gain.add(row)
