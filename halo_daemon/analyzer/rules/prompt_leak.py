"""Answers that hold the beginning of the agent's own instructions, word for word."""

import re
from collections.abc import Iterator
from functools import lru_cache

from halo_daemon.analyzer.content import ModelCall, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.trace_view import TraceView

PROMPT_LEAK = "prompt_leak"
_SYSTEM = frozenset({"system", "developer"})
_OTHERS = frozenset({"user", "human", "tool", "function"})
_MIN_CHARS = 40
_MAX_CHARS = 160
_HEAD_CHARS = 400
_MARKS = " \t\r\n#*_>-`"
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"[\s#*_>`-]+")
_SENTENCE = re.compile(r"[.!?:](?=\s|$)|\n|\u3002")
_ROLE = re.compile(
    r"\b[Yy]ou(?: are|['\u2019]re|['\u2019]ll act as| (?:will )?act as) (?:an? |the |\W{0,3}[A-Z])"
    r"|\bYou (?:answer|assist|handle|help|manage|review|serve|support|work|write)\b"
    r"|\b(?i:your (?:role|task|job|name|goal|purpose) is|act as an? )"
    r"|\b(?i:(?:du bist|sie sind|tu es|vous êtes|eres|usted es|sei|você é)"
    r" (?:eine?|une?|uma?|el|la|der|die)\b)"
    r"|\u4f60\u662f|\u60a8\u662f|\u3042\u306a\u305f\u306f"
)
"""How instructions begin that speak to the model; others may be there to be passed on."""


def check_prompt_leaks(view: TraceView) -> RuleOutput:
    """Words to the user that begin as the system prompt of the agent that says them does."""
    last = None if view.is_open else view.final_call
    if last is None or not last.answer.value:
        return RuleOutput(of=1, not_checked={"not_applicable": 1})
    told = _opening_of(view, last)
    if told is None:
        return RuleOutput(of=1, not_checked={"not_recorded": 1})
    words = _WORD.findall(told)
    observations = []
    for call in _told(view, last.agent) if words else ():
        found = _find(words, call.answer.value)
        if found and not _was_given(call, words):
            key = FindingKey(PROMPT_LEAK, last.agent, "", "", "")
            cited = quote(call.span, "decision", call.answer, found)
            observations.append(Observation(key, (cited,), certainty="event"))
    eligible = frozenset({Population("agent", last.agent, "")})
    return RuleOutput(tuple(observations), eligible, checked=1, of=1)


def _told(view: TraceView, agent: str) -> Iterator[ModelCall]:
    """What the agent that has the last word said without asking for a tool."""
    return (
        call
        for call in view.model_calls
        if call.agent == agent and call.answer.value and not call.requested
    )


def _opening_of(view: TraceView, last: ModelCall) -> str | None:
    """
    The opening of the system prompt of the agent that has the last word; None for none.

    It stands anywhere in the last prompt, or at the head of an earlier one where prompts
    hold only what is new.
    """
    for message in last.shape.messages:
        if last.span.text(message.role) in _SYSTEM:
            return opening(last.span.text(message.content))
    for call in view.model_calls:
        for message in call.shape.messages[:1] if call.agent == last.agent else ():
            if call.span.text(message.role) in _SYSTEM:
                return opening(call.span.text(message.content))
    return None


@lru_cache(maxsize=64)
def opening(prompt: str) -> str:
    """
    The first sentences of *prompt*, of forty characters at least; at most 160.

    Empty where it is shorter, or does not speak to the model of what it is or does.
    """
    role = _ROLE.search(prompt[:_HEAD_CHARS])
    if role is None:
        return ""
    # From the line on that says so: headings before it go lost in an answer.
    start = prompt.rfind("\n", 0, role.start()) + 1
    head = prompt[start : start + _HEAD_CHARS].strip(_MARKS)
    ends = (end.start() for end in _SENTENCE.finditer(head))
    end = next((end for end in ends if len(_SPACE.sub(" ", head[:end])) >= _MIN_CHARS), len(head))
    folded = _SPACE.sub(" ", head[:end]).strip()
    if len(folded) < _MIN_CHARS:
        return ""
    return folded if len(folded) <= _MAX_CHARS else folded[:_MAX_CHARS].rpartition(" ")[0]


def _find(words: list[str], text: str) -> str:
    """The part of *text* with those words in a row, whatever stands between; ``""`` for none."""
    if not all(word in text for word in words):
        return ""
    found = re.search(r"\W{1,10}".join(map(re.escape, words)), text)
    return found[0] if found else ""


def _was_given(call: ModelCall, words: list[str]) -> bool:
    """Whether a user or a tool said the same: then the agent writes or reads such texts."""
    attributes = call.span.attributes
    return any(
        _find(words, text_of(attributes.get(message.content)))
        for message in call.shape.messages
        if attributes.get(message.role) in _OTHERS
    )
