"""
The names in a trace, kept in its row of the index so that a page needs no other look.

They are a text there, and change only when a span brings a name that the trace had not.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import cast

import orjson

from halo_daemon.store import index_schema as sql
from halo_daemon.store.database import StaleIndexError
from halo_daemon.store.records import TraceNames
from halo_daemon.store.span_row import Absent, Shape
from halo_daemon.store.trace_gain import Gains

_MAX_CACHED_CHARS = 1024

Named = tuple[str, str, str, str, str | None, str]
"""What one span names, in the order of `TraceNames`."""

_Kinds = frozenset[tuple[int, str | Absent]]
"""Shapes and agents' ids of some spans."""


def names_of(spans: Iterable[Named]) -> TraceNames:
    """What *spans*, at least one, name."""
    return TraceNames._make(_distinct(column) for column in zip(*spans, strict=True))


def packed(names: TraceNames) -> str:
    """The names as the index keeps them."""
    return orjson.dumps([*names]).decode()


def unpacked(text: str) -> TraceNames:
    """
    What `packed` made.

    Raises:
        StaleIndexError: The text is damaged.
    """
    # Traces of one program have the same names, again and again.
    return _unpack_once(text) if len(text) <= _MAX_CACHED_CHARS else _unpack(text)


def add_names(
    connection: sqlite3.Connection,
    gains: Gains,
    *,
    shapes: Mapping[int, Shape],
    new: set[bytes],
    recounted: set[bytes],
) -> None:
    """
    Note what new rows name, and which shapes they have.

    Args:
        connection: The day's index, where the rows are stored already.

        gains: What their traces gain.

        shapes: Every shape of the rows, by id.

        new: Traces without any row before.

        recounted: Traces that lost a row too, to be read whole.
    """
    known: dict[_Kinds, TraceNames] = {}
    with_shape: dict[int, list[bytearray]] = {}
    agents: list[tuple[str, bytearray]] = []
    changes: list[tuple[str, bytearray]] = []
    # In the order of the tables. As `bytearray`, for the reason that `span_row.bindable` gives.
    for trace_id in sorted(gains):
        key = bytearray(trace_id)
        if trace_id in recounted:
            changes.append((_recount(connection, trace_id), key))
            continue
        kinds = frozenset(gains[trace_id].kinds)
        for shape in {shape for shape, _ in kinds}:
            with_shape.setdefault(shape, []).append(key)
        agents += [(agent, key) for _, agent in kinds if isinstance(agent, str)]
        names = known.get(kinds)
        if names is None:
            names = known[kinds] = names_of(_named(shapes[shape], agent) for shape, agent in kinds)
        if trace_id not in new:
            (old,) = connection.execute(sql.NAMES_OF_TRACE, (trace_id,)).fetchone()
            both = _both(unpacked(old), names)
            if both == unpacked(old):
                continue
            names = both
        changes.append((packed(names), key))
    connection.executemany(sql.SET_NAMES, changes)
    connection.executemany(sql.ADD_TRACE_AGENT, agents)
    for shape, keys in sorted(with_shape.items()):
        before = connection.total_changes
        connection.executemany(sql.ADD_TRACE_SHAPE, [(shape, key) for key in keys])
        # Not all are new: a trace that grew may have had the shape before.
        added = connection.total_changes - before
        connection.execute(sql.ADD_TRACES_TO_SHAPE, (added, shape))


def _recount(connection: sqlite3.Connection, trace_id: bytes) -> str:
    for statement in sql.RECOUNT_TRACE_SHAPES:
        connection.execute(statement, {"trace_id": trace_id})
    return packed(names_of(connection.execute(sql.NAMED_BY_SPANS, (trace_id,))))


def _named(shape: Shape, agent_id: str | Absent) -> Named:
    agent = None if isinstance(agent_id, int) else agent_id
    return (shape.service, shape.model, shape.tool, shape.agent, agent, shape.project)


def _both(one: TraceNames, other: TraceNames) -> TraceNames:
    return TraceNames._make(
        mine if mine == theirs else tuple(sorted({*mine, *theirs}))
        for mine, theirs in zip(one, other, strict=True)
    )


def _distinct(column: Iterable[str | None]) -> tuple[str, ...]:
    names = {*column}
    names.discard(None)
    names.discard("")
    return tuple(sorted(cast("set[str]", names)))


def _unpack(text: str) -> TraceNames:
    try:
        return TraceNames._make(map(tuple, orjson.loads(text)))
    except (ValueError, TypeError) as exc:
        raise StaleIndexError(f"the names of a trace are damaged: {exc}") from exc


_unpack_once = lru_cache(maxsize=1024)(_unpack)
