"""How models are used: another model than asked for, answers that fade."""

import re

from halo_daemon.analyzer.content import NO_TEXT, first_text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.span_shape import ASKED_MODEL_KEYS
from halo_daemon.analyzer.stats import median
from halo_daemon.analyzer.trace_view import TraceView

MODEL_SWAP = "model_swap"
OUTPUT_DECAY = "output_decay"
_SERVED_KEYS = ("gen_ai.response.model", "llm.response.model_name")
_SUFFIX = re.compile(r"[-@:._]?(?:[0-9][0-9.:-]*|latest|preview|exp|v[0-9].*|[-@:._])*")
_MIN_DECAY_CALLS = 8
_DECAY = 0.2
_MIN_MEDIAN_TOKENS = 50


def check_model_swap(view: TraceView) -> RuleOutput:
    """Model calls that another family of model answered than was asked."""
    observations = []
    recorded = 0
    for call in view.model_calls:
        if not call.shape.may_swap:
            continue
        asked = first_text(call.span, ASKED_MODEL_KEYS)
        served = first_text(call.span, _SERVED_KEYS) if asked.value else NO_TEXT
        if not served.value:
            continue
        recorded += 1
        if not is_same_family(asked.value, served.value):
            key = FindingKey(
                MODEL_SWAP, view.agent_of(call.span), mask_name(asked.value), served.value, ""
            )
            observations.append(
                Observation(key, (quote(call.span, "decision", served),), certainty="event")
            )
    calls = len(view.model_calls)
    eligible = view.agent_populations
    return over_units(observations, eligible, checked=recorded, of=calls)


def is_same_family(asked: str, served: str) -> bool:
    """Whether two model names differ in nothing but provider, date and version."""
    left, right = bare_model(asked), bare_model(served)
    shorter, longer = sorted((left, right), key=len)
    return longer.startswith(shorter) and _SUFFIX.fullmatch(longer[len(shorter) :]) is not None


def bare_model(model: str) -> str:
    """The name without its provider, in lower case."""
    return model.rpartition("/")[2].strip().lower()


def check_output_decay(view: TraceView) -> RuleOutput:
    """Answers in the last quarter of a run that fall below a fifth of its median length."""
    counted = [
        (tokens, call)
        for call in view.model_calls
        if (tokens := call.span.output_tokens) is not None
    ]
    if len(counted) < _MIN_DECAY_CALLS:
        return RuleOutput(of=1, not_checked={"too_few": 1})
    lengths, calls = zip(*counted, strict=True)
    usual = median(lengths)
    tail = calls[-(len(calls) // 4) :]
    longest = max(lengths[-len(tail) :])
    agent = view.agent_of(calls[-1].span)
    observations: tuple[Observation, ...] = ()
    if usual >= _MIN_MEDIAN_TOKENS and longest < _DECAY * usual:
        key = FindingKey(OUTPUT_DECAY, agent, "", "", "")
        cited = quote(tail[0].span, "symptom", tail[0].answer)
        observations = (Observation(key, (cited,), spans=len(tail)),)
    return RuleOutput(observations, frozenset({Population("agent", agent, "")}), checked=1, of=1)
