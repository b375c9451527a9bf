"""
Words with which an agent tells that it did something, in four languages.

A claim is a finished deed of the speaker (*I have sent*) or one that was done to
something (*has been sent*). Deeds are named by their English participle. What is
denied, planned, asked or made to depend on something is no claim.
"""

import re
from collections.abc import Iterator

from halo_daemon.analyzer.orders import holds_any

DONE: dict[str, frozenset[str]] = {
    "sent": frozenset({"email", "mail", "message", "notify", "post", "send", "sms"}),
    "emailed": frozenset({"email", "mail", "send"}),
    "booked": frozenset({"book", "create", "reserve", "schedule"}),
    "reserved": frozenset({"book", "create", "hold", "reserve"}),
    "scheduled": frozenset({"add", "book", "create", "schedule", "set"}),
    "cancelled": frozenset({"cancel", "delete", "remove", "update"}),
    "canceled": frozenset({"cancel", "delete", "remove", "update"}),
    "refunded": frozenset({"cancel", "credit", "pay", "refund", "return"}),
    "updated": frozenset({"change", "edit", "modify", "patch", "put", "set", "update", "write"}),
    "changed": frozenset({"change", "edit", "modify", "set", "update", "write"}),
    "created": frozenset({"add", "create", "insert", "make", "new", "open", "post", "write"}),
    "deleted": frozenset({"clear", "delete", "drop", "remove"}),
    "removed": frozenset({"clear", "delete", "drop", "remove", "update"}),
    "saved": frozenset({"add", "create", "put", "save", "store", "update", "write"}),
    "uploaded": frozenset({"put", "store", "upload", "write"}),
    "submitted": frozenset({"create", "post", "send", "submit"}),
}
"""Words of a tool's name that could do the deed, by its participle."""

_GERMAN = {
    "abgeschickt": "sent",
    "gesendet": "sent",
    "geschickt": "sent",
    "verschickt": "sent",
    "versendet": "sent",
    "gebucht": "booked",
    "reserviert": "reserved",
    "storniert": "cancelled",
    "erstattet": "refunded",
    "zurückerstattet": "refunded",
    "aktualisiert": "updated",
    "geändert": "changed",
    "angelegt": "created",
    "erstellt": "created",
    "gelöscht": "deleted",
    "entfernt": "removed",
    "gespeichert": "saved",
    "hochgeladen": "uploaded",
    "eingereicht": "submitted",
}
_FRENCH = {
    "envoyé": "sent",
    "réservé": "booked",
    "annulé": "cancelled",
    "remboursé": "refunded",
    "mis à jour": "updated",
    "mise à jour": "updated",
    "modifié": "changed",
    "créé": "created",
    "supprimé": "deleted",
    "enregistré": "saved",
    "téléchargé": "uploaded",
    "soumis": "submitted",
}
_SPANISH = {
    "enviado": "sent",
    "reservado": "booked",
    "programado": "scheduled",
    "cancelado": "cancelled",
    "reembolsado": "refunded",
    "actualizado": "updated",
    "modificado": "changed",
    "cambiado": "changed",
    "creado": "created",
    "eliminado": "deleted",
    "borrado": "deleted",
    "guardado": "saved",
    "subido": "uploaded",
}

_CLAIMS = (
    (
        tuple(f" {verb}" for verb in DONE),
        re.compile(
            r"\b(?:i(?:['\u2019]ve| have)?(?: (?:just|now|already|successfully))*"
            r"|(?:has|have) (?:now |just |already )?been(?: successfully)?) "
            rf"(?P<verb>{'|'.join(DONE)})\b",
            re.IGNORECASE,
        ),
        {verb: verb for verb in DONE},
    ),
    (
        ("habe", "wurde"),
        # The participle stands at the end of its clause: "ich habe den Tisch gebucht".
        re.compile(
            r"\b(?:ich habe|habe ich|wurden?)\b(?:[^.!?\n,;:]{0,80}?) "
            rf"(?P<verb>{'|'.join(_GERMAN)})\b(?! (?:haben|werden))",
            re.IGNORECASE,
        ),
        _GERMAN,
    ),
    (
        ("'ai ", "’ai ", " été "),
        re.compile(
            r"\b(?:j['\u2019]ai|(?:a|ont)(?: bien)? été)(?: (?:bien|déjà|aussi|également))* "
            rf"(?P<verb>{'|'.join(_FRENCH)})(?:e?s?)\b",
            re.IGNORECASE,
        ),
        _FRENCH,
    ),
    (
        (" he ", " sido "),
        re.compile(
            r"\b(?:(?:ya )?(?:le |te |lo |la |les |se )*he|(?:ha|han) sido) "
            rf"(?P<verb>{'|'.join(word[:-1] for word in _SPANISH)})[oa]s?\b",
            re.IGNORECASE,
        ),
        {word[:-1]: verb for word, verb in _SPANISH.items()},
    ),
)
_DENIED = re.compile(
    r"\b(?:not|never|cannot|if|once|unless|when|whether|until|after|before|as soon as|no sooner"
    r"|nicht|nie|kein\w*|noch nicht|wenn|falls|sobald|ob|bevor"
    r"|ne|pas|jamais|si|quand|lorsque|dès"
    r"|no|nunca|cuando|hasta)\b|n['\u2019]t\b|\bn['\u2019](?:ai|a|ont)\b",
    re.IGNORECASE,
)
_DEPENDS = re.compile(
    r"\b(?:if|once|unless|when|until|as soon as|wenn|falls|sobald|quand|lorsque|cuando)\b",
    re.IGNORECASE,
)
_CLAUSE_ENDS = ".!?\n;:"
_CLAUSE_CHARS = 200


def claims_in(text: str) -> Iterator[tuple[str, int]]:
    """Deeds that *text* claims, by their English participle, with where each claim begins."""
    words = f" {text.lower()}".replace("\n", " ")
    for hints, pattern, verbs in _CLAIMS:
        # Most texts are in one language; looking for words is far cheaper than a pattern.
        if not holds_any(words, hints):
            continue
        for match in pattern.finditer(text):
            if not _is_denied(text, match.start(), match.end()):
                yield verbs[match["verb"].lower()], match.start()


def _is_denied(text: str, start: int, end: int) -> bool:
    """
    Whether the clause up to the verb denies the deed, or makes it depend on something.

    A comma ends a denial, as in "No, I have sent it", but no condition. In a question
    nothing is claimed.
    """
    head = text[max(0, start - _CLAUSE_CHARS) : start]
    head = head[max(head.rfind(mark) for mark in _CLAUSE_ENDS) + 1 :]
    clause = head if _DEPENDS.search(head) else head[head.rfind(",") + 1 :]
    if _DENIED.search(clause + text[start:end]):
        return True
    tail = text[end : end + _CLAUSE_CHARS]
    stop = min((at for mark in ".!?\n" if (at := tail.find(mark)) >= 0), default=-1)
    return stop >= 0 and tail[stop] == "?"
