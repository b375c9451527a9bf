"""
The mapping, compiled.

All rows of all conventions become one dictionary from attribute key to what the key
can answer. Spans of one instrumentation carry the same keys again and again, so what a
set of keys answers is worked out once and remembered: a *plan*, which says for each
field the attributes to ask, best first. Reading a span by its plan touches only keys
that are there.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.rows import FAMILY_SUFFIX, Row
from halo_daemon.proto.semconv.targets import (
    AGGREGATES,
    CACHE_WRITE_TOKENS,
    CACHED_TOKENS,
    FAILURE,
    FILLED,
    KIND,
    KIND_MIRROR,
    MODEL,
    SCALARS,
    TAIL,
    TOTAL_TOKENS,
)

_MAX_PLANS = 2048
_MAX_REMEMBERED_KEYS = 256
_INDEXED = re.compile(r"(.+?)\.\d+(?:\.|$)")

Precedence = tuple[int, int, int]
"""Rank of the convention, row in it, key in the row; lower goes first."""


class Source(NamedTuple):
    """One attribute that can answer a field."""

    key: str
    """The attribute; for an indexed family the beginning of its keys, dot included."""
    read: Callable[[JsonValue], JsonValue]
    only: frozenset[str] | None
    excludes_cache: bool


class Plan(NamedTuple):
    """What the attributes of a span can answer; sources stand best first."""

    kind: tuple[Source, ...]
    scalars: tuple[tuple[str, tuple[Source, ...]], ...]
    """By field; fields without a source are left out."""
    cache_write: tuple[Source, ...]
    total: tuple[Source, ...]
    has_cache_counts: bool
    has_usage: bool
    """Whether there is a count or a cost, which only a model call may keep."""
    fills: tuple[tuple[str, tuple[Source, ...]], ...]
    """By field, in the order they are written; fields that the span has are left out."""
    failures: tuple[Source, ...]
    has_model: bool
    has_kind_mirror: bool
    sends_tail: bool
    """Whether one of the daemon's own ``inference.*`` keys was sent."""


def answer(sources: tuple[Source, ...], attributes: JsonObject, kind: str) -> JsonValue:
    """The first answer that says something; None when none does."""
    for key, read, only, _ in sources:
        if only is None or kind in only:
            value = read(family(attributes, key) if key[-1:] == "." else attributes[key])
            if value is not None:
                return value
    return None


def family(attributes: JsonObject, prefix: str) -> JsonObject:
    """The attributes whose key begins with *prefix*, under the rest of their key."""
    cut = len(prefix)
    return {key[cut:]: value for key, value in attributes.items() if key.startswith(prefix)}


def plan_of(attributes: JsonObject) -> Plan:
    """The plan for the keys of *attributes*."""
    keys = tuple(attributes)
    # One span with very many keys must not fill the memory of plans.
    return _plan(keys) if len(keys) <= _MAX_REMEMBERED_KEYS else _plan.__wrapped__(keys)


@lru_cache(maxsize=_MAX_PLANS)
def _plan(keys: tuple[str, ...]) -> Plan:
    found: dict[str, list[tuple[Precedence, Source]]] = {}
    present = dict.fromkeys(name for key in keys for name in _names(key))
    for name in present:
        for target, precedence, source in _SOURCES.get(name, ()):
            found.setdefault(target, []).append((precedence, source))
    sources = {target: _best_first(hits) for target, hits in found.items()}
    return Plan(
        kind=sources.get(KIND, ()),
        scalars=tuple((target, sources[target]) for target in SCALARS if target in sources),
        cache_write=sources.get(CACHE_WRITE_TOKENS, ()),
        total=sources.get(TOTAL_TOKENS, ()),
        has_cache_counts=not sources.keys().isdisjoint({CACHED_TOKENS, CACHE_WRITE_TOKENS}),
        has_usage=not sources.keys().isdisjoint({*AGGREGATES, CACHE_WRITE_TOKENS}),
        fills=tuple(
            (target, sources[target])
            for target, own_name in FILLED.items()
            if target in sources and own_name not in present
        ),
        failures=sources.get(FAILURE, ()),
        has_model=MODEL in sources,
        has_kind_mirror=KIND_MIRROR in present,
        sends_tail=not present.keys().isdisjoint(TAIL),
    )


def _names(key: str) -> Iterator[str]:
    """Under which names the mapping may know *key*: its own, and that of its family."""
    yield key
    indexed = _INDEXED.match(key)
    if indexed is not None:
        yield indexed[1] + FAMILY_SUFFIX


def _best_first(hits: list[tuple[Precedence, Source]]) -> tuple[Source, ...]:
    return tuple(source for _, source in sorted(hits, key=lambda hit: hit[0]))


def _compiled() -> dict[str, list[tuple[str, Precedence, Source]]]:
    """What each key, or family of keys, can answer."""
    compiled: dict[str, list[tuple[str, Precedence, Source]]] = {}
    for convention in CONVENTIONS:
        for i, row in enumerate(convention.rows):
            for j, key in enumerate(row.keys):
                compiled.setdefault(key, []).append(
                    (row.target, (convention.rank, i, j), _source(row, key))
                )
    return compiled


def _source(row: Row, key: str) -> Source:
    # `.*` becomes the dot that `answer` knows a family by; no plain key ends with a dot.
    name = key.removesuffix("*")
    return Source(name, row.reader.read, row.only, row.excludes_cache)


_SOURCES: Final = _compiled()
