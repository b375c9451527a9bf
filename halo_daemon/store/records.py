"""
What the index knows of spans and traces.

Rows come from the store thousands at a time, and are plain tuples.
"""

from typing import NamedTuple


class SpanRecord(NamedTuple):
    """One span as the index knows it."""

    trace_id: str
    span_id: str
    parent_span_id: str
    """``""`` for a root."""
    name: str
    kind: str
    observation_kind: str
    tool_name: str
    model_name: str
    provider: str
    agent_name: str
    service_name: str
    service_version: str
    session_id: str
    """The span's own, or else the one that its trace names; ``""`` when none or several."""
    user_id: str
    """Likewise."""
    project_id: str
    status_code: str
    error_type: str
    status_message: str
    """At most 200 characters; ``""`` for a span without an error signal."""
    has_error: bool
    start_unix_ns: int
    end_unix_ns: int
    """0 while the span has not ended."""
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    line_bytes: int

    @property
    def duration_ms(self) -> float:
        """End minus start; 0 where the end is missing or before the start."""
        return max(0, self.end_unix_ns - self.start_unix_ns) / 1e6 if self.end_unix_ns else 0.0

    @property
    def tokens(self) -> int:
        """Input and output tokens together; 0 when unknown."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)


class TraceNames(NamedTuple):
    """The names in a trace; lists are sorted, without ``""``."""

    services: tuple[str, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]
    agent_ids: tuple[str, ...]
    projects: tuple[str, ...]


MAX_STEPS = 200
"""Tool calls and errors of one trace that are told."""


class TraceSteps(NamedTuple):
    """What a trace did and what went wrong, in order of start."""

    tools: tuple[str, ...]
    """The tools of the first `MAX_STEPS` calls."""

    messages: tuple[str, ...]
    """What the first `MAX_STEPS` spans with an error signal say, as `SpanRecord.status_message`
    has it; ``""`` for one that says nothing."""


class TraceRecord(NamedTuple):
    """One trace as the index knows it."""

    trace_id: str
    start_unix_ns: int
    end_unix_ns: int
    """0 while no span has ended."""
    spans: int
    duplicate_spans: int
    error_spans: int
    """Spans with status ERROR."""
    derived_error_spans: int
    """Spans with an error signal outside the status."""
    tool_error_spans: int
    """Tools' spans with status ERROR."""
    spans_without_agent: int
    """Spans with neither a name nor an id of an agent."""
    missing_parents: int
    """Different parents that spans name and that are not stored."""
    skewed_spans: int
    """Spans that start before their parent does."""
    has_ended_root: bool
    session_id: str
    """The one session that its spans name; ``""`` when none or several."""
    user_id: str
    """The one user, likewise."""
    input_tokens: int
    """Of the innermost model calls; what encloses others repeats theirs."""
    output_tokens: int
    cost_usd: float
    line_bytes: int
    names: TraceNames | None = None
    """Only where `TraceQuery.with_names` asks."""
    steps: TraceSteps | None = None
    """Only where `TraceQuery.with_steps` asks."""

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end; 0 while nothing has ended."""
        return max(0, self.end_unix_ns - self.start_unix_ns) if self.end_unix_ns else 0

    @property
    def duration_ms(self) -> float:
        """The same in milliseconds."""
        return self.duration_ns / 1e6
