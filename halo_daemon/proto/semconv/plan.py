"""
The mapping, compiled.

All rows of all conventions become one dictionary from attribute key to what the key
can answer. Spans of one instrumentation carry the same keys again and again, so what a
set of keys answers is worked out once and remembered: a *plan*, which says for each
field the attributes to ask, best first. Reading a span by its plan touches only keys
that are there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.readers import COUNT, TEXT, Reader
from halo_daemon.proto.semconv.rows import FAMILY_SUFFIX, Convention, Row
from halo_daemon.proto.semconv.targets import (
    AGENT,
    AGGREGATES,
    CACHE_WRITE_TOKENS,
    CACHED_TOKENS,
    FAILURE,
    FILLED,
    INPUT_COST,
    INSTRUCTIONS,
    KIND,
    KIND_MIRROR,
    LISTS,
    MODEL,
    NAMED_BY_SPAN,
    NAMES,
    OUTPUT_COST,
    SCALARS,
    SPAN,
    TAIL,
    TOOL,
    TOOL_NAME,
    TOTAL_TOKENS,
    VALUES,
    WEAK_KIND,
)

_MAX_PLANS: Final = 2048
_MAX_REMEMBERED_KEYS: Final = 256
_MAX_REMEMBERED_CHARS: Final = 16_384
_MAX_ANSWERS: Final = 64
_MAX_ANSWER_CHARS: Final = 256

Precedence = tuple[int, int, int, int]
"""Rank and place of the convention, row in it, key in the row; lower goes first."""


class Source(NamedTuple):
    """One attribute that can answer a field."""

    key: str
    """The attribute; for a family the beginning of its keys, dot included."""
    read: Callable[[JsonValue], JsonValue]
    excludes_cache: bool
    is_family: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What the attributes of a span of one kind can answer; sources stand best first."""

    kind: str
    scalars: dict[str, tuple[Source, ...]]
    """By field; fields without a source are left out."""
    texts: tuple[tuple[str, str], ...]
    """Of `scalars`: field and attribute, where the best source holds the text itself."""
    counts: tuple[tuple[str, str], ...]
    """The same for counts."""
    others: tuple[str, ...]
    """The fields of `scalars` that are in neither."""
    fills: tuple[tuple[str, tuple[Source, ...]], ...]
    """By field, in the order they are written; fields that the span has are left out."""
    other: dict[str, tuple[Source, ...]]
    """By field, those that are read on the way to another one."""
    failures: tuple[Source, ...]
    sent: frozenset[str]
    """The fields of `FILLED` that the span has itself."""
    values: tuple[str, ...]
    """The fields of `VALUES` that the span has itself, or that its attributes may fill."""
    has_names: bool
    """Whether a field may hold a model's or an agent's name."""
    lacks_tool_name: bool
    """Whether it is a tool that does not say which."""
    mirrors_kind: bool
    """Whether `openinference.span.kind` is to be written."""
    has_cache_counts: bool
    has_part_costs: bool
    has_usage: bool
    """Whether there is a count or a cost, which only a model call may keep."""


