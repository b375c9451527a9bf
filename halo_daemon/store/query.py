"""
Questions about traces and spans, and their answers.

Questions are checked when they are made, and say what they mean by `filters`.
"""

from enum import StrEnum
from typing import Annotated, NamedTuple, Protocol, Self

from pydantic import Field

from halo_daemon.store.filters import SpanFilter, Text, TraceFilter, Value
from halo_daemon.store.records import SpanRecord, TraceNames, TraceRecord
from halo_daemon.store.trace_reader import Window

MAX_OFFSET = 2**62

MAX_PAGE = 500


class SpanOrder(StrEnum):
    """What spans are sorted by; ties by trace id and span id."""

    START = "start_time"
    DURATION = "duration"
    TOKENS = "tokens"
    COST = "cost"


class SpanQuery(Value):
    """A page of spans."""

    filter: SpanFilter = SpanFilter()
    traces: TraceFilter = TraceFilter()
    """Only spans of these traces."""
    order_by: SpanOrder = SpanOrder.START
    descending: bool = True
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0


class SpanPage(NamedTuple):
    """The answer to a `SpanQuery`; empty past the end."""

    spans: tuple[SpanRecord, ...]
    total: int
    """How many spans match in all."""


class TraceOrder(StrEnum):
    """What traces are sorted by; ties by trace id."""

    START = "start_time"
    DURATION = "duration"
    SPANS = "spans"
    TOKENS = "tokens"
    ERRORS = "errors"


class TraceQuery(Value):
    """A page of traces."""

    filter: TraceFilter = TraceFilter()
    order_by: TraceOrder = TraceOrder.START
    descending: bool = True
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET)] = 0
    with_names: bool = False
    """Look up `TraceRecord.names` too."""
    with_steps: bool = False
    """Look up `TraceRecord.steps` too, which costs a look at each span."""


class TracePage(NamedTuple):
    """The answer to a `TraceQuery`; empty past the end."""

    traces: tuple[TraceRecord, ...]
    total: int
    """How many traces match in all."""


class Dimension(StrEnum):
    """What spans are grouped by."""

    NAME = "name"
    KIND = "observation_kind"
    TOOL = "tool_name"
    MODEL = "model_name"
    PROVIDER = "provider"
    AGENT = "agent_name"
    SERVICE = "service_name"
    VERSION = "service_version"
    STATUS = "status_code"
    ERROR_TYPE = "error_type"
    SESSION = "session_id"
    USER = "user_id"


class Bucket(StrEnum):
    """Stretches of time, in UTC, by the start of the span."""

    HOUR = "hour"
    DAY = "day"


MAX_NAMES = 1_000
"""Names of each kind that totals tell."""


class TraceTotals(Value):
    """What the traces of a filter hold together; zeros and empty lists when there are none."""

    traces: int = 0
    spans: int = 0
    duplicate_spans: int = 0
    error_traces: int = 0
    """Traces with a span of status ERROR."""
    signal_traces: int = 0
    """Traces with an error signal of any kind."""
    error_spans: int = 0
    tool_error_spans: int = 0
    spans_without_agent: int = 0
    missing_parents: int = 0
    skewed_spans: int = 0
    open_traces: int = 0
    """No span without a parent has ended."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    line_bytes: int = 0
    start_unix_ns: int = 0
    """The earliest start."""
    end_unix_ns: int = 0
    """The latest end; 0 while no span has ended."""
    services: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    agent_ids: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    left_out_names: int = 0
    """Names beyond the first `MAX_NAMES` of each list, in their order."""

    def with_first_names(self) -> Self:
        """The same with at most `MAX_NAMES` in each list, and the number of the others."""
        lists = {field: getattr(self, field) for field in TraceNames._fields}
        left_out = sum(max(0, len(names) - MAX_NAMES) for names in lists.values())
        if not left_out:
            return self
        kept = {field: names[:MAX_NAMES] for field, names in lists.items()}
        return self.model_copy(update={**kept, "left_out_names": left_out})


class AggregateQuery(Value):
    """Figures over groups of spans."""

    filter: SpanFilter = SpanFilter()
    traces: TraceFilter = TraceFilter()
    """Only spans of these traces."""
    group_by: Annotated[tuple[Dimension, ...], Field(max_length=3)] = ()
    bucket: Bucket | None = None
    top: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Largest groups by count that are listed; the rest is added up as ``other_spans``."""


class AggregateRow(Value):
    """The figures of one group; durations in milliseconds."""

    key: tuple[str, ...]
    """One value for each dimension, in order; ``""`` when unknown."""
    bucket_unix_ns: int | None
    spans: int
    traces: int
    errors: int
    """Spans with an error signal of any kind."""
    input_tokens: int
    """Of the innermost model calls, whatever encloses them."""
    output_tokens: int
    cost_usd: float
    duration_ms_sum: float
    duration_ms_p50: float
    duration_ms_p95: float
    duration_ms_max: float


class AggregateAnswer(Value):
    """The answer to an `AggregateQuery`; largest groups first, ties by bucket and key."""

    rows: tuple[AggregateRow, ...]
    groups: int
    """Groups in all."""
    other_spans: int
    """Spans of the groups that are not listed."""


class SearchQuery(Value):
    """A pattern to look for in the decoded values of spans."""

    pattern: Text
    """RE2 syntax: linear time, no look-around, no back-references."""
    ignore_case: bool = False
    look_at_lines: bool = False
    """Also find what only the line as it is stored shows, with its keys and JSON signs."""
    filter: SpanFilter = SpanFilter()
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Matching spans; of each, the first match is told."""
    context_chars: Annotated[int, Field(ge=0, le=2_000)] = 100
    time_limit_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    after: Text = ""
    """`SearchAnswer.next` of the page before."""


class SearchMatch(Value):
    """The first match in one span."""

    trace_id: str
    span_id: str
    name: str
    where: str
    """Path of the value, such as ``attributes.input.value`` or ``events[0].attributes.x``."""
    start_char: int
    """Offset in characters of the decoded value."""
    end_char: int
    match_text: str
    """At most 1,024 characters."""
    context: str


class SearchAnswer(Value):
    """The answer to a `SearchQuery`, in the order in which spans arrived."""

    matches: tuple[SearchMatch, ...]
    scanned_bytes: int
    next: str
    """Continues the search; ``""`` when everything was looked at."""
    timed_out: bool


class TraceQueries(Protocol):
    """
    Answers questions over the traces of a window.

    The promises of `TraceReader` hold here too: own writes are read, a trace is one
    trace, a span counts once in its later complete version, damage is left out.

    Raises:
        QueryError: The question cannot be asked as it stands.
        StoreError: The data directory cannot be read at all.
    """

    def query_traces(self, window: Window, query: TraceQuery) -> TracePage:
        """One page of traces."""

    def sum_traces(self, window: Window, wanted: TraceFilter) -> TraceTotals:
        """What the traces that *wanted* means hold together, with the first of their names."""

    def query_spans(self, window: Window, query: SpanQuery) -> SpanPage:
        """One page of the spans of the traces in *window*."""

    def aggregate(self, window: Window, query: AggregateQuery) -> AggregateAnswer:
        """Figures over groups of the spans of the traces in *window*."""

    def search(self, window: Window, query: SearchQuery) -> SearchAnswer:
        """Spans of the traces in *window* with a value that matches a pattern."""
