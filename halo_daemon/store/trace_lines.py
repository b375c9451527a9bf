"""
Where the lines of traces lie: of the index as much as loading traces needs.

Windows of many spans are read through this, so each row is short.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.paths import ShardName
from halo_daemon.store.shard_files import Extent

_MAX_MARKS = 500
_VERSIONS = """
SELECT stem, offset, length, trace_id, span_id, parent_id IS NULL AND end_ns > 0, end_ns,
       received_ns, crc
FROM spans JOIN shards ON shards.id = shard
WHERE superseded = {superseded} AND trace_id IN ({marks})
"""
# Two halves: each has a partial index of its own.
_LINES = " UNION ALL ".join(_VERSIONS.replace("{superseded}", half) for half in "01")

# One object for each shard: equal places in it are then found equal at the first look.
_shard_name = lru_cache(maxsize=256)(ShardName)


class SpanLine(NamedTuple):
    """One stored version of one span, by its line."""

    extent: Extent
    trace_id: bytes
    span_id: bytes
    is_ended_root: int
    """1 for a span that has an end and no parent, else 0."""
    end_ns: int
    received_ns: int
    crc: int

    @property
    def rank(self) -> tuple[int, int, Extent]:
        """The version of the highest rank counts: later end, then later arrival."""
        return (self.end_ns, self.received_ns, self.extent)


class TraceLines(NamedTuple):
    """The lines of one trace, merged over days; has at least one."""

    trace_id: bytes
    lines: list[SpanLine]
    """Of the versions that count, in no order."""
    versions: list[SpanLine]
    """All of them, in no order."""

    @property
    def duplicates(self) -> int:
        """Versions beside those that count."""
        return len(self.versions) - len(self.lines)

    @property
    def line_bytes(self) -> int:
        """Bytes of all versions."""
        return sum(version.extent.length for version in self.versions)

    @property
    def last_received_ns(self) -> int:
        """When the last version arrived."""
        return max(version.received_ns for version in self.versions)

    @property
    def has_ended_root(self) -> bool:
        """Whether a span without a parent has ended."""
        return any(line.is_ended_root for line in self.lines)


def find_lines(days: Mapping[DayIndex, list[bytes]]) -> dict[bytes, TraceLines]:
    """
    Look the lines of traces up in the days that may hold them.

    Returns:
        By trace id; a trace that no day holds is left out.
    """
    versions: dict[bytes, list[SpanLine]] = {}
    for index, trace_ids in days.items():
        for line in _lines(index, trace_ids):
            known = versions.get(line.trace_id)
            if known is None:
                versions[line.trace_id] = [line]
            else:
                known.append(line)
    return {
        trace_id: TraceLines(trace_id, _winners(found), found)
        for trace_id, found in versions.items()
    }


def _lines(index: DayIndex, trace_ids: list[bytes]) -> Iterator[SpanLine]:
    day = index.day
    for start in range(0, len(trace_ids), _MAX_MARKS):
        chunk = trace_ids[start : start + _MAX_MARKS]
        marks = ", ".join(f"?{place}" for place in range(1, len(chunk) + 1))
        rows = index.connection.execute(_LINES.format(marks=marks), chunk)
        for stem, offset, length, trace_id, span_id, is_root, end_ns, received_ns, crc in rows:
            extent = Extent(_shard_name(day, stem), offset, length)
            yield SpanLine(extent, trace_id, span_id, is_root, end_ns, received_ns, crc)


def _winners(versions: Iterable[SpanLine]) -> list[SpanLine]:
    winners: dict[bytes, SpanLine] = {}
    for version in versions:
        old = winners.get(version.span_id)
        if old is None or version.rank > old.rank:
            winners[version.span_id] = version
    return list(winners.values())
