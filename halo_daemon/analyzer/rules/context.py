"""
What fills the prompts of a run: growth, a full window, one large part, a cache that is lost.

All are facts of cost. They are no failures unless they go with one.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from halo_daemon.analyzer.content import ModelCall, Text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.model_use import bare_model
from halo_daemon.analyzer.stats import median
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty

CONTEXT_GROWTH = "context_growth"
FULL_WINDOW = "window"
LARGE_PART = "part"
LOST_CACHE = "cache"
_MIN_CALLS = 4
_GROWTH = 5.0
_LARGE_PROMPT_TOKENS = 50_000
_FULL = 0.8
_LARGE_PART_CHARS = 40_000
_MIN_CACHE_CALLS = 8
_CACHED = 0.5
_FALL = 0.5
_MIN_CACHED_PROMPT_TOKENS = 4_000
_CACHED_KEY = "inference.llm.cached_input_tokens"
_MESSAGES = "llm.input_messages."

_WINDOWS: dict[str, int] = {
    "claude-3": 200_000,
    "claude-haiku-4": 200_000,
    "claude-opus-4": 200_000,
    "claude-sonnet-4": 200_000,
    "gemini-1.5-flash": 1_048_576,
    "gemini-1.5-pro": 2_097_152,
    "gemini-2.0-flash": 1_048_576,
    "gemini-2.5": 1_048_576,
    "gpt-3.5-turbo": 16_385,
    "gpt-4-turbo": 128_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "gpt-5": 400_000,
    "o1": 200_000,
    "o3": 200_000,
    "o4-mini": 200_000,
}
"""Tokens by the beginning of a model's name; a model that is not here is not checked."""


def check_context_growth(view: TraceView) -> RuleOutput:
    """Prompts that grow five-fold, fill the window, are mostly one part, or lose their cache."""
    calls = [call for call in view.model_calls if call.used.input_tokens]
    if len(calls) < _MIN_CALLS:
        return RuleOutput(of=1, not_checked={"too_few": 1})
    agent = calls[-1].agent
    tokens = [call.used.input_tokens for call in calls]
    largest = calls[tokens.index(max(tokens))]
    found = (
        _growth(calls, agent),
        _full_window(calls, agent),
        _large_part(largest, agent),
        _lost_cache(calls, agent),
    )
    eligible = frozenset({Population("agent", agent, "")})
    return RuleOutput(tuple(filter(None, found)), eligible, checked=1, of=1)


def _fact(
    key: FindingKey, cited: Quote, *, certainty: "Certainty" = "event", is_weak: bool = False
) -> Observation:
    return Observation(key, (cited,), certainty=certainty, recovered=True, is_weak=is_weak)


def _symptom(span: Span) -> Quote:
    return decision_quote(span)._replace(role="symptom")


def _growth(calls: list[ModelCall], agent: str) -> Observation | None:
    first, last = calls[0].used.input_tokens, calls[-1].used.input_tokens
    if last < _GROWTH * first:
        return None
    key = FindingKey(CONTEXT_GROWTH, agent, "", "", "")
    return _fact(key, _symptom(calls[-1].span), is_weak=last < _LARGE_PROMPT_TOKENS)


@lru_cache(maxsize=512)
def window_tokens(model: str) -> int:
    """The context window of *model*, by the longest name that it begins with; 0 when unknown."""
    name = bare_model(model)
    known = [start for start in _WINDOWS if name == start or name.startswith(start + "-")]
    return _WINDOWS[max(known, key=len)] if known else 0


def _full_window(calls: list[ModelCall], agent: str) -> Observation | None:
    """The fullest prompt; one beyond the window shows that the model has another window."""
    if not any(map(window_tokens, {call.model for call in calls})):
        return None
    shares = [(_share_of_window(call), call.span) for call in calls]
    share, span = max(shares, key=lambda row: row[0])
    if not _FULL <= share <= 1:
        return None
    key = FindingKey(CONTEXT_GROWTH, agent, mask_name(span.model), FULL_WINDOW, "")
    # The table knows the window that a model usually has, not the one that was rented.
    return _fact(key, _symptom(span), certainty="candidate")


def _share_of_window(call: ModelCall) -> float:
    window = window_tokens(call.model)
    return call.used.input_tokens / window if window else 0.0


def _large_part(call: ModelCall, agent: str) -> Observation | None:
    """One message that is more than half of the largest prompt."""
    span, largest, total = call.span, "", 0
    for key in call.shape.inputs:
        value = span.attributes[key]
        if key.startswith(_MESSAGES) and isinstance(value, str):
            total += len(value)
            if len(value) > _LARGE_PART_CHARS and 2 * len(value) > total:
                largest = key
    part = span.text(largest) if largest else ""
    if not part or 2 * len(part) <= total:
        return None
    place = largest.removeprefix(_MESSAGES).partition(".")[0]
    role = mask_name(span.text(f"{_MESSAGES}{place}.message.role"))
    found = FindingKey(CONTEXT_GROWTH, agent, "", LARGE_PART, role)
    return _fact(found, quote(span, "symptom", Text(largest, part)))


def _lost_cache(calls: list[ModelCall], agent: str) -> Observation | None:
    """Prompts that were mostly cached, and later are not."""
    shares = []
    for call in calls:
        prompt = call.used.input_tokens
        if prompt < _MIN_CACHED_PROMPT_TOKENS:
            continue
        cached = call.span.count(_CACHED_KEY)
        if cached is not None:
            shares.append((min(1.0, max(0, cached) / prompt), call.span))
    if len(shares) < _MIN_CACHE_CALLS:
        return None
    half = len(shares) // 2
    before = median([share for share, _ in shares[:half]])
    after = median([share for share, _ in shares[half:]])
    if before < _CACHED or after > _FALL * before:
        return None
    lost = next(span for share, span in shares[half:] if share <= _FALL * before)
    return _fact(FindingKey(CONTEXT_GROWTH, agent, "", LOST_CACHE, ""), _symptom(lost))
