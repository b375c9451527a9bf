"""Reading shards by offset, whatever form they are in."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from halo_daemon.store.paths import DayPaths, ShardName

_MAX_OPEN = 64
_MAX_GAP_BYTES = 64 * 1024
_MAX_JOINED_BYTES = 4 * 1024**2


class Extent(NamedTuple):
    """Where one line lies: *offset* and *length* count bytes of the uncompressed shard."""

    shard: ShardName
    offset: int
    length: int


class ShardFiles:
    """
    Open shards of one project, the least recently used closed beyond a bound.

    Not safe to use from two threads at a time.
    """

    def __init__(self, spans: Path) -> None:
        self._spans = spans
        self._open: OrderedDict[ShardName, int] = OrderedDict()

    def read(self, extents: list[Extent]) -> list[bytes | None]:
        """
        Read lines, in the order of *extents*; None where the shard is gone or too short.

        Neighbours in one shard are read in one go, so sorted extents are fastest.
        """
        found: list[bytes | None] = []
        start = 0
        while start < len(extents):
            end = _run_end(extents, start)
            found.extend(self._read_run(extents[start:end]))
            start = end
        return found

    def read_block(self, shard: ShardName, offset: int, size: int) -> bytes:
        """
        Read complete lines from *offset* on, at least one if there is one.

        ``b""`` at the end, behind the last newline, and where the shard is gone.
        """
        while True:
            try:
                data = os.pread(self._descriptor(shard), size, offset)
            except OSError:
                return b""
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                return data[:end]
            size *= 2

    def close(self) -> None:
        """Close every file; they are opened again when needed."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _read_run(self, run: list[Extent]) -> list[bytes | None]:
        base = run[0].offset
        size = run[-1].offset + run[-1].length - base
        try:
            data = os.pread(self._descriptor(run[0].shard), size, base)
        except OSError:
            return [None] * len(run)
        return [
            data[extent.offset - base : extent.offset - base + extent.length]
            if extent.offset - base + extent.length <= len(data)
            else None
            for extent in run
        ]

    def _descriptor(self, shard: ShardName) -> int:
        fd = self._open.get(shard)
        if fd is None:
            day = DayPaths(self._spans / shard.day)
            fd = os.open(day.plain(shard.stem), os.O_RDONLY | os.O_CLOEXEC)
            self._open[shard] = fd
            if len(self._open) > _MAX_OPEN:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(shard)
        return fd


def _run_end(extents: list[Extent], start: int) -> int:
    """Where the stretch of extents that begins at *start* and is worth one read ends."""
    first = previous = extents[start]
    end = start + 1
    while end < len(extents):
        extent = extents[end]
        previous_end = previous.offset + previous.length
        if (
            extent.shard != first.shard
            or not previous_end <= extent.offset <= previous_end + _MAX_GAP_BYTES
            or extent.offset + extent.length - first.offset > _MAX_JOINED_BYTES
        ):
            break
        previous = extent
        end += 1
    return end
