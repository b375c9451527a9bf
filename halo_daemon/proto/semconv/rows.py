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
    """A span name, or its beginning where it ends with ``*``, that tells the kind."""

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
    names: tuple[NameRow, ...] = ()
    """Asked last, when no attribute tells the kind."""
    name_scopes: tuple[str, ...] = ()
    """Beginnings of scope names in which `names` count; empty for all scopes."""


def row(
    target: str,
    *keys: str,
    read: Reader = TEXT,
    only: frozenset[str] | None = None,
    excludes_cache: bool = False,
) -> Row:
    """One row, as it stands in the tables."""
    return Row(target, keys, read, only, excludes_cache)
