"""
What is known of a set of traces; two such sets merge into one in any order.

Rule 1: `Partial.absorb` is associative and commutative over disjoint sets of
traces, so one process, many processes and many machines end with the same values.
Lists are kept sorted where a bound cuts them, dictionaries are sorted by the reader.

Rule 2: memory grows with traces and with distinct findings, never with the text
of spans: of quotes only the best few of each finding are kept.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from halo_daemon.analyzer.features import Feature
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Quote, StepRange
from halo_daemon.analyzer.outage import NOWHERE, FailedAt
from halo_daemon.analyzer.outcome import Outcome
from halo_daemon.analyzer.outliers import Measure, Spread
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.requests import Request
from halo_daemon.analyzer.risk import RiskSignals
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_lists import ToolList

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty, NotCheckedReason, Role

MAX_CASES = 4
"""Cases with quotes kept for each finding, recovered and not recovered ones apart."""

MAX_EXAMPLES = 3
"""Successes kept for each subject, as counterexamples."""


_T = TypeVar("_T", "Case", "Example")


CERTAINTIES: "tuple[Certainty, ...]" = ("proved", "event", "candidate")
"""From the surest to the least sure."""


class SpanRole(NamedTuple):
    """A span of a trace that a finding names."""

    span_id: str
    role: "Role"
    step: int
    """Place of the span among the steps of its trace."""


class Hit(NamedTuple):
    """A finding in one trace."""

    roles: tuple[SpanRole, ...]
    occurrences: int
    spans: int
    is_recovered: bool
    """Whether every occurrence was recovered from."""
    wasted: tuple[StepRange, ...]
    certainty: "Certainty"
    is_weak: bool
    failed_at: FailedAt = NOWHERE
    """What outside every occurrence failed at; nothing where they differ."""


class Case(NamedTuple):
    """A trace to show a finding by; the least comes first."""

    poverty: int
    """Fewer roles among the quotes are a poorer case."""
    steps: int
    trace_id: str
    quotes: tuple[Quote, ...]


class TraceFacts(NamedTuple):
    """One examined trace, without its text."""

    trace_id: str
    agent: str
    """Of the root span."""
    is_open: bool
    spans: int
    steps: int
    model_calls: int
    stopped_at: str
    """Id of the last step where no answer came after it; ``""`` where the run ended well."""
    duplicate_spans: int
    start_unix_ns: int
    end_unix_ns: int
    task: str
    request: Request
    """What the user asked for; nothing where the trace names no session."""
    outcome: Outcome
    session_id: str
    user_id: str
    service_version: str
    models: tuple[str, ...]
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    leaf_errors: int
    has_recorded_error: bool
    """Whether a span's status, or the receiver's flag for it, says that it failed."""
    step_tokens: tuple[int, ...]
    """Tokens by step; empty when nothing was wasted."""
    step_ms: tuple[int, ...]
    step_usd: tuple[float, ...]
    signals: RiskSignals
    decisive_span_id: str | None
    root_span_id: str
    features: tuple[Feature, ...]

    @property
    def duration_ms(self) -> int:
        """From the first start to the last end; 0 while nothing has ended."""
        return max(0, self.end_unix_ns - self.start_unix_ns) // 1_000_000


@dataclass(slots=True)
class Group:
    """One finding over many traces."""

    hits: dict[str, Hit] = field(default_factory=dict)
    unrecovered: list[Case] = field(default_factory=list)
    recovered: list[Case] = field(default_factory=list)

    def absorb(self, other: "Group") -> None:
        """Add the traces of *other*."""
        for trace_id, hit in other.hits.items():
            known = self.hits.get(trace_id)
            self.hits[trace_id] = hit if known is None else _joined(known, hit)
        self.unrecovered = best(self.unrecovered + other.unrecovered, MAX_CASES)
        self.recovered = best(self.recovered + other.recovered, MAX_CASES)


@dataclass(slots=True)
class Checked:
    """How much of what it applies to a rule has checked."""

    checked: int = 0
    of: int = 0
    not_checked: Counter["NotCheckedReason"] = field(default_factory=Counter)

    def add(self, checked: int, of: int, not_checked: Mapping["NotCheckedReason", int]) -> None:
        """Add units."""
        self.checked += checked
        self.of += of
        for reason, units in not_checked.items():
            if units:
                self.not_checked[reason] += units


class Defects(NamedTuple):
    """How often a defect of the recording was met; the example is the least of all."""

    met: int
    of: int
    example: tuple[str, str]
    """Trace and span; empty texts when there is none."""


class Example(NamedTuple):
    """A success of a subject; the least comes first."""

    steps: int
    trace_id: str
    quote: Quote


@dataclass(slots=True)
class Partial:
    """Everything the miner knows of a set of traces."""

    traces: dict[str, TraceFacts] = field(default_factory=dict)
    groups: dict[FindingKey, Group] = field(default_factory=dict)
    eligible: dict[Population, set[str]] = field(default_factory=dict)
    checked: dict[str, Checked] = field(default_factory=dict)
    defects: dict[str, Defects] = field(default_factory=dict)
    examples: dict[Subject, list[Example]] = field(default_factory=dict)
    spreads: dict[Measure, Spread] = field(default_factory=dict)
    tool_lists: dict[Feature, ToolList] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    large: Counter[str] = field(default_factory=Counter)
    """Traces that were too large for one answer (``traces``), their ``parts``, and the
    ``spans`` and ``bytes`` of them that nobody looked at."""

    def absorb(self, other: "Partial") -> None:
        """Add what is known of other traces; *other* is not to be used afterwards."""
        self.traces.update(other.traces)
        self.skipped.update(other.skipped)
        self.large.update(other.large)
        for feature, offered in other.tool_lists.items():
            self.tool_lists[feature] = min(offered, self.tool_lists.get(feature, offered))
        for key, group in other.groups.items():
            self.groups.setdefault(key, Group()).absorb(group)
        for population, traces in other.eligible.items():
            self.eligible.setdefault(population, set()).update(traces)
        for rule, checked in other.checked.items():
            self.checked.setdefault(rule, Checked()).add(
                checked.checked, checked.of, checked.not_checked
            )
        for code, defects in other.defects.items():
            self.add_defects(code, defects)
        self.add_examples(other.examples)
        for measure, spread in other.spreads.items():
            self.spreads.setdefault(measure, Spread(spread.floor)).absorb(spread)

    def add_defects(self, code: str, defects: Defects) -> None:
        """Count defects of one kind."""
        self.defects[code] = _both(self.defects.get(code), defects)

    def add_examples(self, examples: Mapping[Subject, list[Example]]) -> None:
        """Keep the least of *examples* and those already known."""
        for subject, found in examples.items():
            kept = self.examples.get(subject)
            if kept is None or len(kept) < MAX_EXAMPLES or found[0] < kept[-1]:
                self.examples[subject] = best((kept or []) + found, MAX_EXAMPLES)


def _joined(left: Hit, right: Hit) -> Hit:
    """Two findings that turned out to be one, in one trace."""
    if left.is_weak != right.is_weak:
        return right if left.is_weak else left
    return Hit(
        roles=tuple(sorted({*left.roles, *right.roles}, key=lambda role: (role.step, role))),
        occurrences=left.occurrences + right.occurrences,
        spans=left.spans + right.spans,
        is_recovered=left.is_recovered and right.is_recovered,
        wasted=tuple(sorted({*left.wasted, *right.wasted})),
        certainty=min(left.certainty, right.certainty, key=CERTAINTIES.index),
        is_weak=left.is_weak,
        failed_at=left.failed_at if left.failed_at == right.failed_at else NOWHERE,
    )


def best(candidates: Iterable[_T], limit: int) -> list[_T]:
    """The *limit* least ones, in order."""
    return sorted(candidates)[:limit]


def _both(left: Defects | None, right: Defects) -> Defects:
    if left is None:
        return right
    if not (left.example[0] and right.example[0]):
        # An empty text is less than any other: the greater one is the one there is.
        example = max(left.example, right.example)
    else:
        example = min(left.example, right.example)
    return Defects(left.met + right.met, left.of + right.of, example)
