"""Runs that say of themselves that they are getting nowhere."""

import re

from halo_daemon.analyzer.delegation import replies
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.together import together
from halo_daemon.analyzer.trace_view import TraceView

NO_PROGRESS = "no_progress"
_MAX_CHARS = 8_000
_WORDS = ("progress", "loop", "stuck", "stall", "circles")
_VALUE = r"\"\s*:\s*(?:\{[^{}]{0,1000}\"(?:answer|value)\"\s*:\s*)?"
_STATED = re.compile(
    rf"\"\w{{0,40}}progress\w{{0,40}}{_VALUE}(?:false|\"no\")"
    rf"|\"\w{{0,40}}(?:loop|stuck|stall)\w{{0,40}}{_VALUE}(?:true|\"yes\")"
    r"|\b(?:we|i) (?:are|am|'re|'m|seem to be|appear to be|keep) (?:now |again |still |just )?"
    r"(?:going (?:around |round )?in circles"
    r"|not (?:making|getting) (?:any |much )?(?:real )?(?:progress|anywhere))\b"
    r"|\bno (?:further |real )?progress (?:has been|is being|was) made\b",
    re.IGNORECASE,
)


def check_no_progress(view: TraceView) -> RuleOutput:
    """A model's statement that the run is stuck; its decision is the first answer it led to."""
    answers = together([call.answer.value for call in view.model_calls])
    told = any(holds_any(piece, _WORDS) for piece in answers)
    for call in view.model_calls if told else ():
        text = call.answer.value[:_MAX_CHARS]
        match = _STATED.search(text) if holds_any(text, _WORDS) else None
        if match:
            key = FindingKey(NO_PROGRESS, view.agent_of(call.span), "", "", "")
            quotes = [quote(call.span, "symptom", call.answer, match[0]), *_first_try(view)]
            found = (Observation(key, tuple(quotes)),)
            return RuleOutput(found, view.agent_populations, checked=1, of=1)
    return RuleOutput((), view.agent_populations, checked=1, of=1)


def _first_try(view: TraceView) -> list[Quote]:
    """What the first directed agent answered: what followed was built on it."""
    return [decision_quote(answer.span) for answer in replies(view)[:1]]
