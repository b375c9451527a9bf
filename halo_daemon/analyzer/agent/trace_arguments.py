"""The arguments of HALO's trace tools: same names, same ranges, a few fields more."""

from datetime import UTC, datetime

from pydantic import Field

from halo_daemon.analyzer.agent.arguments import Fields, ToolArguments
from halo_daemon.store.filters import AttributeCondition, SpanFilter, TraceFilter
from halo_daemon.store.query import SpanOrder, TraceOrder

_NANOS = 10**9


class Filters(Fields):
    """Which traces are meant; all given fields must hold, a list matches on any element."""

    has_errors: bool | None = None
    """Traces with, or without, a span whose status is ERROR; false does not mean success."""

    error_signals: bool | None = None
    """The same with errors counted that only a result, an event or a text tells of."""

    model_names: list[str] = Field(default_factory=list)
    service_names: list[str] = Field(default_factory=list)
    service_versions: list[str] = Field(default_factory=list)
    agent_names: list[str] = Field(default_factory=list)
    tool_names: list[str] = Field(default_factory=list)
    trace_ids: list[str] = Field(default_factory=list)
    session_ids: list[str] = Field(default_factory=list)
    user_ids: list[str] = Field(default_factory=list)
    project_id: str | None = None
    start_time_gte: datetime | None = None
    """Traces that start at this instant or later."""

    end_time_lte: datetime | None = None
    """Traces that end at this instant or before."""

    min_duration_ms: float | None = None
    max_duration_ms: float | None = None
    min_spans: int | None = None
    max_spans: int | None = None
    regex_pattern: str | None = None
    """RE2 pattern over the text of each span; a trace stays if any of its spans matches."""

    def to_filter(self) -> TraceFilter:
        """The same for the store; the pattern is applied apart."""
        named = {
            "model_names": self.model_names,
            "service_names": self.service_names,
            "service_versions": self.service_versions,
            "agent_names": self.agent_names,
            "tool_names": self.tool_names,
            "session_ids": self.session_ids,
            "user_ids": self.user_ids,
            "project_ids": [] if self.project_id is None else [self.project_id],
        }
        return TraceFilter(
            trace_ids=tuple(self.trace_ids),
            has_errors=self.has_errors,
            has_error_signals=self.error_signals,
            start_unix_ns_gte=_unix_ns(self.start_time_gte),
            end_unix_ns_lte=_unix_ns(self.end_time_lte),
            min_duration_ms=self.min_duration_ms,
            max_duration_ms=self.max_duration_ms,
            min_spans=self.min_spans,
            max_spans=self.max_spans,
            any_span=tuple(
                SpanFilter(**{field: tuple(names)}) for field, names in named.items() if names
            ),
        )


class OverviewArguments(ToolArguments):
    """Count what there is: traces, spans, services, models, agents, tools, errors, tokens, a
    sample of trace ids. Begin with it, without a pattern.
    """

    filters: Filters = Field(default_factory=Filters)


class QueryTracesArguments(ToolArguments):
    """List traces with their counts, without their text."""

    filters: Filters = Field(default_factory=Filters)
    order_by: TraceOrder = TraceOrder.START
    descending: bool = False
    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0)


class CountTracesArguments(ToolArguments):
    """Count the traces that match. The answer's `query_id` can be cited by a finding."""

    filters: Filters = Field(default_factory=Filters)


class ViewTraceArguments(ToolArguments):
    """Read a whole trace, long values cut. One that is too large comes as an outline; then
    open single spans, or read on below one of them.
    """

    trace_id: str
    start_span: str | None = None
    """Only this span and those below it."""

    max_depth: int | None = Field(default=None, ge=0)
    """Only so many levels below the roots, or below `start_span`."""

    page: int | None = Field(default=None, ge=1)
    """Read the spans in parts that fit, one after the other, from 1."""

    after_span: str | None = None
    """Only what begins after this span: goes on where an answer has a `rest`."""


class ViewSpansArguments(ToolArguments):
    """Read some spans of a trace, with more of each value than `view_trace` shows."""

    trace_id: str
    span_ids: list[str] = Field(min_length=1, max_length=200)


class SearchTraceArguments(ToolArguments):
    """Find an RE2 pattern in the spans of one trace."""

    trace_id: str
    regex_pattern: str
    context_buffer_chars: int = Field(default=100, ge=0, le=2_000)
    max_matches: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0)
    """Matches to pass over, to read on where an answer ended."""


class SearchSpanArguments(SearchTraceArguments):
    """Find an RE2 pattern in one span."""

    span_id: str


class QuerySpansArguments(ToolArguments):
    """List spans over all traces by kind, name, tool or error, with short previews of input
    and output. The answer's `query_id` can be cited by a finding.
    """

    filters: Filters = Field(default_factory=Filters)
    kinds: list[str] = Field(default_factory=list)
    """`LLM`, `TOOL`, `AGENT`, `CHAIN`, …"""

    span_names: list[str] = Field(default_factory=list)
    tool_names: list[str] = Field(default_factory=list)
    status_codes: list[str] = Field(default_factory=list)
    """`STATUS_CODE_ERROR`, `STATUS_CODE_OK`, `STATUS_CODE_UNSET`."""

    error_signals: bool | None = None
    """Only spans with, or without, an error of any kind."""

    leaf_errors_only: bool = False
    """Only spans with an error none of whose children has one."""

    min_duration_ms: int = Field(default=0, ge=0)
    min_tokens: int = Field(default=0, ge=0)
    attributes: list[AttributeCondition] = Field(default_factory=list)
    """Conditions on attributes of the span or its resource; other fields beside them help."""

    order_by: SpanOrder = SpanOrder.START
    descending: bool = False
    contains: str = ""
    """Text that a value of the span must contain, as written."""

    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0)


def _unix_ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    delta = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * _NANOS + delta.microseconds * 1_000
