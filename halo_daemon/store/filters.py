"""
Which spans and traces a question means: our own filter model.

No filter names a file, a table or a column, so another engine can take the same
ones. All fields of a filter must hold; a list holds when any of its elements
does; an empty field asks nothing. Filters are checked when they are made.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _as_utf8(text: str) -> str:
    # Half a pair of characters is no text, and no index has it.
    text.encode()
    return text


Text = Annotated[str, AfterValidator(_as_utf8)]
"""A text that can be stored; one with half a pair of characters is refused."""

Scalar = bool | int | float | Text


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

    key: Text
    op: Operator = Operator.EQ
    value: Scalar | tuple[Scalar, ...] | None = None
    """What to compare with; a list for ``in``, nothing for ``exists`` and ``missing``."""


class SpanFilter(Value):
    """Which spans are meant."""

    trace_ids: tuple[Text, ...] = ()
    span_names: tuple[Text, ...] = ()
    observation_kinds: tuple[Text, ...] = ()
    """``LLM``, ``TOOL``, ``AGENT``, …"""
    tool_names: tuple[Text, ...] = ()
    model_names: tuple[Text, ...] = ()
    agent_names: tuple[Text, ...] = ()
    service_names: tuple[Text, ...] = ()
    service_versions: tuple[Text, ...] = ()
    session_ids: tuple[Text, ...] = ()
    """What the span names, or else the one session that its trace does; users likewise."""
    user_ids: tuple[Text, ...] = ()
    status_codes: tuple[Text, ...] = ()
    """``STATUS_CODE_OK``, ``STATUS_CODE_ERROR``, ``STATUS_CODE_UNSET``."""
    error_types: tuple[Text, ...] = ()
    project_ids: tuple[Text, ...] = ()
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

    trace_ids: tuple[Text, ...] = ()
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
