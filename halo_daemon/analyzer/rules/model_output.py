"""Model calls whose output was cut or held back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from halo_daemon.analyzer.content import ModelCall, Text, parse_json, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.rules.degenerate import is_degenerate
from halo_daemon.analyzer.trace_view import TraceView

if TYPE_CHECKING:
    from halo_daemon.findings import Certainty

TRUNCATED_OUTPUT = "truncated_output"
FILTERED_OUTPUT = "filtered_output"
_CUT = frozenset({"length", "max_tokens", "max_length", "max_output_tokens", "incomplete"}) | {
    "model_context_window_exceeded"
}
_MAY_BE_CUT = _CUT | {""}
"""Without a reason the output itself is looked at."""

_FILTERED = frozenset(
    {"blocklist", "content-filter", "content_filter", "content_filtered", "guardrail_intervened"}
    | {"prohibited_content", "recitation", "safety", "spii"}
)
_LIMIT_KEYS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens")
_FENCE = "```"
_CLOSED_ENDS = frozenset("}]`.!?")
"""What a value in JSON or a sentence ends with: not every text that begins with a bracket is JSON."""

_OPEN_ENDS = frozenset("([{,=+-*/\\.:&|<")
"""What no line of a finished block of code ends with."""

_TAIL_CHARS = 200


class _Cut(NamedTuple):
    kind: str
    certainty: "Certainty"
    words: Text
    needle: str = ""


def check_truncated(view: TraceView) -> RuleOutput:
    """
    Output that ended at the limit of tokens, or in the middle of a JSON value.

    One that repeats itself without end is another failure (`degenerate`).
    """
    suspects = [
        call
        for call in view.model_calls
        if call.shape.may_limit or call.finish_reason.value.lower() in _MAY_BE_CUT
    ]
    return _check(view, TRUNCATED_OUTPUT, suspects, _cut_short)


def check_filtered(view: TraceView) -> RuleOutput:
    """Output that the provider's filter stopped."""
    suspects = [call for call in view.model_calls if call.finish_reason.value.lower() in _FILTERED]
    return _check(view, FILTERED_OUTPUT, suspects, _filtered_how)


def _check(
    view: TraceView,
    rule: str,
    suspects: list[ModelCall],
    how: Callable[[ModelCall], _Cut | None],
) -> RuleOutput:
    observations = []
    for call in suspects:
        found = how(call)
        if found is None:
            continue
        observations.append(
            Observation(
                key=FindingKey(rule, *view.model_subject_of(call), found.kind, ""),
                quotes=(quote(call.span, "decision", found.words, found.needle),),
                certainty=found.certainty,
            )
        )
    calls = len(view.model_calls)
    recorded = len(
        [call for call in view.model_calls if call.finish_reason.value or call.answer.value]
    )
    return over_units(observations, view.model_populations, checked=recorded, of=calls)


def _filtered_how(call: ModelCall) -> _Cut | None:
    if call.finish_reason.value.lower() in _FILTERED:
        return _Cut("filter", "proved", _finish_text(call), call.finish_reason.value)
    return None


def _finish_text(call: ModelCall) -> Text:
    """The whole attribute that holds the finish reason; it may be a list of reasons."""
    key = call.finish_reason.attribute
    return Text(key, text_of(call.span.attributes[key]))


def _cut_short(call: ModelCall) -> _Cut | None:
    found = _cut_how(call)
    return None if found and is_degenerate(call) else found


def _cut_how(call: ModelCall) -> _Cut | None:
    reason = call.finish_reason.value.lower()
    if reason in _CUT:
        return _Cut("token limit", "proved", _finish_text(call), call.finish_reason.value)
    limit = _token_limit(call)
    if limit and call.span.output_tokens == limit:
        return _Cut("token limit", "proved", call.answer, call.answer.value[-_TAIL_CHARS:])
    if not reason and _is_unfinished(call.answer.value):
        return _Cut("unfinished", "candidate", call.answer, call.answer.value[-_TAIL_CHARS:])
    return None


def _token_limit(call: ModelCall) -> int | None:
    if not call.shape.may_limit:
        return None
    stated = call.span.count("gen_ai.request.max_tokens")
    if stated:
        return stated
    text = call.span.text("llm.invocation_parameters")
    parameters = parse_json(text) if text else None
    if not isinstance(parameters, dict):
        return None
    for key in _LIMIT_KEYS:
        value = parameters.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _is_unfinished(answer: str) -> bool:
    """A JSON value or a block of code that was opened and not closed, and nothing after it."""
    text = answer.strip()
    if _FENCE in text and text.count(f"\n{_FENCE}") + text.startswith(_FENCE) == 1:
        # One fence alone opens a block. Some loops stop the model at the one that closes it.
        code = text.rpartition(_FENCE)[2]
        return len(code.splitlines()) > 1 and code.rstrip()[-1:] in _OPEN_ENDS
    if text[:1] in ("{", "[") and text[-1:] not in _CLOSED_ENDS:
        return (
            len(text) > 1 and text[1:2] in ('"', "{", "[", "\n", " ") and parse_json(text) is None
        )
    return False
