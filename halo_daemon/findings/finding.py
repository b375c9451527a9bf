"""A finding: one failure mode over many traces, with its counts and its evidence."""

from collections import Counter
from typing import Literal

from pydantic import Field, JsonValue

from halo_daemon.findings.record import Count, Instant, Interval, Record, Share

MAX_QUOTE_CHARS = 400
MAX_EVIDENCE = 10

Severity = Literal["critical", "high", "medium", "low", "info"]
Certainty = Literal["proved", "event", "candidate"]
FindingState = Literal["new", "ongoing", "regressed", "reopened", "resolved", "not_seen"]
Role = Literal["symptom", "decision", "recovery", "counterexample"]
TriageState = Literal["open", "acknowledged", "muted", "false_positive"]

_SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")


def severity_rank(severity: Severity) -> int:
    """Place in the order of severities: 0 for critical, 4 for info."""
    return _SEVERITIES.index(severity)


class Fingerprint(Record):
    """What a finding's id is made of."""

    algo: str = "v1"
    """Version of masking and hashing."""

    parts: tuple[str, ...] = ()
    """Rule, agent or service, tool or span name, exception type, template."""


class VersionCount(Record):
    """A finding's counts among the traces of one ``service.version``."""

    service_version: str
    affected: Count
    eligible: Count


class SubjectCount(Record):
    """What one tool, or other step, has of a finding that several of them show."""

    agent: str
    name: str
    affected: Count
    """Traces in which it failed so."""
    eligible: Count
    """Traces that used it."""


class Counts(Record):
    """How often, and out of how many that could have shown it."""

    affected_traces: Count = 0
    eligible_traces: Count = 0
    rate: Share = 0.0
    ci95: Interval = (0.0, 0.0)
    """Wilson interval of the rate; wider when several traces share a session."""
    spans: Count = 0
    sessions: Count = 0
    users: Count = 0
    recovered: Count = 0
    """Affected traces in which every occurrence was recovered from."""
    query_id: str | None = None


class RateChange(Record):
    """A day from which on the rate is another one."""

    at: str
    """``YYYY-MM-DD``."""
    before: Share
    after: Share
    q: Share
    """By permutation of the days, corrected with all other tests of the report."""


class TrendPoint(Record):
    """A finding's rate in one window."""

    at: str
    """The day on which the window began, ``YYYY-MM-DD``."""
    affected: Count
    eligible: Count
    ci95: Interval
    """Wilson interval of the rate."""


class Trend(Record):
    """The rate against the previous window."""

    previous_rate: Share | None = None
    diff: float | None = None
    diff_ci95: Interval | None = None
    """Newcombe interval of the difference."""
    q: Share | None = None
    series: tuple[float, ...] = ()
    """Rates of the last reports, oldest first, this one last."""
    points: tuple[TrendPoint, ...] = ()
    """The last windows that could show it, oldest first, this one last; none of those before
    it overlap."""
    change: RateChange | None = None
    """None where no change stands out, and with fewer than eight days."""


class Association(Record):
    """Whether traces with the finding fail more often; never a claim of cause."""

    outcome: str = "failed"
    odds_ratio: float
    ci95: Interval
    q: Share
    adjusted_for: tuple[str, ...] = ()
    wording: str = "goes with"
    """``goes with``, ``is rarer in`` or ``is not shown to go with``: all tests considered."""


class Cost(Record):
    """What the failure mode wasted; a span is charged to one finding only."""

    wasted_tokens: Count = 0
    wasted_usd: float | None = None
    """None when no span in question carries a cost."""
    wasted_ms: Count = 0
    basis: str = ""


class Evidence(Record):
    """A quoted span."""

    trace_id: str
    span_id: str
    role: Role
    attribute: str = ""
    """Path of the quoted value: an attribute key, ``status.message``, ``name`` or
    ``events[N].<key>``; empty when the span as a whole is meant."""
    char_start: Count = 0
    char_end: Count = 0
    """Half-open range of characters in the value."""
    quote: str = Field(default="", max_length=MAX_QUOTE_CHARS)
    quote_verified: bool = False
    shard: str | None = None
    url: str | None = None


class RootCause(Record):
    """Why it happens, and how sure that is."""

    state: Literal["confirmed", "hypothesis", "unknown"] = "unknown"
    text: str = ""
    propagates_to: tuple[str, ...] = ()


class Recommendation(Record):
    """What to change, and how to see that it worked."""

    fix_type: Literal[
        "tool_description", "system_prompt", "code", "config", "infra", "eval", "other"
    ] = "other"
    text: str = ""
    effort: Literal["S", "M", "L"] = "M"
    expected_effect: str = ""
    validation_plan: str = ""
    check: str = ""


class NextQuery(Record):
    """A question that the finding raises, as a tool call."""

    question: str
    tool: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class Link(Record):
    """Somewhere to read on."""

    text: str
    url: str


class Triage(Record):
    """What people said of a finding."""

    state: TriageState = "open"
    until: Instant | None = None
    note: str = ""
    by: str = ""


class Finding(Record):
    """One failure mode; the same one keeps its id from report to report."""

    finding_id: str = Field(pattern=r"^F-[0-9A-HJKMNP-TV-Z]{12}$")
    fingerprint: Fingerprint = Fingerprint()
    supersedes: tuple[str, ...] = ()
    merged_from: tuple[str, ...] = ()
    title: str
    category: str
    also_known_as: tuple[str, ...] = ()
    source: str
    """``rule:<name>@<version>`` or ``llm``."""
    verified: bool = False
    """Whether every quote was found in the span that it names."""
    certainty: Certainty = "candidate"
    severity: Severity = "low"
    severity_rule: str = ""
    """The sentence that gave the severity."""
    confidence: Share = 0.5
    state: FindingState = "new"
    escalating: bool = False
    first_seen: Instant | None = None
    last_seen: Instant | None = None
    reports_seen: Count = 1
    by_version: tuple[VersionCount, ...] = ()
    by_subject: tuple[SubjectCount, ...] = ()
    """What a cause that several tools share has hit, or what a rule of the project puts together,
    the most affected first; empty for others."""
    counts: Counts = Counts()
    trend: Trend | None = None
    association: Association | None = None
    cost: Cost = Cost()
    evidence: tuple[Evidence, ...] = Field(default=(), max_length=MAX_EVIDENCE)
    root_cause: RootCause = RootCause()
    diagnosis_class: Literal[
        "missing_requirement", "not_followed", "implementation", "observability", "external"
    ] = "implementation"
    recommendation: Recommendation = Recommendation()
    next_queries: tuple[NextQuery, ...] = ()
    similar: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    triage: Triage = Triage()

    @property
    def named_subjects(self) -> list[tuple[str, SubjectCount]]:
        """
        The rows of `by_subject` under names to tell them apart.

        The name of the tool, with its agent where several have one of that name; the agent
        where the finding is about agents.
        """
        names = Counter(row.name for row in self.by_subject)
        return [
            (f"{row.name} ({row.agent})" if row.name and names[row.name] > 1 else named, row)
            for row in self.by_subject
            for named in [row.name or row.agent]
        ]
