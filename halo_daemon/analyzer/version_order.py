"""Which of two versions is the later one, as far as their names tell."""

import re

_TOKENS = re.compile(r"\d+|[a-z]+")
_PRERELEASES = frozenset(
    {"a", "alpha", "b", "beta", "canary", "dev", "nightly", "pre", "preview", "rc", "snapshot"}
)
_MAX_TOKENS = 12
_NUMBER = (0, 0, "")

VersionKey = tuple[tuple[int, int, str], ...]


def version_key(version: str) -> VersionKey:
    """
    A key by which versions are in order; empty for names without one, such as hashes.

    Numbers count as numbers, so 1.10 comes after 1.9; ``2.0-rc1`` comes before ``2.0``,
    which is the same as ``2.0.0`` and as ``v2.0+build.7``.
    """
    text = version.strip().lower().removeprefix("v").partition("+")[0]
    first = re.match(r"\d+", text)
    # A hash may begin with digits too, but it goes on with letters.
    if first is None or text[first.end() : first.end() + 1] not in {"", ".", "-", "_"}:
        return ()
    key = [_ranked(token) for token in _TOKENS.findall(text)[:_MAX_TOKENS]]
    return (*key, *[_NUMBER] * (_MAX_TOKENS - len(key)))


def _ranked(token: str) -> tuple[int, int, str]:
    if token.isdecimal():
        return 0, int(token), ""
    return (-1, 0, token) if token in _PRERELEASES else (0, 0, token)
