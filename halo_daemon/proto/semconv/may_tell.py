"""
Whether a result may tell of a failure: a look that takes a microsecond for a span.

It says yes to nearly all of what `told_failure` finds, and to little else, so that the
receiver need not read every result whole.
"""

from typing import Final

from halo_daemon.proto.json_value import JsonValue
from halo_daemon.proto.semconv.failure_words import RARE_BEGINNINGS

_HTTP_ERRORS: Final = range(400, 600)
_OPENING_CHARS: Final = 80
_START_CHARS: Final = 4
_OPENINGS: Final = (
    *("error", "fatal", "failed", "failure", "fehler", "erreur", "fout", "fel:", "virhe"),
    *("chyba", "hata", "błąd", "lỗi:", "traceback", "uncaught", "unhandled", "panic"),
    *("segmentation", "core", "curl", "tool", "function", "command", "process", "request"),
    *("query", "script", "http", "status", "unable", "could", "cann", "can'", "permission"),
    *("access", "connection", "operation", "call", "read", "time", "bad ", "unauth", "payment"),
    *("forbidden", "not ", "method", "too ", "internal", "service", "gateway", "rate", "quota"),
    *("<html", "<!doc", "<?xml", "thread '", "[Errno"),
)
_STARTS: Final = frozenset(
    cased[:_START_CHARS]
    for opening in _OPENINGS
    for cased in (opening, opening.capitalize(), opening.upper())
) | frozenset(f"{status}{end}" for status in _HTTP_ERRORS for end in (":", " ", "-", "\n"))
"""How a text begins that tells of a failure, but for what is looked for by its letters."""
_FIRST_CHARS: Final = frozenset("{ошпО错錯エ오에خ❌")
"""Of what is looked at again: objects, and words for errors in other scripts."""
_ERROR_DIGITS: Final = frozenset("45")
_MAX_STATED_CHARS: Final = 2_000


def may_tell(result: JsonValue) -> bool:
    """
    Whether it is worth asking `told_failure`, for whoever has a microsecond for a span.

    False for nearly all that tells of none, and for some that do: objects that wrap a
    refusal without any word for an error, and long ones that only state a code.
    """
    if not isinstance(result, str):
        return result is not None
    start = result[:_START_CHARS]
    if start in _STARTS:
        return True
    if start[:1] in _FIRST_CHARS:
        return start[0] != "{" or _may_state(result)
    head = result[:_OPENING_CHARS]
    return (
        "rror" in head
        or "xcept" in head
        or "ot found" in head
        or "imed out" in head
        or "xpired" in head
        or result[:3].lower() in RARE_BEGINNINGS
    )


def _may_state(result: str) -> bool:
    """Of an object: whether it has a word for an error, denies success, or states a code."""
    if "rror" in result:
        return True
    if len(result) > _MAX_STATED_CHARS:
        return False
    return (
        "ailed" in result
        or ("alse" in result and ('"success"' in result or '"ok"' in result))
        or _has_error_code(result, 'tatus":')
        or _has_error_code(result, 'ode":')
    )


def _has_error_code(result: str, name: str) -> bool:
    at = result.find(name)
    if at < 0:
        return False
    at += len(name)
    return result[at : at + 3].lstrip(' "')[:1] in _ERROR_DIGITS
