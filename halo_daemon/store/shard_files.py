"""Reading shards by offset, whatever form they are in."""

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from halo_daemon.store.paths import DayPaths, ShardName
from halo_daemon.store.receipts import Receipts, read_receipts
from halo_daemon.store.seekable import DamagedShardError, SeekableReader

_MAX_OPEN = 64
_MAX_GAP_BYTES = 64 * 1024
_MAX_JOINED_BYTES = 4 * 1024**2


class Extent(NamedTuple):
    """Where one line lies: *offset* and *length* count bytes of the uncompressed shard."""

    shard: ShardName
    offset: int
    length: int


class Block(NamedTuple):
    """Bytes of a shard that begin with complete lines."""

    data: bytes
    end: int
    """Where the last complete line ends; 0 when there is none."""


class _PlainReader:
    """A plain shard, open for reading."""

    table_damage = ""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def size_bytes(self) -> int:
        """Length now."""
        return os.fstat(self._fd).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Read up to *size* bytes from *offset*; fewer only at the end."""
        return os.pread(self._fd, size, offset)

    def read_past_damage(self, offset: int, size: int) -> bytes:
        """The same: what the disk gives back of a plain shard is taken as it is."""
        return self.read(offset, size)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


ShardReader = _PlainReader | SeekableReader


def open_shard(day: DayPaths, stem: str) -> ShardReader:
    """
    Open a shard in whichever form it is; the plain one counts while both are there.

    Raises:
        OSError: It is gone, or cannot be read.
    """
    try:
        return _PlainReader(day.plain(stem))
    except FileNotFoundError:
        pass
    try:
        return SeekableReader(day.compressed(stem))
    except FileNotFoundError:
        # Restored or rewritten between the two looks.
        return _PlainReader(day.plain(stem))


def read_groups(day: DayPaths, stem: str, reader: ShardReader) -> tuple[Receipts, int]:
    """
    The receipts of an open shard, and up to where it holds whole groups, in bytes.

    What lies behind is a group that is being written, or that a crash cut short.

    Raises:
        OSError: The shard cannot be read.
    """
    size_bytes = reader.size_bytes
    opened_unix_ns = ShardName(day.day, stem).opened_unix_ns
    receipts = read_receipts(day.receipts(stem), opened_unix_ns=opened_unix_ns)
    return receipts, receipts.whole_to(size_bytes, length_now_bytes=reader.size_bytes)


def read_lines(read: Callable[[int, int], bytes], offset: int, size: int) -> bytes:
    """
    Read complete lines from *offset* on, about *size* bytes, at least one line if there is one.

    *read* is a reader's `read`, or `read_past_damage` for the lines around damage too.
    ``b""`` at the end and behind the last newline.

    Raises:
        OSError: The shard cannot be read.
    """
    block = read_block(read, offset, size)
    return block.data[: block.end]


def read_block(read: Callable[[int, int], bytes], offset: int, size: int) -> Block:
    """The same, with the beginning of the next line behind them: leaving it costs no copy."""
    while True:
        data = read(offset, size)
        end = data.rfind(b"\n") + 1
        if end or len(data) < size:
            return Block(data, end)
        size *= 2


class ShardFiles:
    """
    Open shards of one project, the least recently used closed beyond a bound.

    Not safe to use from two threads at a time.
    """

    def __init__(self, spans: Path) -> None:
        self._spans = spans
        self._open: OrderedDict[ShardName, ShardReader] = OrderedDict()

    def read(self, extents: list[Extent]) -> list[bytes | None]:
        """
        Read lines, in the order of *extents*; None where the shard is gone, damaged or too short.

        Neighbours in one shard are read in one go, so sorted extents are fastest.
        """
        found: list[bytes | None] = []
        start = 0
        while start < len(extents):
            end = _run_end(extents, start)
            found.extend(self._read_run(extents[start:end]))
            start = end
        return found

    def read_block(self, shard: ShardName, offset: int, size: int) -> Block:
        """Read as `read_block` does; nothing also where the shard is gone."""
        try:
            return read_block(self._reader(shard).read_past_damage, offset, size)
        except OSError:
            return Block(b"", 0)

    def close(self) -> None:
        """Close every file; they are opened again when needed."""
        while self._open:
            self._open.popitem()[1].close()

    def _read_run(self, run: list[Extent]) -> list[bytes | None]:
        base = run[0].offset
        size = run[-1].offset + run[-1].length - base
        try:
            data = self._reader(run[0].shard).read(base, size)
        except DamagedShardError:
            # Perhaps some of the lines are elsewhere than the damage.
            return [None] if len(run) == 1 else [self._read_run([one])[0] for one in run]
        except OSError:
            return [None] * len(run)
        return [
            data[extent.offset - base : extent.offset - base + extent.length]
            if extent.offset - base + extent.length <= len(data)
            else None
            for extent in run
        ]

    def _reader(self, shard: ShardName) -> ShardReader:
        reader = self._open.get(shard)
        if reader is None:
            reader = open_shard(DayPaths(self._spans / shard.day), shard.stem)
            self._open[shard] = reader
            if len(self._open) > _MAX_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(shard)
        return reader


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
