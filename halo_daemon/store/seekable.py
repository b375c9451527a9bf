"""
Compressed shards that can be read from any offset: the seekable form of zstd.

The file is a row of independent zstd frames, each of a bounded piece of the
shard, and a skippable frame with a table of their sizes; any zstd tool unpacks
it. Offsets stay those of the plain bytes.

::

    frame frame … | magic, size | (compressed, plain) × n | n, descriptor, magic
                    u32   u32      u32         u32          u32  u8       u32
"""

import os
import struct
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from halo_daemon.store.frames import (
    FRAME_BYTES,
    MAX_FRAMES,
    TABLE_MAGIC,
    Frame,
    disagreeing_frame,
    find_frames,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FOOTER_MAGIC = 0x8F92EAB1
_HEADER = struct.Struct("<II")
_ENTRY = struct.Struct("<II")
_FOOTER = struct.Struct("<IBI")
_OPTIONS: Mapping[int, int] = {
    zstd.CompressionParameter.compression_level: 6,
    zstd.CompressionParameter.checksum_flag: 1,
}
"""With a checksum, a flipped bit is an error and never another text."""
_CACHED_FRAMES = 4


class DamagedShardError(OSError):
    """The file is not a compressed shard, or is cut or altered."""


def compress_blocks(plain: Iterator[bytes]) -> Iterator[bytes]:
    """Turn the pieces of a shard, in order, into those of its compressed form."""
    table = []
    for piece in plain:
        for start in range(0, len(piece), FRAME_BYTES):
            part = piece[start : start + FRAME_BYTES]
            frame = zstd.compress(part, options=_OPTIONS)
            table.append((len(frame), len(part)))
            yield frame
    yield _table(table)


def _table(sizes: list[tuple[int, int]]) -> bytes:
    entries = b"".join(_ENTRY.pack(*entry) for entry in sizes)
    header = _HEADER.pack(TABLE_MAGIC, len(entries) + _FOOTER.size)
    return header + entries + _FOOTER.pack(len(sizes), 0, _FOOTER_MAGIC)


class SeekableReader:
    """
    A compressed shard, open for reading.

    Without its table it is read by its frames, as far as they go.
    Not safe to use from two threads at a time.

    Attributes:
        size_bytes: Length of the plain shard.
        table_damage: What is wrong with the table at the end; ``""`` when it is right.

    Raises:
        DamagedShardError: Neither the table nor any frame can be read.
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.table_damage = ""
        try:
            self._frames = self._read_table_or_frames()
        except BaseException:
            os.close(self._fd)
            raise
        self._starts = [0]
        for frame in self._frames:
            self._starts.append(self._starts[-1] + frame.plain_bytes)
        self.size_bytes = self._starts[-1]
        self._cache: dict[int, bytes] = {}

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, offset: int, size: int) -> bytes:
        """
        Read up to *size* plain bytes from *offset*; fewer only at the end.

        Raises:
            DamagedShardError: A frame does not unpack.
        """
        return self._read(offset, size, self._frame)

    def read_past_damage(self, offset: int, size: int) -> bytes:
        """As `read`, with one line of NULs in place of each frame that does not unpack."""
        return self._read(offset, size, self._frame_or_nuls)

    def mended(self) -> Iterator[bytes]:
        """
        Give the pieces of the same file with a new table, whole and damaged frames as they are.

        Offsets stay: what stood for a damaged stretch still does.
        """
        for frame in self._frames:
            yield os.pread(self._fd, frame.compressed_bytes, frame.place)
        yield _table([(frame.compressed_bytes, frame.plain_bytes) for frame in self._frames])

    def _read(self, offset: int, size: int, frame: Callable[[int], bytes]) -> bytes:
        found = []
        end = min(offset + size, self.size_bytes)
        while offset < end:
            number = bisect_right(self._starts, offset) - 1
            data = frame(number)
            begin = offset - self._starts[number]
            found.append(data[begin : begin + end - offset])
            offset += len(found[-1])
        return found[0] if len(found) == 1 else b"".join(found)

    def _frame_or_nuls(self, number: int) -> bytes:
        try:
            return self._frame(number)
        except DamagedShardError:
            return b"\0" * (self._frames[number].plain_bytes - 1) + b"\n"

    def _frame(self, number: int) -> bytes:
        data = self._cache.get(number)
        if data is None:
            try:
                data = self._frames[number].unpack(self._fd)
            except zstd.ZstdError as exc:
                raise DamagedShardError(f"frame {number} of {self._path}: {exc}") from exc
            while len(self._cache) >= _CACHED_FRAMES:
                self._cache.pop(next(iter(self._cache)))
            self._cache[number] = data
        return data

    def _read_table_or_frames(self) -> list[Frame]:
        try:
            frames = self._read_table()
        except DamagedShardError as exc:
            frames = find_frames(self._fd)
            if not frames:
                raise
            self.table_damage = str(exc)
        return frames

    def _read_table(self) -> list[Frame]:
        size = os.fstat(self._fd).st_size
        footer = os.pread(self._fd, _FOOTER.size, max(0, size - _FOOTER.size))
        if len(footer) < _FOOTER.size:
            raise DamagedShardError(f"{self._path} is too short")
        frames, _, magic = _FOOTER.unpack(footer)
        table_bytes = frames * _ENTRY.size
        begin = size - _FOOTER.size - table_bytes
        if magic != _FOOTER_MAGIC or frames > MAX_FRAMES or begin < 0:
            raise DamagedShardError(f"{self._path} has no table")
        place = 0
        found = []
        table = os.pread(self._fd, table_bytes, begin)
        for compressed_bytes, plain_bytes in _ENTRY.iter_unpack(table):
            found.append(Frame(place, compressed_bytes, plain_bytes))
            place += compressed_bytes
            if not 0 < plain_bytes <= FRAME_BYTES:
                raise DamagedShardError(f"{self._path} has a frame of {plain_bytes} bytes")
        if place + _HEADER.size != begin:
            raise DamagedShardError(f"{self._path} has another length than its table says")
        wrong = disagreeing_frame(self._fd, found)
        if wrong is not None:
            raise DamagedShardError(f"frame {wrong} of {self._path} is not as its table says")
        return found
