"""
Which spans and traces a question means: our own filter model.

No filter names a file, a table or a column, so another engine can take the same
ones. All fields of a filter must hold; a list holds when any of its elements
does; an empty field asks nothing. Filters are checked when they are made.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

Scalar = bool | int | float | str


class Value(BaseModel):
    """A part of a question or an answer: checked when it is made, and frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Operator(StrEnum):
    """How an attribute is compared."""

    EQ = "eq"
    NE = "ne"
    """Present and different."""
    IN = "in"
    EXISTS = "exists"
    MISSING = "missing"
    GTE = "gte"
    """Numbers with numbers, texts with texts; anything else does not hold."""
    LTE = "lte"
    CONTAINS = "contains"
    """The value's text contains the given text; exact case."""
    MATCHES = "matches"
    """The value's text matches an RE2 pattern somewhere."""


class AttributeCondition(Value):
    """A condition on one attribute of a span, or of its resource when the span has none."""

    key: str
    op: Operator = Operator.EQ
    value: Scalar | tuple[Scalar, ...] | None = None
    """What to compare with; a list for ``in``, nothing for ``exists`` and ``missing``."""


class SpanFilter(Value):
    """Which spans are meant."""

    trace_ids: tuple[str, ...] = ()
    span_names: tuple[str, ...] = ()
    observation_kinds: tuple[str, ...] = ()
    """``LLM``, ``TOOL``, ``AGENT``, …"""
    tool_names: tuple[str, ...] = ()
    model_names: tuple[str, ...] = ()
    agent_names: tuple[str, ...] = ()
    service_names: tuple[str, ...] = ()
    service_versions: tuple[str, ...] = ()
    session_ids: tuple[str, ...] = ()
    """What the span names, or else the one session that its trace does; users likewise."""
    user_ids: tuple[str, ...] = ()
    status_codes: tuple[str, ...] = ()
    """``STATUS_CODE_OK``, ``STATUS_CODE_ERROR``, ``STATUS_CODE_UNSET``."""
    error_types: tuple[str, ...] = ()
    project_ids: tuple[str, ...] = ()
    """What spans name as their project, ``inference.project_id``."""
    has_error: bool | None = None
    """An ERROR status, or an error signal outside the status."""
    start_unix_ns_gte: int | None = None
    start_unix_ns_lt: int | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    min_tokens: int | None = None
    """Input and output together."""
    min_cost_usd: float | None = None
    attributes: tuple[AttributeCondition, ...] = ()
    """Conditions that read the spans themselves; use other fields beside them to read less."""


class TraceFilter(Value):
    """Which traces are meant."""

    trace_ids: tuple[str, ...] = ()
    has_errors: bool | None = None
    """Some span has status ERROR; false does not mean success."""
    has_error_signals: bool | None = None
    """Some span has status ERROR or an error signal outside the status."""
    start_unix_ns_gte: int | None = None
    """The trace's first span starts at this moment or later."""
    start_unix_ns_lt: int | None = None
    """The trace's first span starts before this moment."""
    end_unix_ns_lte: int | None = None
    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    min_spans: int | None = None
    max_spans: int | None = None
    is_open: bool | None = None
    """No span without a parent has ended yet."""
    any_span: tuple[SpanFilter, ...] = ()
    """For each of these, the trace has a span that it means."""
