"""What users say of a run, in scores and in words."""

import re
from itertools import pairwise

from halo_daemon.analyzer.content import NO_TEXT, ModelCall, Text
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, quote
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.requests import MAX_CHARS, is_same, request_of
from halo_daemon.analyzer.trace_view import TraceView

NEGATIVE_FEEDBACK = "negative_feedback"
ASKED_AGAIN = "asked again"
_COMPLAINT = re.compile(
    r"\b(?:that(?:'s| is|s) (?:not (?:what i|right|correct|true)|wrong|incorrect)"
    r"|you(?:'re| are) (?:wrong|not listening|mistaken)|no,? (?:that'?s )?wrong"
    r"|i (?:already|just) (?:told|said|gave|asked)|you (?:didn'?t|did not) (?:answer|do what)"
    r"|not what i (?:asked|meant|wanted)|this is (?:useless|ridiculous|unacceptable)"
    r"|das (?:ist|war) (?:falsch|nicht (?:richtig|korrekt|das,? was ich)|unsinn)|das stimmt (?:so )?nicht(?! (?:mit|überein))"
    r"|(?:danach|das) (?:habe|hatte) ich nicht (?:gefragt|gemeint|gewollt)|meine frage nicht beantwortet"
    r"|c['\u2019]est (?:faux|incorrect|pas (?:ce que|correct|vrai))|ce n['\u2019]est pas (?:ce que j|correct|vrai)"
    r"|eso (?:no es (?:correcto|cierto|lo que)|est[aá] mal|es incorrecto)|no es lo que (?:ped[ií]|pregunt[eé])"
    r"|è sbagliato|non è quello che ho chiesto|(?:isso )?está errado|não foi (?:isso )?o que (?:eu )?pedi)\b",
    re.IGNORECASE,
)
_HINTS = (
    *("wrong", "incorrect", "mistaken", "useless", "ridiculous", "unacceptable"),
    *("not what i", "not right", "not correct", "not true", "not listening"),
    *("i already", "i just", "you didn", "you did not"),
    *("falsch", "nicht richtig", "nicht korrekt", "was ich", "unsinn", "stimmt", "habe ich nicht"),
    *("hatte ich nicht", "meine frage", "est faux", "est pas", "no es", "está mal", "esta mal"),
    *("sbagliato", "quello che", "errado", "que eu pedi", "que pedi"),
)
"""One of these is in every complaint, in small letters; looking for them is far cheaper."""

_SCANNED_CHARS = 1_000


_NOT_A_USER = re.compile(
    r"\s*(?:<|#|\[|observation|tool|function|output|result|error|exit|returncode|stdout|traceback)",
    re.IGNORECASE,
)


def check_feedback(view: TraceView) -> RuleOutput:
    """A bad score that a user gave, words that correct the agent, or the same request again."""
    agent = view.agent_of(view.root)
    eligible = frozenset({Population("agent", agent, ""), Population("session", agent, "")})
    outcome = view.outcome
    if outcome.source == "feedback" and outcome.verdict == "failed":
        key = FindingKey(NEGATIVE_FEEDBACK, agent, "", "score", "")
        cited = quote(view.root, "symptom", NO_TEXT)
        found = (Observation(key, (cited,), certainty="event"),)
        return RuleOutput(found, eligible, checked=1, of=1)
    told = [(call, text) for call in view.model_calls if (text := user_text(call)).value]
    for call, text in told:
        match = _complaint_in(text.value[:_SCANNED_CHARS])
        if match and _was_answered(view, call):
            key = FindingKey(NEGATIVE_FEEDBACK, agent, "", "words", "")
            cited = quote(call.span, "symptom", text, match[0])
            return RuleOutput((Observation(key, (cited,)),), eligible, checked=1, of=1)
    again = _asked_again(view, told) if len(told) > 1 else None
    conversed = len({text.attribute for _, text in told}) > 1
    if not conversed:
        eligible = frozenset({Population("agent", agent, "")})
    return RuleOutput((again,) if again else (), eligible, checked=1, of=1)


def _was_answered(view: TraceView, call: ModelCall) -> bool:
    """
    Whether the agent had said something that the newest words of a user may be about.

    What opens a conversation is about something else, however angry it is.
    """
    span = call.span
    return any(span.text(message.role) == "assistant" for message in call.shape.messages) or any(
        earlier.span.end_unix_ns <= span.start_unix_ns
        for earlier in view.model_calls
        if earlier.answer.value
    )


def _complaint_in(text: str) -> re.Match[str] | None:
    return _COMPLAINT.search(text) if holds_any(text.lower(), _HINTS) else None


def _asked_again(view: TraceView, told: list[tuple[ModelCall, Text]]) -> Observation | None:
    """The first message in which a user asks again for what an answer before should have given."""
    for (before, asked), (call, text) in pairwise(told):
        # The same message in a second call is one message: the conversation did not go on.
        if text.attribute == asked.attribute or not _is_short(asked, text):
            continue
        is_equal = text.value.split() == asked.value.split()
        requests = request_of(asked.value), request_of(text.value)
        if is_same(*requests, is_equal_text=is_equal) and _is_users(view, text.value):
            key = FindingKey(NEGATIVE_FEEDBACK, view.agent_of(view.root), "", ASKED_AGAIN, "")
            answered = quote(before.span, "decision", before.answer)
            return Observation(key, (quote(call.span, "symptom", text), answered))
    return None


def _is_short(*texts: Text) -> bool:
    return all(len(text.value) <= MAX_CHARS for text in texts)


def _is_users(view: TraceView, text: str) -> bool:
    """Whether a person wrote it: some frameworks hand results over in the user's name."""
    results = (call.result.value for call in view.tool_calls)
    return not (_NOT_A_USER.match(text) or any(r and (r in text or text in r) for r in results))


def user_turns(view: TraceView) -> list[int]:
    """When a user said something for the first time in the run, in Unix nanoseconds, in order."""
    first: dict[str, int] = {}
    for call in view.model_calls:
        if text := user_text(call).value:
            begun = call.span.start_unix_ns
            first[text] = min(begun, first.get(text, begun))
    return sorted(begun for text, begun in first.items() if _is_users(view, text))


def asked_of(view: TraceView) -> str:
    """What the user asked the run for: the root's input, else the first message of a user."""
    text = view.root.text("input.value")
    if text and text.lstrip()[:1] not in {"{", "["}:
        return text
    calls = view.model_calls[:1]
    return next((user_text(call).value for call in calls), "")


def user_text(call: ModelCall) -> Text:
    """The newest input message, where a user wrote it."""
    newest, span = call.shape.newest, call.span
    if newest is None or span.text(newest.role) != "user":
        return NO_TEXT
    return Text(newest.content, span.text(newest.content))
