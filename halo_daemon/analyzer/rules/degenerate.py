"""Model calls that ended in one phrase, over and over again."""

import re

from halo_daemon.analyzer.content import ModelCall, Text, text_of
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.trace_view import TraceView

DEGENERATE_OUTPUT = "degenerate_output"
_MIN_CHARS = 400
_MIN_TIMES = 10
_MAX_PHRASE_CHARS = 400
_END_CHARS = 16
_SHOWN_CHARS = 200
_MAX_TRIED = 8
_ENDS = " \t\r\n.,;:!?\u2026\u3002"
_MARKUP = frozenset('|\t{}[]<>=;"\\`')
"""What tables, code and records are made of; they may repeat themselves."""

_WORDS = re.compile(r"[^\W\d_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_CELLS = re.compile(r"\S,\S")
_FEW_WORDS = 2
_FENCE = "```"
_MODEL = "assistant"


def check_degenerate(view: TraceView) -> RuleOutput:
    """Answers whose end is one phrase, ten times or more and 400 characters or more."""
    observations = []
    recorded = 0
    for call in view.model_calls:
        recorded += bool(call.answer.value)
        if is_degenerate(call):
            key = FindingKey(DEGENERATE_OUTPUT, *view.model_subject_of(call), "", "")
            cited = quote(call.span, "decision", call.answer, _shown(call.answer))
            observations.append(Observation(key, (cited,), certainty="event"))
    calls = len(view.model_calls)
    return over_units(observations, view.model_populations, checked=recorded, of=calls)


def _shown(answer: Text) -> str:
    return answer.value.rstrip()[-_SHOWN_CHARS:]


def is_degenerate(call: ModelCall) -> bool:
    """Whether what the model said ends in one phrase without end, which nobody gave it so."""
    phrase = repeated_end(call.answer.value)
    return bool(phrase) and not _was_given(call, phrase)


def repeated_end(text: str) -> str:
    """
    The phrase that *text* ends in ten times or more, over 400 characters or more; else ``""``.

    It may begin anywhere within itself: where a text breaks off says nothing.
    """
    if len(text) < _MIN_CHARS:
        return ""
    text = text.rstrip(_ENDS)
    end = text[-_END_CHARS:]
    at = len(text) - _END_CHARS
    for _ in range(_MAX_TRIED):
        # A phrase comes again where the end stands next before itself.
        at = text.rfind(
            end, max(0, len(text) - _END_CHARS - _MAX_PHRASE_CHARS), at + _END_CHARS - 1
        )
        if at < 0:
            return ""
        phrase = text[at + _END_CHARS :]
        length = _repeated_chars(text, phrase)
        if length >= max(_MIN_CHARS, _MIN_TIMES * len(phrase)):
            return phrase if _is_prose(phrase) and not _is_in_block(text[:-length]) else ""
    return ""


def _repeated_chars(text: str, phrase: str) -> int:
    """Length of the whole phrases that *text* ends in."""
    start = len(text)
    while text.endswith(phrase, 0, start):
        start -= len(phrase)
    return len(text) - start


def _is_prose(phrase: str) -> bool:
    """Whether *phrase* is words, and no row of a table or a line of code."""
    twice = phrase + phrase
    if not _MARKUP.isdisjoint(phrase) or _CELLS.search(twice):
        return False
    if _UNSPACED.search(phrase):
        return True
    return " " in twice and any(len(word) > 1 for word in _WORDS.findall(twice))


def _is_in_block(before: str) -> bool:
    """Whether a block of code was opened in *before* and not closed."""
    return before.count(_FENCE) % 2 == 1


def _was_given(call: ModelCall, phrase: str) -> bool:
    """Whether others than the model said it as well: then it was asked to, or passes it on."""
    # The phrase may begin within a word: between its second and its last one it is whole.
    thrice = _words(phrase * 3)
    words = thrice[1 : 1 + len(thrice) - len(_words(phrase * 2))]
    # Two words stand anywhere; three times over they hardly do.
    row = words * (2 if len(words) > _FEW_WORDS else 4)
    length = len(row) - len(words)
    needles = [" ".join(row[at : at + length]) for at in range(len(words))]
    attributes = call.span.attributes
    spoken = (
        text_of(attributes.get(message.content))
        for message in call.shape.messages
        if attributes.get(message.role) != _MODEL
    )
    return any(needle in said for said in map(_folded, spoken) for needle in needles)


def _folded(text: str) -> str:
    return " ".join(_words(text))


def _words(text: str) -> list[str]:
    return _WORDS.findall(text)