class KeyPlan:
    """
    What the attributes of a span can answer, before its kind is known.

    Attributes:
        kind: The sources of the kind.
        weak_kind: Those that are asked when neither they nor the name tell it.
        model: The sources of a model that are asked whatever the kind; an answer makes a model
            call of a span without a kind.
        sends_tail: Whether one of the daemon's own ``inference.*`` keys was sent.
    """

    def __init__(self, hits: dict[str, list["_Hit"]], present: dict[str, None]) -> None:
        self._hits = {
            target: sorted(found, key=lambda hit: hit.precedence) for target, found in hits.items()
        }
        self._plans: dict[str, Plan] = {}
        self._by_answer: dict[str, Plan] = {}
        self._sent = frozenset(
            target
            for target in FILLED
            if target + FAMILY_SUFFIX in present or (target in present and target not in LISTS)
        )
        self.kind = self._sources(KIND, "")
        self._kind_key = self.kind[0].key if self.kind and not self.kind[0].is_family else None
        self.weak_kind = self._sources(WEAK_KIND, "")
        self.model = self._sources(MODEL, "")
        self._sends_kind_mirror = KIND_MIRROR in present
        self.sends_tail = _any(present, TAIL)

    def by_answer(self, attributes: JsonObject) -> Plan | None:
        """
        The plan by the attribute that tells the kind best; None when that one does not.

        What a text says of the kind is worked out once, because it says so on most spans.
        """
        if self._kind_key is None:
            return None
        text = attributes[self._kind_key]
        if not isinstance(text, str):
            return None
        plan = self._by_answer.get(text)
        if plan is None and isinstance(kind := self.kind[0].read(text), str):
            plan = self.on(kind)
            if len(self._by_answer) < _MAX_ANSWERS and len(text) <= _MAX_ANSWER_CHARS:
                self._by_answer[text] = plan
        return plan

    def on(self, kind: str) -> Plan:
        """The plan for a span of that kind; worked out once."""
        plan = self._plans.get(kind)
        if plan is None:
            plan = self._plans[kind] = self._plan(kind)
        return plan

    def _plan(self, kind: str) -> Plan:
        sources = {target: found for target in self._hits if (found := self._sources(target, kind))}
        scalars = {target: sources[target] for target in SCALARS if target in sources}
        texts, counts = _held_by(scalars, TEXT), _held_by(scalars, COUNT)
        return Plan(
            kind=kind,
            scalars=scalars,
            texts=texts,
            counts=counts,
            others=tuple(target for target in scalars if target not in dict(texts + counts)),
            fills=tuple(
                (target, sources[target])
                for target in FILLED
                if target in sources and target not in self._sent
            ),
            other={target: sources[target] for target in _OTHER if target in sources},
            failures=sources.get(FAILURE, ()),
            sent=self._sent,
            values=tuple(target for target in VALUES if target in self._sent or target in sources),
            has_names=_any(sources, NAMES) or kind == AGENT,
            lacks_tool_name=kind == TOOL and TOOL_NAME not in self._sent,
            mirrors_kind=kind != SPAN and not self._sends_kind_mirror,
            has_cache_counts=_any(sources, (CACHED_TOKENS, CACHE_WRITE_TOKENS)),
            has_part_costs=_any(sources, (INPUT_COST, OUTPUT_COST)),
            has_usage=_any(sources, (*AGGREGATES, CACHE_WRITE_TOKENS, INPUT_COST, OUTPUT_COST)),
        )

    def _sources(self, target: str, kind: str) -> tuple[Source, ...]:
        return tuple(
            hit.source for hit in self._hits.get(target, ()) if hit.only is None or kind in hit.only
        )


class _Hit(NamedTuple):
    """What one key can answer, and by which convention."""

    target: str
    precedence: Precedence
    source: Source
    only: frozenset[str] | None
    """The kinds on which it counts; None for all."""
    convention: Convention


def answer(sources: tuple[Source, ...], attributes: JsonObject) -> JsonValue:
    """The first answer that says something; None when none does."""
    for key, read, _, is_family in sources:
        value = read(family(attributes, key) if is_family else attributes[key])
        if value is not None:
            return value
    return None


def family(attributes: JsonObject, prefix: str) -> JsonObject:
    """The attributes whose key begins with *prefix*, under the rest of their key."""
    cut = len(prefix)
    return {key[cut:]: value for key, value in attributes.items() if key.startswith(prefix)}


def gate_of(scope_name: str) -> str:
    """
    What of a scope's name decides which keys count on its spans.

    ``""`` for almost all scopes, so that their spans share plans.
    """
    return scope_name if scope_name.startswith(_GATING_SCOPES) else ""


def plan_of(attributes: JsonObject, gate: str = "") -> KeyPlan:
    """The plan for the keys of *attributes* on a span whose scope has that `gate_of`."""
    return _PLANS[tuple(attributes), gate]


