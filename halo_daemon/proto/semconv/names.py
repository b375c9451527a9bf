"""What a span's name tells: its kind, and sometimes whose it is."""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.rows import Convention

_ID: Final = re.compile(r"-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_CHARS: Final = 37
_PREPARES: Final = ("._prepare_chat_with_tools",)
"""Methods of LlamaIndex's models that OpenInference takes for calls, each before the real one."""
_MAX_NAMES: Final = 4096
_MAX_REMEMBERED_CHARS: Final = 256
_BY_RANK: Final = sorted(CONVENTIONS, key=lambda convention: convention.rank)
_PATTERNS: Final = [row.pattern for convention in CONVENTIONS for row in convention.names]
_PARTED: Final = [pattern.partition("*") for pattern in _PATTERNS]
_WHOLE: Final = frozenset(whole for whole, star, _ in _PARTED if not star)
_HEADS: Final = tuple({head for head, star, _ in _PARTED if star and head})
_TAILS: Final = tuple({tail for head, star, tail in _PARTED if star and not head})


class _Match(NamedTuple):
    kind: str
    rest: str
    """What stands after the part that tells the kind."""


def kind_by_name(name: str, scope_name: str) -> str | None:
    """The observation kind that *name* stands for in that scope; None when in no table."""
    match = _looked_up(name, scope_name)
    return None if match is None else match.kind


def name_in_name(name: str, scope_name: str, kind: str) -> str:
    """The agent or tool that a span name of that kind names; ``""`` when it names none."""
    match = _looked_up(name, scope_name)
    return "" if match is None or match.kind != kind else match.rest


def only_prepares(name: str) -> bool:
    """Whether a method of that name makes no model call, whatever its span says."""
    return name.endswith(_PREPARES)


def _looked_up(name: str, scope_name: str) -> _Match | None:
    # LlamaIndex's first releases end a name with the id of its span.
    if name[-_ID_CHARS:][:1] == "-" and _ID.fullmatch(name, len(name) - _ID_CHARS):
        name = name[:-_ID_CHARS]
    # Names may be as long as a request: those do not come twice, and are not kept.
    is_short = len(name) + len(scope_name) <= _MAX_REMEMBERED_CHARS
    return _remembered(name, scope_name) if is_short else _match(name, scope_name)


@lru_cache(maxsize=_MAX_NAMES)
def _remembered(name: str, scope_name: str) -> _Match | None:
    return _match(name, scope_name)


def _match(name: str, scope_name: str) -> _Match | None:
    # Some services name each span anew: what is in no table is not looked for in all.
    if not (name in _WHOLE or name.startswith(_HEADS) or name.endswith(_TAILS)):
        return None
    for convention in _BY_RANK:
        if _speaks_in(convention, scope_name):
            for pattern, kind in convention.names:
                rest = _rest(name, pattern)
                if rest is not None:
                    return _Match(kind, rest)
    return None


def _rest(name: str, pattern: str) -> str | None:
    """What stands for the ``*`` of *pattern*, ``""`` without one; None for another name."""
    head, star, tail = pattern.partition("*")
    if not star:
        return "" if name == pattern else None
    is_match = len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)
    return name[len(head) : len(name) - len(tail)].strip(" []") if is_match else None


def _speaks_in(convention: Convention, scope_name: str) -> bool:
    return not convention.scopes or scope_name.startswith(convention.scopes)
