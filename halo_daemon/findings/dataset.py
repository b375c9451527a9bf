"""What a report says of the run, the window and what was looked at."""

from typing import Literal

from pydantic import Field

from halo_daemon.findings.record import Count, Instant, Interval, Record, Share

NotCheckedReason = Literal[
    "not_applicable", "needs_contract", "not_recorded", "too_few", "over_limit", "rule_failed"
]


class RunBlock(Record):
    """The run that wrote the report."""

    id: str
    trigger: Literal["schedule", "manual", "api", "demo"] = "manual"
    schedule: str = ""
    started_at: Instant
    ended_at: Instant | None = None


class WindowBlock(Record):
    """Which traces were asked for: those with a span in the half-open stretch of time."""

    from_: Instant = Field(alias="from")
    to: Instant
    by: Literal["received", "start_time"] = "received"
    timezone: str = "UTC"
    watermark: Instant | None = None
    """Up to where the project's spans had been received."""


class EngineTokens(Record):
    """Tokens that the engine itself used."""

    input: Count = 0
    cached: Count = 0
    output: Count = 0
    reasoning: Count = 0
    estimated: Count = 0


class EngineBudget(Record):
    """What the engine might use; None where there is no limit."""

    usd: float | None = None
    tokens: Count | None = None
    seconds: float | None = None
    requests: Count | None = None


class Engine(Record):
    """What made the findings."""

    mode: Literal["llm", "deterministic"] = "deterministic"
    status: Literal["complete", "partial", "failed"] = "complete"
    reason: str | None = None
    partial_in_a_row: Count = 0
    """Runs with a model that left a partial report, without a complete one since."""
    version: str = ""
    rules_version: str = ""
    model: str | None = None
    turns: Count = 0
    requests: Count = 0
    subagents: Count = 0
    tokens: EngineTokens = EngineTokens()
    cost_usd: float | None = 0.0
    cost_note: str = ""
    wall_ms: Count = 0
    budget: EngineBudget = EngineBudget()
    parameters_dropped: tuple[str, ...] = ()
    run_log: str | None = None


class ShardRange(Record):
    """Bytes of one shard that were read."""

    path: str
    sha256: str
    bytes: Count
    from_offset: Count
    to_offset: Count


class Exposure(Record):
    """How many traces ran one version of the service with one model."""

    service_version: str
    model: str
    traces: Count


class Outcomes(Record):
    """For how many traces it is known whether they failed."""

    known: Count = 0
    failed: Count = 0
    source: str = "none"
    """``feedback``, ``evaluator``, ``label``, ``status``, ``contract``, several of
    them joined by ``+``, or ``none``."""


class InventoryItem(Record):
    """
    A tool, model, agent, prompt, tool list, version or name of span in the window's traces.

    Rows of the kind ``tool definition`` say what a tool took: its name, a digest, and its
    parameters.
    """

    kind: str
    agent: str = ""
    """Whose it is; ``""`` for what belongs to the whole trace."""
    name: str
    """Its name; a digest for prompts and tool lists."""
    traces: Count
    first_seen: Instant


class ToolLookups(Record):
    """In how many traces of a window a tool was used, and in how many it found nothing."""

    agent: str
    tool: str
    traces: Count
    empty: Count = 0


class LookupWindow(Record):
    """What the tools of one window found; the most used first, at most 200."""

    from_: Instant = Field(alias="from")
    to: Instant
    tools: tuple[ToolLookups, ...] = ()


class Dataset(Record):
    """What the window held."""

    shards: tuple[ShardRange, ...] = ()
    traces: Count = 0
    spans: Count = 0
    sessions: Count = 0
    users: Count = 0
    open_traces: Count = 0
    late_spans: Count = 0
    """Spans of these traces outside the window."""
    duplicate_spans: Count = 0
    exposure: tuple[Exposure, ...] = ()
    outcomes: Outcomes = Outcomes()
    inventory: tuple[InventoryItem, ...] = ()
    """The most used first within each kind, at most 500 in all."""
    lookups: tuple[LookupWindow, ...] = ()
    """What tools found in this window and in those before it that later ones are held against:
    none of two that overlap, at most four, oldest first."""


class ErrorRate(Record):
    """Share of traces with at least one leaf error."""

    value: Share = 0.0
    listed: Share | None = None
    """Share of those that lists of traces call failed: a status says so, or the receiver found
    that a result does. The others hold exit codes of commands, failures that only the contract
    states, results that only prompts tell of, and rare forms. None in reports of older versions."""
    ci95: Interval = (0.0, 0.0)
    n: Count = 0
    previous: Share | None = None


class TotalDuration(Record):
    """Durations of whole traces in milliseconds; 0 when there are none."""

    p50: Count = 0
    p95: Count = 0
    previous_p95: Count | None = None


class TotalTokens(Record):
    """Tokens of all leaf model calls."""

    input: Count = 0
    output: Count = 0
    previous: Count | None = None
    """Input and output of the previous report."""


class TotalCost(Record):
    """Cost of all leaf model calls; None when no span carries one."""

    value: float | None = None
    previous: float | None = None


class Totals(Record):
    """The window in four figures."""

    error_rate: ErrorRate = ErrorRate()
    duration_ms: TotalDuration = TotalDuration()
    tokens: TotalTokens = TotalTokens()
    cost_usd: TotalCost = TotalCost()


class SpanRef(Record):
    """A span by name."""

    trace_id: str
    span_id: str


class DataQuality(Record):
    """A defect of the recording itself, with the change to make."""

    code: str
    count: Count
    of: Count
    example: SpanRef | None = None
    fix: str = ""


class Skipped(Record):
    """Traces that were not examined, and why."""

    reason: str
    count: Count


class NotChecked(Record):
    """Units that a rule could not check, and why."""

    reason: NotCheckedReason
    count: Count


class CoverageRule(Record):
    """How much of what it applies to a rule has checked."""

    rule: str
    checked: Count
    of: Count
    unit: str = "traces"
    not_checked: tuple[NotChecked, ...] = ()


class SampleOf(Record):
    """Which part of a window was looked at, where it was not the whole."""

    traces: Count
    """Traces that were chosen."""

    of: Count
    """Traces of the window."""

    max_traces: Count
    """How many were wanted at most."""


class LargeTraces(Record):
    """Traces that were too large for one answer, and so were examined in parts."""

    traces: Count
    parts: Count
    spans_left: Count
    """Spans behind the last part that was examined."""

    bytes_left: Count
    """Bytes of their stored lines."""


class Coverage(Record):
    """What was looked at; printed in every rendering."""

    examined_traces: Count = 0
    sample: SampleOf | None = None
    """None where the whole window was read."""

    large: LargeTraces | None = None
    """None where every trace was examined as a whole."""

    skipped: tuple[Skipped, ...] = ()
    quarantined_lines: Count = 0
    llm_viewed_traces: Count = 0
    llm_not_reached: tuple[str, ...] = ()
    rules: tuple[CoverageRule, ...] = ()
    tests: Count = 0
    discoveries: Count = 0
    fdr_q: Share = 0.05
    evidence_verified: tuple[Count, Count] = (0, 0)
    """Quotes found in their spans, of all quotes."""
