"""
When which bytes of a shard arrived, and which of them arrived together.

The time of receipt is no part of a canonical line, so that the protobuf and
the JSON form of a request give equal lines. It stands in a sidecar beside the
shard: records of two little-endian uint64, ``end_offset`` and
``received_unix_ns``, in ascending order of offset. A record is written before
the group of lines that it speaks of, so whoever sees a line can see its receipt,
and written once more when the group is on stable storage.

So a group that a crash cut short can be told: its record stands there once, at the
end, and reaches further than the shard. Nobody was told that it is stored, and no
reader shows some of its lines. A shard that is shorter than what was stored of it
was damaged later: its complete lines count.

The first record of a group of several lines reaches the disk before the group does
(`Disk.order`); nothing is synced. Where the sidecar is missing, cut or damaged, the last
readable record speaks for the rest, and before the first one the time in the shard's
name; it is never a reason to fail.
"""

import struct
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("<QQ")
_MAX_UNIX_NS = 2**63 - 1


class Receipts(NamedTuple):
    """The sidecar of one shard, read."""

    end_offsets: list[int]
    received_unix_ns: list[int]
    opened_unix_ns: int
    is_last_stored: bool
    """Whether the last group is on stable storage, as far as the sidecar tells."""

    def received_at(self, end_offset: int) -> int:
        """When the line that ends at *end_offset* arrived, in Unix nanoseconds."""
        place = bisect_left(self.end_offsets, end_offset)
        if place < len(self.received_unix_ns):
            return self.received_unix_ns[place]
        return self.received_unix_ns[-1] if self.received_unix_ns else self.opened_unix_ns

    def covered_to(self, end_offset: int) -> int:
        """Up to which offset the answer of `received_at` for *end_offset* stays the same."""
        place = bisect_left(self.end_offsets, end_offset)
        return self.end_offsets[place] if place < len(self.end_offsets) else _MAX_UNIX_NS

    def whole_to(self, size_bytes: int, *, length_now_bytes: int = 0) -> int:
        """
        How much of the first *size_bytes* of the shard is whole groups, in bytes.

        A group that was cut counts as a whole where it is stored and lines of it were lost
        later, so that the rest of them count.

        Args:
            size_bytes: Length of the shard, asked before the sidecar was read.

            length_now_bytes: The same, asked afterwards: whether a group that was cut by
                *size_bytes* was only on its way. 0 where nobody writes.
        """
        place = bisect_right(self.end_offsets, size_bytes)
        if place == len(self.end_offsets):
            return size_bytes
        begin = self.end_offsets[place - 1] if place else 0
        is_stored = place + 1 < len(self.end_offsets) or self.is_last_stored
        if is_stored and length_now_bytes < self.end_offsets[place]:
            return size_bytes
        return begin


def encode_receipt(end_offset: int, received_unix_ns: int) -> bytes:
    """One record: every byte before *end_offset* not yet spoken of arrived then."""
    return RECORD.pack(end_offset, received_unix_ns)


def decode_receipts(data: bytes, *, opened_unix_ns: int) -> Receipts:
    """
    Read a sidecar as far as it makes sense.

    Args:
        data: The sidecar; may be empty, cut anywhere or damaged.

        opened_unix_ns: When the shard was opened, for bytes that no record covers.
    """
    whole = len(data) - len(data) % RECORD.size
    end_offsets: list[int] = []
    received: list[int] = []
    last = 0
    # What follows the first record of a group, even in part, was written when it was stored.
    is_last_stored = whole < len(data)
    for end_offset, unix_ns in RECORD.iter_unpack(memoryview(data)[:whole]):
        if received and (end_offset, unix_ns) == (last, received[-1]):
            is_last_stored = True
            continue
        if end_offset <= last or not 0 < unix_ns <= _MAX_UNIX_NS:
            is_last_stored = True
            break
        is_last_stored = whole < len(data)
        end_offsets.append(end_offset)
        received.append(unix_ns)
        last = end_offset
    return Receipts(end_offsets, received, opened_unix_ns, is_last_stored)


def read_receipts(path: Path, *, opened_unix_ns: int) -> Receipts:
    """Read the sidecar at *path*; a missing or unreadable one counts as empty."""
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    return decode_receipts(data, opened_unix_ns=opened_unix_ns)
