"""The arguments of HALO's trace tools: same names, same ranges, a few fields more."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.trace_source import TraceFilter

_NANOS = 10**9


class Filters(BaseModel):
    """Which traces are meant; all given fields must hold, a list matches on any element."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    has_errors: bool | None = None
    """Traces with, or without, a span that shows an error; false does not mean success."""

    model_names: list[str] = Field(default_factory=list)
    service_names: list[str] = Field(default_factory=list)
    agent_names: list[str] = Field(default_factory=list)
    tool_names: list[str] = Field(default_factory=list)
    trace_ids: list[str] = Field(default_factory=list)
    session_ids: list[str] = Field(default_factory=list)
    project_id: str | None = None
    start_time_gte: datetime | None = None
    """Traces that start at this instant or later."""

    end_time_lte: datetime | None = None
    """Traces that end at this instant or before."""

    regex_pattern: str | None = None
    """RE2 pattern over the text of each span; a trace stays if any of its spans matches."""

    def to_filter(self) -> TraceFilter:
        """The same for the store; the pattern is applied apart."""
        return TraceFilter(
            has_errors=self.has_errors,
            model_names=frozenset(self.model_names),
            service_names=frozenset(self.service_names),
            agent_names=frozenset(self.agent_names),
            tool_names=frozenset(self.tool_names),
            trace_ids=frozenset(self.trace_ids),
            session_ids=frozenset(self.session_ids),
            project_id=self.project_id,
            start_unix_ns_gte=_unix_ns(self.start_time_gte),
            end_unix_ns_lte=_unix_ns(self.end_time_lte),
        )


class OverviewArguments(ToolArguments):
    """Count what there is: traces, spans, services, models, agents, tools, errors, tokens, a
    sample of trace ids. Begin with it, without a pattern.
    """

    filters: Filters = Field(default_factory=Filters)


class QueryTracesArguments(ToolArguments):
    """List traces with their counts, without their text."""

    filters: Filters = Field(default_factory=Filters)
    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0)


class CountTracesArguments(ToolArguments):
    """Count the traces that match. The answer's `query_id` can be cited by a finding."""

    filters: Filters = Field(default_factory=Filters)


class ViewTraceArguments(ToolArguments):
    """Read a whole trace, long values cut. One that is too large comes as an outline; then
    open single spans.
    """

    trace_id: str


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
    leaf_errors_only: bool = False
    """Only spans with an error none of whose children has one."""

    min_duration_ms: int = Field(default=0, ge=0)
    contains: str = ""
    """Text that a value of the span must contain, as written."""

    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0)


def _unix_ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    delta = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * _NANOS + delta.microseconds * 1_000
