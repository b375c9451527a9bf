"""Whether a text declines to work, by its opening words."""

import re

_OPENINGS = re.compile(
    r"\W{0,4}(?:"
    r"(?:i['’]?m|i am) (?:very |really )?(?:sorry|afraid)[,.]? (?:but )?(?:i|that|this)"
    r"|sorry,? (?:but )?i (?:can|am|['’]m|won)|i (?:can['’]?t|cannot|can not|won['’]t|am unable to|am not able to)"
    r"(?: (?:help|assist|comply|do|fulfil|provide|continue))"
    r"|i must (?:decline|refuse)|es tut mir leid|tut mir leid|leider kann ich|ich kann (?:dabei|das|dir|ihnen) nicht"
    r"|je suis désolée?|désolée?,? (?:mais )?je|je ne peux pas|lo siento|no puedo (?:ayudar|hacer|cumplir)"
    r"|(?:me )?desculpe|sinto muito|não posso|mi dispiace|non posso (?:aiutar|far)"
    r"|抱歉|对不起|很抱歉|我无法|申し訳|すみません|죄송"
    r")",
    re.IGNORECASE,
)
_CITATION = re.compile(r"\[(?:span|trace):|\b[0-9a-f]{16,32}\b|```|[\"“”«»]")
_MAX_REFUSAL_CHARS = 1_500


def is_refusal(text: str) -> bool:
    """
    Whether *text* opens like a refusal.

    Wording alone never counts in a text that cites or quotes: reports on
    refusing agents are made of such words.
    """
    stripped = text.strip()
    return (
        len(stripped) <= _MAX_REFUSAL_CHARS
        and _OPENINGS.match(stripped) is not None
        and _CITATION.search(stripped) is None
    )
