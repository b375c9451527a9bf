"""The identity of a finding: a hash of what it is about, independent of order and of time."""

import hashlib
from typing import NamedTuple

ALGORITHM = "v1"
ID_CHARS = 12
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BITS_PER_CHAR = 5


class FindingKey(NamedTuple):
    """What makes two occurrences the same finding."""

    rule: str
    """Name of the rule, without its version."""
    agent: str
    """Agent, or service where no agent is recorded; masked."""
    subject: str
    """Tool or span name; masked."""
    error_type: str
    """Exception class, or what the rule puts in its place."""
    template: str
    """Masked text; empty for rules that have none."""


def finding_id(key: FindingKey, algorithm: str = ALGORITHM) -> str:
    """``F-`` and 12 characters of Crockford's base32: the first 60 bits of a SHA-256."""
    digest = hashlib.sha256(
        "\0".join((algorithm, *key)).encode("utf-8", "surrogatepass"),
    ).digest()
    bits = int.from_bytes(digest[:8], "big") >> (64 - ID_CHARS * _BITS_PER_CHAR)
    chars = [
        _CROCKFORD[(bits >> (_BITS_PER_CHAR * place)) & 31] for place in reversed(range(ID_CHARS))
    ]
    return "F-" + "".join(chars)