def explain(key: str) -> tuple[tuple[str, str], ...]:
    """Which conventions know *key*, and for which field; empty for an unknown key."""
    return tuple(
        (hit.convention.id, hit.target) for name in _names(key) for hit in _HITS.get(name, ())
    )


class _Plans(dict[tuple[tuple[str, ...], str], KeyPlan]):
    """
    The plans that were worked out, by keys and gate.

    Not a cache of `functools`: finding a plan happens for each span, and a dictionary
    finds it in half the time.
    """

    def __missing__(self, key: tuple[tuple[str, ...], str]) -> KeyPlan:
        plan = _key_plan(*key)
        # Spans with very many or very long keys must not fill the memory of plans.
        names, gate = key
        if (
            len(names) <= _MAX_REMEMBERED_KEYS
            and sum(map(len, names)) + len(gate) <= _MAX_REMEMBERED_CHARS
        ):
            if len(self) >= _MAX_PLANS:
                self.clear()
            self[key] = plan
        return plan


def _key_plan(keys: tuple[str, ...], gate: str) -> KeyPlan:
    present = dict.fromkeys(name for key in keys for name in _names(key))
    hits: dict[str, list[_Hit]] = {}
    for name in present:
        for hit in _HITS.get(name, ()):
            if _speaks(hit.convention, present, gate):
                hits.setdefault(hit.target, []).append(hit)
    return KeyPlan(hits, present)


def _held_by(scalars: dict[str, tuple[Source, ...]], reader: Reader) -> tuple[tuple[str, str], ...]:
    """Fields whose best source is one attribute, read by *reader* as it is."""
    return tuple(
        (target, best.key)
        for target, (best, *_) in scalars.items()
        if best.read is reader.read and not best.is_family
    )


def _any(present: Iterable[str], wanted: tuple[str, ...]) -> bool:
    return any(name in present for name in wanted)


def _speaks(convention: Convention, present: dict[str, None], gate: str) -> bool:
    return (
        not convention.is_gated
        or any(sign in present for sign in convention.signs)
        or bool(gate and gate.startswith(convention.scopes))
    )


def _names(key: str) -> list[str]:
    """Under which names the mapping may know *key*: its own, and those of its families."""
    if not key.startswith(_FAMILY_PREFIXES):
        return [key]
    return [key, *(name for name, prefix in _FAMILIES if key.startswith(prefix))]


def _compiled() -> dict[str, list[_Hit]]:
    """What each key, or family of keys, can answer."""
    compiled: dict[str, list[_Hit]] = {}
    for place, convention in enumerate(CONVENTIONS):
        for i, row in enumerate(convention.rows):
            for j, key in enumerate(row.keys):
                precedence = (convention.rank, place, i, j)
                hit = _Hit(row.target, precedence, _source(row, key), row.only, convention)
                compiled.setdefault(key, []).append(hit)
    return compiled


def _source(row: Row, key: str) -> Source:
    return Source(
        key.removesuffix("*"), row.reader.read, row.excludes_cache, key.endswith(FAMILY_SUFFIX)
    )


_HITS: Final = _compiled()
_PLANS: Final = _Plans()
_OTHER: Final = (
    CACHE_WRITE_TOKENS,
    TOTAL_TOKENS,
    INPUT_COST,
    OUTPUT_COST,
    NAMED_BY_SPAN,
    INSTRUCTIONS,
)
_FAMILIES: Final = tuple(
    (name, name.removesuffix("*"))
    for name in dict.fromkeys(
        [
            *(key for key in _HITS if key.endswith(FAMILY_SUFFIX)),
            *(
                sign
                for convention in CONVENTIONS
                for sign in convention.signs
                if sign.endswith(FAMILY_SUFFIX)
            ),
            *(target + FAMILY_SUFFIX for target in FILLED),
        ]
    )
)
_FAMILY_PREFIXES: Final = tuple(prefix for _, prefix in _FAMILIES)
_GATING_SCOPES: Final = tuple(scope for convention in CONVENTIONS for scope in convention.scopes)
