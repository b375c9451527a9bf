"""The form of the mapping: rows of a convention, conventions in order of precedence."""

from dataclasses import dataclass
from typing import NamedTuple

from halo_daemon.proto.semconv.readers import TEXT, Reader

FAMILY_SUFFIX = ".*"
"""Ends a key that stands for an indexed family: ``llm.input_messages.*``."""


class Row(NamedTuple):
    """One canonical field and the attributes that a convention keeps it in."""

    target: str
    keys: tuple[str, ...]
    """In order of preference."""
    reader: Reader = TEXT
    only: frozenset[str] | None = None
    """Observation kinds on which the row counts; None for all."""
    excludes_cache: bool = False
    """For input tokens: cached ones are not in the count and have to be added."""


class NameRow(NamedTuple):
    """
    A span name that tells the kind.

    A ``*`` in a pattern stands for anything; on AGENT and TOOL spans that is then the
    agent's or the tool's name, unless an attribute tells it.
    """

    pattern: str
    kind: str


@dataclass(frozen=True, slots=True)
class Convention:
    """A vocabulary of attributes, as a table."""

    id: str
    title: str
    rank: int
    """Of two conventions on one span, the lower rank wins, field by field."""
    rows: tuple[Row, ...]
    prefixes: tuple[str, ...] = ()
    """Beginnings of the keys that belong to it, read here or not."""
    names: tuple[NameRow, ...] = ()
    """Asked when no attribute tells the kind."""
    scopes: tuple[str, ...] = ()
    """Beginnings of scope names by which the convention is known."""
    events: tuple[str, ...] = ()
    """Span events whose attributes count as the span's own, where it has none that tell the
    same; of several events with one key the last."""
    signs: tuple[str, ...] = ()
    """Attributes by which it is known. With neither scopes nor signs its keys speak for
    themselves and count everywhere; else they count only where one of them is seen."""

    @property
    def is_gated(self) -> bool:
        """Whether the keys count only on spans that are known to be of this convention."""
        return bool(self.scopes or self.signs)


def row(
    target: str,
    *keys: str,
    read: Reader = TEXT,
    only: frozenset[str] | None = None,
    excludes_cache: bool = False,
) -> Row:
    """One row, as it stands in the tables."""
    return Row(target, keys, read, only, excludes_cache)
