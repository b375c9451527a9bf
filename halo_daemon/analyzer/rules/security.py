"""Secrets in what is recorded."""

import re
from typing import NamedTuple

from halo_daemon.analyzer.content import Text, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.span import Span

SECRET_IN_SPAN = "secret_in_span"  # noqa: S105 -- a rule's name
_SHOWN_CHARS = 6
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


def _may_hold_secret(text: str) -> bool:
    for char, marks in _SECRET_MARKS:  # noqa: SIM110 -- several times faster than a generator
        if char in text and holds_any(text, marks):
            return True
    return False


def _secret(span: Span) -> tuple[str, str, str, int] | None:
    for key in _SCANNED_KEYS:
        text = text_of(span.attributes.get(key))[:_MAX_CHARS]
        if not _may_hold_secret(text):
            continue
        for secret in _SECRETS:
            start = secret.first_in(text)
            if start >= 0:
                return secret.kind, key, text, start
    return None
