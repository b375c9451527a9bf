"""Secrets in what is recorded, and what they led to."""

import re
from typing import TYPE_CHECKING, NamedTuple

from halo_daemon.analyzer.content import NO_TEXT, Text, text_of, tool_result
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, Quote, RuleOutput, quote
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.rules.obeyed import Use, first_use
from halo_daemon.analyzer.rules.tool_words import words_of
from halo_daemon.analyzer.together import together
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import TOOL, Span

if TYPE_CHECKING:
    from halo_daemon.findings import Role

SECRET_IN_SPAN = "secret_in_span"  # noqa: S105 -- a rule's name
PASSED_ON = "passed on"
_SHOWN_CHARS = 6
_MAX_VALUES = 20
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{32,}")
_GIVES_KEYS = frozenset(
    {"apikey", "auth", "authenticate", "authorize", "credential", "credentials", "key", "keys"}
    | {"login", "oauth", "secret", "secrets", "token", "tokens", "vault"}
)
"""Words in the names of tools that hand keys out: their keys are there to be used."""

_EDITS = frozenset({"edit", "editor", "file", "files", "notebook", "patch"})
_SENDS = frozenset({"email", "mail", "post", "publish", "send", "share", "upload"})

_SECRET_MARKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("-", ("sk-", "xox", "-----BEGIN", "glpat-")),
    ("_", ("ghp_", "github_pat_")),
    ("A", ("AKIA", "ASIA", "AIza")),
)
"""What secrets begin with, by a character that all of them hold: one is found far sooner."""


class _Secret(NamedTuple):
    kind: str
    marks: tuple[str, ...]
    """What the pattern begins with."""
    pattern: re.Pattern[str]

    def first_in(self, text: str) -> int:
        """Where the first one begins; -1 when there is none. Tried only where a mark stands."""
        starts = []
        for mark in self.marks:
            at = text.find(mark)
            while at >= 0 and not self.pattern.match(text, at):
                at = text.find(mark, at + 1)
            if at >= 0:
                starts.append(at)
        return min(starts, default=-1)


_SECRETS = (
    _Secret("AWS access key", ("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    _Secret("API key", ("sk-",), re.compile(r"\bsk-(?:[a-z]{2,8}-)*[A-Za-z0-9_]{20,}")),
    _Secret(
        "GitHub token",
        ("ghp_", "github_pat_"),
        re.compile(r"\b(?:ghp_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,})"),
    ),
    _Secret("Slack token", ("xox",), re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    _Secret("private key", ("-----BEGIN",), re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")),
    _Secret("Google API key", ("AIza",), re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b")),
    _Secret("GitLab token", ("glpat-",), re.compile(r"\bglpat-[A-Za-z0-9_-]{20}\b")),
)
_SCANNED_KEYS = ("input.value", "output.value")
_MAX_CHARS = 200_000


class _Found(NamedTuple):
    kind: str
    text: Text
    start: int


def check_secrets(view: TraceView) -> RuleOutput:
    """
    Values that look like keys and tokens; only their first characters are shown.

    Where a tool brought one that nobody had given to the run, and a later call that
    changes something was made with it, that call is what is told.
    """
    observations = []
    told: set[str] = set()
    texts = [
        value if isinstance(value, str) else text_of(value)
        for span in view.steps
        for key in _SCANNED_KEYS
        if (value := span.attributes.get(key))
    ]
    for span in view.steps if any(map(_may_hold_secret, together(texts))) else ():
        found = None if span.span_id in told else _secret(span)
        if found:
            led_to = _passed_on(view, span)
            observations.append(led_to or _recorded(view, span, found))
            if led_to:
                told |= {cited.span_id for cited in led_to.quotes}
    eligible = view.agent_populations
    return RuleOutput(tuple(observations), eligible, checked=len(view.steps), of=len(view.steps))


def _recorded(view: TraceView, span: Span, found: _Found) -> Observation:
    subject = mask_name(span.tool_name or span.name)
    key = FindingKey(SECRET_IN_SPAN, view.agent_of(span), subject, found.kind, "")
    return Observation(key, (_shown(span, "symptom", found.text, found.start),))


def _shown(span: Span, role: "Role", text: Text, start: int) -> Quote:
    end = start + _SHOWN_CHARS
    return quote(span, role, text)._replace(start=start, end=end, text=text.value[start:end])


def _passed_on(view: TraceView, span: Span) -> Observation | None:
    """The first later call that changes something with a secret from this result, or None."""
    if span.observation_kind != TOOL or not words_of(span.tool_name).isdisjoint(_GIVES_KEYS):
        return None
    result = tool_result(span)
    values = secret_values(result.value)
    use = first_use(view, span, values, is_use=_passes_on) if values else None
    if use is None or _was_given(view, span, use):
        return None
    call, value = use
    quotes = [_shown(call.span, "symptom", call.arguments, call.arguments.value.find(value))]
    decision = view.decision_of(call.span)
    if decision:
        # What a model asked for repeats the secret: the span is cited without its words.
        quotes.append(quote(decision, "decision", NO_TEXT))
    quotes.append(_shown(span, "symptom", result, result.value.find(value)))
    key = FindingKey(SECRET_IN_SPAN, call.agent, call.tool, PASSED_ON, "")
    return Observation(key, tuple(quotes))


def _passes_on(call: ToolCall) -> bool:
    """Whether what *call* is given goes elsewhere; who edits a file writes what stood in it."""
    words = words_of(call.tool)
    return words.isdisjoint(_EDITS) or not words.isdisjoint(_SENDS)


def _was_given(view: TraceView, span: Span, use: Use) -> bool:
    """Whether a prompt held the secret before *span* brought it: then it was the run's own."""
    return any(
        use.value in text_of(call.span.attributes[key])
        for call in view.model_calls
        if call.span.start_unix_ns < span.start_unix_ns
        for key in call.shape.inputs
    )


def secret_values(text: str) -> list[str]:
    """The keys and tokens in *text*, at most twenty; of a private key its first line."""
    text = text[:_MAX_CHARS]
    if not _may_hold_secret(text):
        return []
    found = [match for secret in _SECRETS for match in secret.pattern.finditer(text)]
    bodies = (_KEY_BODY.search(text, match.end()) for match in found if "-----" in match[0])
    whole = [match[0] for match in found if "-----" not in match[0]]
    return [*whole, *(body[0] for body in bodies if body)][:_MAX_VALUES]


def _may_hold_secret(text: str) -> bool:
    for char, marks in _SECRET_MARKS:  # noqa: SIM110 -- several times faster than a generator
        if char in text and holds_any(text, marks):
            return True
    return False


def _secret(span: Span) -> _Found | None:
    for key in _SCANNED_KEYS:
        text = text_of(span.attributes.get(key))[:_MAX_CHARS]
        if not _may_hold_secret(text):
            continue
        for secret in _SECRETS:
            start = secret.first_in(text)
            if start >= 0:
                return _Found(secret.kind, Text(key, text), start)
    return None
