"""
Questions about traces and spans, and their answers: our own filter model.

No question names a file, a table or a column, so another engine can answer the
same ones. All fields of a filter must hold; a list holds when any of its
elements does; an empty field asks nothing.

Questions are checked when they are made. Rows of answers come from the store
itself, thousands at a time, and are plain tuples.
"""

from enum import StrEnum
from typing import Annotated, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from halo_daemon.store.trace_reader import Window

MAX_PAGE = 500

Scalar = bool | int | float | str


class _Value(BaseModel):
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


class AttributeCondition(_Value):
    """A condition on one attribute of a span, or of its resource when the span has none."""

    key: str
    op: Operator = Operator.EQ
    value: Scalar | tuple[Scalar, ...] | None = None
    """What to compare with; a list for ``in``, nothing for ``exists`` and ``missing``."""


class SpanFilter(_Value):
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


class TraceFilter(_Value):
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


class SpanOrder(StrEnum):
    """What spans are sorted by; ties by trace id and span id."""

    START = "start_time"
    DURATION = "duration"
    TOKENS = "tokens"
    COST = "cost"


class SpanQuery(_Value):
    """A page of spans."""

    filter: SpanFilter = SpanFilter()
    traces: TraceFilter = TraceFilter()
    """Only spans of these traces."""
    order_by: SpanOrder = SpanOrder.START
    descending: bool = True
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    offset: Annotated[int, Field(ge=0)] = 0


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


class TraceQuery(_Value):
    """A page of traces."""

    filter: TraceFilter = TraceFilter()
    order_by: TraceOrder = TraceOrder.START
    descending: bool = True
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    offset: Annotated[int, Field(ge=0)] = 0
    with_names: bool = False
    """Look up `TraceRecord.names` too, which costs a row for each span."""


class TraceNames(NamedTuple):
    """The names in a trace; lists are sorted, without ``""``."""

    services: tuple[str, ...]
    models: tuple[str, ...]
    tools: tuple[str, ...]
    agents: tuple[str, ...]
    agent_ids: tuple[str, ...]
    projects: tuple[str, ...]


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

    @property
    def duration_ns(self) -> int:
        """From the first start to the last end; 0 while nothing has ended."""
        return max(0, self.end_unix_ns - self.start_unix_ns) if self.end_unix_ns else 0

    @property
    def duration_ms(self) -> float:
        """The same in milliseconds."""
        return self.duration_ns / 1e6


class TracePage(NamedTuple):
    """The answer to a `TraceQuery`; empty past the end."""

    traces: tuple[TraceRecord, ...]
    total: int
    """How many traces match in all."""


class TraceTotals(_Value):
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


class AggregateQuery(_Value):
    """Figures over groups of spans."""

    filter: SpanFilter = SpanFilter()
    traces: TraceFilter = TraceFilter()
    """Only spans of these traces."""
    group_by: Annotated[tuple[Dimension, ...], Field(max_length=3)] = ()
    bucket: Bucket | None = None
    top: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Largest groups by count that are listed; the rest is added up as ``other_spans``."""


class AggregateRow(_Value):
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


class AggregateAnswer(_Value):
    """The answer to an `AggregateQuery`; largest groups first, ties by bucket and key."""

    rows: tuple[AggregateRow, ...]
    groups: int
    """Groups in all."""
    other_spans: int
    """Spans of the groups that are not listed."""


class SearchQuery(_Value):
    """A pattern to look for in the decoded values of spans."""

    pattern: str
    """RE2 syntax: linear time, no look-around, no back-references."""
    ignore_case: bool = False
    look_at_lines: bool = False
    """Also find what only the line as it is stored shows, with its keys and JSON signs."""
    filter: SpanFilter = SpanFilter()
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Matching spans; of each, the first match is told."""
    context_chars: Annotated[int, Field(ge=0, le=2_000)] = 100
    time_limit_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    after: str = ""
    """`SearchAnswer.next` of the page before."""


class SearchMatch(_Value):
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


class SearchAnswer(_Value):
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
        """What the traces that *wanted* means hold together."""

    def query_spans(self, window: Window, query: SpanQuery) -> SpanPage:
        """One page of the spans of the traces in *window*."""

    def aggregate(self, window: Window, query: AggregateQuery) -> AggregateAnswer:
        """Figures over groups of the spans of the traces in *window*."""

    def search(self, window: Window, query: SearchQuery) -> SearchAnswer:
        """Spans of the traces in *window* with a value that matches a pattern."""
