"""What users say of a run, in scores and in words."""

import re

from halo_daemon.analyzer.content import Text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.outcome import outcome_of
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

NEGATIVE_FEEDBACK = "negative_feedback"
_COMPLAINT = re.compile(
    r"\b(?:that(?:'s| is|s) (?:not (?:what i|right|correct|true)|wrong|incorrect)"
    r"|you(?:'re| are) (?:wrong|not listening|mistaken)|no,? (?:that'?s )?wrong"
    r"|i (?:already|just) (?:told|said|gave|asked)|you (?:didn'?t|did not) (?:answer|do what)"
    r"|not what i (?:asked|meant|wanted)|this is (?:useless|ridiculous|unacceptable))\b",
    re.IGNORECASE,
)
_SCANNED_CHARS = 1_000
_ROLE = "message.role"


def check_feedback(view: TraceView) -> RuleOutput:
    """A bad score that a user gave, or words with which a user corrects the agent."""
    agent = view.agent_of(view.root)
    eligible = frozenset({Population("agent", agent, "")})
    outcome = outcome_of(view.trace, view.root)
    if outcome.source == "feedback" and outcome.verdict == "failed":
        key = FindingKey(NEGATIVE_FEEDBACK, agent, "", "score", "")
        cited = quote(view.root, "symptom", Text("", ""))
        found = (Observation(key, (cited,), certainty="event"),)
        return RuleOutput(found, eligible, checked=1, of=1)
    for call in view.model_calls:
        text = _user_text(call.span)
        match = _COMPLAINT.search(text.value[:_SCANNED_CHARS]) if text.value else None
        if match:
            key = FindingKey(NEGATIVE_FEEDBACK, agent, "", "words", "")
            cited = quote(call.span, "symptom", text, match[0])
            return RuleOutput((Observation(key, (cited,)),), eligible, checked=1, of=1)
    return RuleOutput((), eligible, checked=1, of=1)


def _user_text(span: Span) -> Text:
    """The newest input message, where a user wrote it."""
    for key in reversed(span.attributes):
        if key.startswith("llm.input_messages.") and key.endswith("message.content"):
            role = span.text(key.removesuffix("message.content") + _ROLE)
            return Text(key, span.text(key)) if role == "user" else Text("", "")
    return Text("", "")
