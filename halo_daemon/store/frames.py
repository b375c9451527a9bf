"""
The zstd frames of a compressed shard, found without its table.

Frames are independent and each tells its own plain size, so a file that lost
the table at its end is read by walking from frame to frame. Where a frame does
not lead to another, the walk goes on at the next one that unpacks; what lies
between is one frame that does not, so that no byte of the file is passed over.
"""

import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAME_BYTES = 1024**2
"""Most plain bytes of one frame; all but the last of a shard's piece have as many."""
MAX_FRAMES = 2**20
TABLE_MAGIC = 0x184D2A5E

_TABLE_START = struct.pack("<I", TABLE_MAGIC)
_FRAME_START = struct.pack("<I", 0xFD2FB528)
_MAX_HEADER_BYTES = 18
_WINDOW_BYTES = FRAME_BYTES + 64 * 1024
"""Holds any frame: bytes that cannot be compressed grow by less."""
_MAX_TRIES = 1024
"""Places in one file where the next frame is looked for; also bounds its damaged stretches."""


class Frame(NamedTuple):
    """One frame: where it lies in the file, and the bytes it stands for."""

    place: int
    compressed_bytes: int
    plain_bytes: int

    def unpack(self, fd: int) -> bytes:
        """
        Read the plain bytes.

        Raises:
            ZstdError: They are damaged, or not as many as *plain_bytes*.
        """
        data: bytes = zstd.decompress(os.pread(fd, self.compressed_bytes, self.place))
        if len(data) != self.plain_bytes:
            raise zstd.ZstdError(f"{len(data)} bytes and not {self.plain_bytes}")
        return data

    def unpacks(self, fd: int) -> bool:
        """Whether the frame is whole."""
        try:
            self.unpack(fd)
        except zstd.ZstdError:
            return False
        return True


def find_frames(fd: int) -> list[Frame]:
    """
    Walk the frames of a file up to its table, or what is left of one.

    Damaged stretches are frames that do not unpack, and full ones but for the last,
    which is as its header tells. After `_MAX_TRIES` the rest is one such stretch.
    When the last line was cut, an empty frame that stands for one byte ends it, so
    that it counts as damaged.

    Returns:
        The frames in order, without a gap from the start of the file; empty when none unpacks.
    """
    file_bytes = os.fstat(fd).st_size
    found: list[Frame] = []
    place = 0
    tries = iter(range(_MAX_TRIES))
    while place < file_bytes and len(found) < MAX_FRAMES - 1:
        window = os.pread(fd, _WINDOW_BYTES, place)
        if _TABLE_START.startswith(window[:4]):
            break
        size, plain_bytes = _frame_bytes(window), plain_bytes_of(window)
        if size is None or not _is_start_or_end(fd, place + size):
            size = _next_frame(fd, place + 1, tries, file_bytes) - place
            if place + size < file_bytes:
                # Only the last frame of a shard is not full, and the header may be damaged.
                plain_bytes = FRAME_BYTES
        found.append(Frame(place, size, plain_bytes or FRAME_BYTES))
        place += size
    if not any(frame.unpacks(fd) for frame in found):
        return []
    last = found[-1]
    if last.unpacks(fd) and not last.unpack(fd).endswith(b"\n"):
        found.append(Frame(place, 0, 1))
    return found


def disagreeing_frame(fd: int, frames: list[Frame]) -> int | None:
    """The first whole frame that is of another plain size than *frames* says; None when none."""
    for number, frame in enumerate(frames):
        plain_bytes = plain_bytes_of(os.pread(fd, _MAX_HEADER_BYTES, frame.place))
        if plain_bytes is None or plain_bytes == frame.plain_bytes:
            continue
        # The header may be what is damaged, and the table right.
        if frame._replace(plain_bytes=plain_bytes).unpacks(fd):
            return number
    return None


def plain_bytes_of(head: bytes) -> int | None:
    """The plain size that a frame's first bytes tell; None when they are not those of a frame."""
    if not head.startswith(_FRAME_START):
        return None
    try:
        size: int | None = zstd.get_frame_info(head).decompressed_size
    except zstd.ZstdError:
        return None
    return size if size is not None and 0 < size <= FRAME_BYTES else None


def _frame_bytes(window: bytes) -> int | None:
    try:
        size: int = zstd.get_frame_size(window)
    except zstd.ZstdError:
        return None
    return size


def _is_start_or_end(fd: int, place: int) -> bool:
    start = os.pread(fd, len(_FRAME_START), place)
    return _FRAME_START.startswith(start) or _TABLE_START.startswith(start)


def _next_frame(fd: int, place: int, tries: Iterator[int], file_bytes: int) -> int:
    """Where the next whole frame begins; the end of the file when *tries* run out."""
    for _ in tries:
        place = _find_start(fd, place)
        if place < 0:
            break
        window = os.pread(fd, _WINDOW_BYTES, place)
        size, plain_bytes = _frame_bytes(window), plain_bytes_of(window)
        if size and plain_bytes and Frame(place, size, plain_bytes).unpacks(fd):
            return place
        place += 1
    return file_bytes


def _find_start(fd: int, place: int) -> int:
    while len(window := os.pread(fd, _WINDOW_BYTES, place)) >= len(_FRAME_START):
        at = window.find(_FRAME_START)
        if at >= 0:
            return place + at
        place += len(window) - len(_FRAME_START) + 1
    return -1
