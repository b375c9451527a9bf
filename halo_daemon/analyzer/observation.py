"""What a rule says of one trace: small values that merge in any order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from halo_daemon.analyzer.content import NO_TEXT, Text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.outage import NOWHERE, FailedAt
from halo_daemon.analyzer.populations import Population
from halo_daemon.proto.span import Span

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty, NotCheckedReason, Role

MAX_QUOTE_CHARS = 400


class Quote(NamedTuple):
    """A cited span; the text is exactly ``value[start:end]`` of the named attribute."""

    span_id: str
    role: "Role"
    attribute: str
    start: int
    end: int
    text: str


class StepRange(NamedTuple):
    """Half-open range of a trace's steps, by place."""

    first: int
    end: int


NO_STEPS = StepRange(0, 0)


@dataclass(frozen=True, slots=True)
class Observation:
    """One occurrence of a finding in a trace."""

    key: FindingKey
    quotes: tuple[Quote, ...]
    """The symptom first; then decision and recovery where there are any."""

    certainty: "Certainty" = "candidate"
    recovered: bool = False
    wasted: StepRange = NO_STEPS
    """Steps that would not have been needed."""

    spans: int = 1
    """Spans that show the symptom."""

    is_weak: bool = False
    """Too little to count on its own; kept for the weak signals."""

    failed_at: FailedAt = NOWHERE
    """What outside failed, and how, where an error tells."""


_NOTHING: Mapping["NotCheckedReason", int] = MappingProxyType({})


class RuleOutput(NamedTuple):
    """What one rule found in one trace."""

    observations: tuple[Observation, ...] = ()
    eligible: frozenset[Population] = frozenset()
    """What the trace could have shown."""

    checked: int = 0
    of: int = 0
    not_checked: Mapping["NotCheckedReason", int] = _NOTHING
    """Units left out, by reason."""


def over_units(
    observations: Iterable[Observation],
    eligible: frozenset[Population],
    *,
    checked: int,
    of: int,
    others: "NotCheckedReason" = "not_recorded",
) -> RuleOutput:
    """
    What a rule found that looks at units one by one, such as model calls or tools.

    Args:
        observations: In any order.
        eligible: What the trace could have shown.
        checked: Units that say enough to be judged.
        of: All units.
        others: Why those that were not checked were not.
    """
    return RuleOutput(
        tuple(observations), eligible, checked=checked, of=of, not_checked={others: of - checked}
    )


def quote(span: Span, role: "Role", text: Text, needle: str = "") -> Quote:
    """
    Cite *span* with the part of *text* that begins at *needle*, at most 400 characters.

    From the beginning of the text when *needle* is empty or not in it; without
    words, as a whole span, when the text is empty; without a place, when it has no name.
    """
    if not text.value:
        text, needle = (Text("name", span.name) if span.name else NO_TEXT), ""
    start = max(0, text.value.find(needle)) if needle else 0
    length = len(needle) if needle and text.value.startswith(needle, start) else MAX_QUOTE_CHARS
    end = min(len(text.value), start + min(length, MAX_QUOTE_CHARS))
    return Quote(span.span_id, role, text.attribute, start, end, text.value[start:end])
