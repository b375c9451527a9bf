"""Instructions in what tools return, and secrets in what is recorded."""

import re

from halo_daemon.analyzer.content import Text, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

INJECTION_TEXT = "injection_text"
SECRET_IN_SPAN = "secret_in_span"  # noqa: S105 -- a rule's name
_SHOWN_CHARS = 6
_INJECTION_HINTS = ("instruction", "system prompt", "<|im_start|>", "[inst]", "you are now")
_INJECTION = re.compile(
    r"(?:ignore|disregard|forget|override) (?:all |any |the |your |every )*"
    r"(?:previous|prior|above|earlier|preceding|system|original)[^.\n]{0,30}"
    r"(?:instructions?|prompts?|rules?|guidelines?)"
    r"|(?:reveal|print|repeat|output) (?:your |the )(?:system prompt|initial instructions)"
    r"|<\|im_start\|>\s*system|\[INST\]|new instructions?\s*:\s*\S|you are now (?:in )?\w+ mode",
    re.IGNORECASE,
)
_SECRET_MARKS = (
    "AKIA",
    "ASIA",
    "sk-",
    "ghp_",
    "github_pat_",
    "xox",
    "-----BEGIN",
    "AIza",
    "glpat-",
)
_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("API key", re.compile(r"\bsk-(?:[a-z]{2,8}-)*[A-Za-z0-9_]{20,}")),
    ("GitHub token", re.compile(r"\b(?:ghp_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,})")),
    ("Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("private key", re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    ("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20}\b")),
)
_SCANNED_KEYS = ("input.value", "output.value")
_MAX_CHARS = 200_000


def check_injection(view: TraceView) -> RuleOutput:
    """Text in a tool's result that speaks to the model as if it were its master."""
    observations = []
    for call in view.tool_calls:
        text = call.result.value[:_MAX_CHARS]
        match = _INJECTION.search(text) if _holds_any(text.lower(), _INJECTION_HINTS) else None
        if match:
            key = FindingKey(INJECTION_TEXT, call.agent, call.tool, "", "")
            quotes = [quote(call.span, "symptom", call.result, match[0])]
            following = view.following_call(call.span)
            if following:
                quotes.append(decision_quote(following))
            observations.append(Observation(key, tuple(quotes), recovered=True))
    calls = len(view.tool_calls)
    return RuleOutput(tuple(observations), view.span_populations, checked=calls, of=calls)


def check_secrets(view: TraceView) -> RuleOutput:
    """Values that look like keys and tokens; only their first characters are shown."""
    observations = []
    for span in view.steps:
        found = _secret(span)
        if found:
            kind, key_path, text, start = found
            subject = mask_name(span.tool_name or span.name)
            cited = quote(span, "symptom", Text(key_path, text))._replace(
                start=start, end=start + _SHOWN_CHARS, text=text[start : start + _SHOWN_CHARS]
            )
            key = FindingKey(SECRET_IN_SPAN, view.agent_of(span), subject, kind, "")
            observations.append(Observation(key, (cited,)))
    eligible = view.agent_populations
    return RuleOutput(tuple(observations), eligible, checked=len(view.steps), of=len(view.steps))


def _holds_any(text: str, marks: tuple[str, ...]) -> bool:
    # Most texts hold none; a loop over `in` is several times faster than a pattern.
    for mark in marks:  # noqa: SIM110 -- and than a generator
        if mark in text:
            return True
    return False


def _secret(span: Span) -> tuple[str, str, str, int] | None:
    for key in _SCANNED_KEYS:
        text = text_of(span.attributes.get(key))[:_MAX_CHARS]
        if not _holds_any(text, _SECRET_MARKS):
            continue
        for kind, pattern in _SECRETS:
            match = pattern.search(text)
            if match:
                return kind, key, text, match.start()
    return None
