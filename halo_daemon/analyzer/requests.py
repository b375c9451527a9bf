"""
Requests of users, and whether two are one and the same in other words.

Compared are the words that carry meaning, cut to their stems, in any order: "How do I
cancel my order?" and "I want to cancel the order!" are one request. What names a thing
(numbers, ids, names) must be the same in the same order, so that "from Rome to Oslo"
and "from Oslo to Rome" are two, and so are the same question about two orders.
"""

import re
from hashlib import blake2b
from typing import NamedTuple

MAX_CHARS = 600
_STEM_CHARS = 6
_MIN_WORDS = 2
_MIN_EQUAL_WORDS = 3
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_DIGIT = re.compile(r"\d")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EMPTY_WORDS = _words(
    """
    a about again all already also am an and any are as asked at be been but by can could did do
    does for get give had has have help hello hey hi how i i'd i'll i'm is it it's its just
    kindly know let like make may me mean meant might my need now of once only ok okay or our
    please pls question really repeat said say see should so some still tell than thank thanks
    that that's the their them then there these they this those to told told try u us want
    wanted was we were what what's when where which who why will with would yes you your
    aber auch bitte da das dass dem den der des die doch du ein eine einen einer es für geht
    habe hallo hatte ich ihr im in ist ja kann können man meine meinen mich mir mit mal möchte
    nochmal schon sie sind und von was wie will wir wo zu zum
    au avec bonjour ce ces comment dans de des déjà du encore est et il j'ai je la le les ma mes
    mon nous où peux pour pouvez que qui quoi s'il un une veux voudrais vous
    al como con cuál cómo del dónde el en es favor hola la las lo los me mi mis otra para por
    pero puede puedo que qué quiero se si su una uno vez y ya
    """
)
"""Words of four languages that only carry a sentence, or only press a point."""

_GOES_ON = _words(
    """
    another continue different else further go more new next other proceed redo regenerate retry
    rest show weiter mehr nächste suivant plus suite siguiente más continuar
    """
)
"""Words with which a user goes on; such a request may be made many times."""


_ANSWER = re.compile(
    r"\W*(?:(?:ah|hm+|oh|uh+|um|well)\W+)?"
    r"(?:no|nope|nah|yes|yeah|yep|ok|okay|thanks?|nein|ja|danke|non|oui|merci|sí|gracias)\b",
    re.IGNORECASE,
)
_MAX_ANSWER_WORDS = 6
"""What is as short and begins with a yes, a no or thanks is said to a question, maybe to many."""


class Request(NamedTuple):
    """What a user asked for, without the text."""

    digest: str
    """Equal for one request in other words; ``""`` where it cannot be told."""
    words: int
    """Different words that carry meaning."""


NO_REQUEST = Request("", 0)


def request_of(text: str) -> Request:
    """Read one message of a user; nothing where it is long, too short, or only goes on."""
    if not text or len(text) > MAX_CHARS or text.lstrip()[:1] in {"{", "["}:
        return NO_REQUEST
    stems: set[str] = set()
    names: list[str] = []
    written = _WORD.findall(text)
    if len(written) <= _MAX_ANSWER_WORDS and "?" not in text and _ANSWER.match(text):
        return NO_REQUEST
    for place, word in enumerate(written):
        lowered = word.casefold().replace("\u2019", "'")
        if lowered in _GOES_ON:
            return NO_REQUEST
        if (not word.isalpha() and _DIGIT.search(word)) or (
            place and word[:1].isupper() and lowered not in _EMPTY_WORDS
        ):
            names.append(lowered)
        elif lowered not in _EMPTY_WORDS:
            stems.add(lowered[:_STEM_CHARS].rstrip("s"))
    words = len(stems) + len(set(names))
    if words < _MIN_WORDS:
        return NO_REQUEST
    meaning = "\0".join((*sorted(stems), "", *names))
    digest = blake2b(meaning.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return Request(digest, words)


def is_same(before: Request, after: Request, *, is_equal_text: bool) -> bool:
    """
    Whether *after* asks for the same as *before*.

    Two words may be said twice for many reasons; the very same text needs three.
    """
    return (
        bool(before.digest)
        and before.digest == after.digest
        and (not is_equal_text or after.words >= _MIN_EQUAL_WORDS)
    )
