"""
Secrets out of text, before it is shown to a model, a journal or a reader of reports.

Each rule is a pattern anchored in something that only secrets have: a
provider's prefix, a key's name, a check digit. What it finds becomes
``[redacted:<rule>]``, so that a quote of masked text is still a quote. What is stored can
have a keyed hash in it besides, ``[redacted:<rule>#<hash>]``: equal secrets are then seen
to be equal, by those who do not know them.
"""

import hmac
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, NamedTuple

from halo_daemon.proto.json_value import JsonValue


class Redacted(NamedTuple):
    """Text without its secrets, and how many were taken out."""

    text: str
    values: int


class _Rule(NamedTuple):
    name: str
    anchors: tuple[str, ...]
    """Lower-case texts one of which must occur; looked up before the pattern runs."""
    pattern: re.Pattern[str]
    """The group ``secret``, where there is one, is what is taken out."""


def _rule(name: str, anchors: str, pattern: str) -> _Rule:
    return _Rule(name, tuple(anchors.split()), re.compile(pattern))


_NOT_BEFORE = r"(?<![A-Za-z0-9_-])"
_RULES = (
    _rule(
        "private-key",
        "-----begin",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"[^-]{0,20000}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    _rule("jwt", "eyj", _NOT_BEFORE + r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),
    _rule(
        "api-key",
        "sk- sk_ rk_ pk_live pplx- gsk_ xai- r8_ hf_ whsec_ npm_ pypi- dop_v1_ hd_ingest_ sg. key- lsv2_ pat-",
        _NOT_BEFORE
        + r"(?:sk-(?=[\w-]{0,256}\d)(?:[a-z]{2,12}-){0,3}[A-Za-z0-9_-]{16,}|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}"
        r"|pplx-[A-Za-z0-9]{24,}|gsk_[A-Za-z0-9]{24,}|xai-[A-Za-z0-9]{24,}|r8_[A-Za-z0-9]{24,}"
        r"|hf_[A-Za-z0-9]{24,}|whsec_[A-Za-z0-9+/=]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}"
        r"|dop_v1_[a-f0-9]{40,}|hd_ingest_\w{8,}|SG\.[\w-]{16,}\.[\w-]{16,}"
        r"|key-[a-f0-9]{32}|lsv2_[a-z]{2}_[a-f0-9_]{32,})",
    ),
    _rule("aws-key", "akia asia", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    _rule(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat-",
        _NOT_BEFORE + r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{40,}|glpat-[\w-]{18,})",
    ),
    _rule("google-key", "aiza ya29.", _NOT_BEFORE + r"(?:AIza[\w-]{35}|ya29\.[\w-]{20,})"),
    _rule(
        "slack-token",
        "xox hooks.slack.com",
        r"(?<![A-Za-z0-9])xox[abeoprs]-[\w-]{10,}|hooks\.slack\.com/services/[\w/]{20,}",
    ),
    _rule(
        "bearer-token",
        "bearer basic",
        r"(?i)\b(?:bearer|authorization\W{1,4}basic)\s+(?P<secret>[A-Za-z0-9._~+/=-]{16,})",
    ),
    _rule(
        "password",
        "password passwd pwd secret api_key api-key apikey access_key access_token"
        " auth_token refresh_token client_secret private_key",
        r"(?i)(?:password|passwd|\bpwd|secret|api[_-]?key|access[_-]?key|access_token|auth_token"
        r"|refresh_token|client_secret|private_key)(?:_id)?\\?[\"']?\s{0,4}(?:[:=]|=>)\s{0,4}\\?[\"']?"
        r"(?P<secret>(?!\[redacted)[^\s\"'\\,;&<>(){}\[\]]{6,256})",
    ),
    _rule(
        "url-password",
        "://",
        r"://[^\s/:@\"'<>]{1,128}:(?P<secret>(?!\[redacted)[^\s/@\"'<>]{1,256})@",
    ),
)
# Begins with a digit, not with what must not stand before it: so most text is skipped at once.
_CARD = re.compile(r"\d(?<![\d.]\d)[ -]?(?:\d[ -]?){11,17}\d(?![\d.])")
_CARD_STARTS = frozenset("23456")
_MAX_KEY_CHARS = 200
# Twice six digits of a hash are too long to meet by chance.
_HALF_HASH_CHARS: Final[int] = 6

Mark = Callable[[str, str], str]
"""What stands in the place of a secret, given the name of its rule and the secret."""


def masked_as(rule: str, secret: str) -> str:
    """The mark that says nothing of the secret."""
    del secret
    return f"[redacted:{rule}]"


def hashed_as(key: bytes, rule: str, secret: str) -> str:
    """The mark that is the same for the same secret, and tells nothing without *key*."""
    digest = hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()
    left, right = digest[:_HALF_HASH_CHARS], digest[_HALF_HASH_CHARS : 2 * _HALF_HASH_CHARS]
    # With a digit and a letter in it, it is never a card's number, and always a changing part
    # to what groups errors by their texts. A colon before it would look like `password: …`.
    return f"[redacted:{rule}#{left}0a{right}]"


def redact_text(text: str, mark: Mark = masked_as) -> Redacted:
    """
    Take secrets out of *text*, and put a *mark* in the place of each.

    Linear in the length of *text*; text without secrets comes back as the same object.
    """
    lowered = text.lower()
    values = 0
    for name, anchors, pattern in _RULES:
        if any(anchor in lowered for anchor in anchors):
            text, found = pattern.subn(partial(_replaced, name, mark), text)
            values += found
    cards = [match for match in _CARD.finditer(text) if _is_card(match[0])]
    for match in reversed(cards):
        digits = "".join(char for char in match[0] if char.isdigit())
        text = f"{text[: match.start()]}{mark('card', digits)}{text[match.end() :]}"
    return Redacted(text, values + len(cards))


def redact_value(value: JsonValue, mark: Mark = masked_as) -> tuple[JsonValue, int]:
    """*value* with every text in it redacted, keys included, and how many were taken out."""
    if isinstance(value, str):
        return redact_text(value, mark)
    if isinstance(value, list):
        items = [redact_value(item, mark) for item in value]
        return [item for item, _ in items], sum(found for _, found in items)
    if isinstance(value, dict):
        fields = {_redact_key(key, mark): redact_value(item, mark) for key, item in value.items()}
        found = sum(key.values + inner for key, (_, inner) in fields.items())
        return {key.text: item for key, (item, _) in fields.items()}, found
    return value, 0


def _redact_key(key: str, mark: Mark) -> Redacted:
    return _redact_short(key, mark) if len(key) <= _MAX_KEY_CHARS else redact_text(key, mark)


_redact_short = lru_cache(maxsize=4_096)(redact_text)
"""Keys are few and come again in every span."""


def _replaced(rule: str, mark: Mark, match: re.Match[str]) -> str:
    whole = match[0]
    if "secret" not in match.re.groupindex:
        return mark(rule, whole)
    start, end = match.span("secret")
    secret = mark(rule, match["secret"])
    return f"{whole[: start - match.start()]}{secret}{whole[end - match.start() :]}"


def _is_card(text: str) -> bool:
    """Whether the digits pass Luhn's check and begin like a card, not like a time or an id."""
    digits = [int(char) for char in text if char.isdigit()]
    if str(digits[0]) not in _CARD_STARTS or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]  # noqa: PLR2004
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
