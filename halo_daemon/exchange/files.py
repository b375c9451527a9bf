"""Files of other tools, read as streams: unpacked on the fly, never held whole."""

import gzip
import io
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, cast

from halo_daemon.errors import HaloError
from halo_daemon.exchange.incoming import START, Input, Place

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_RECORD_BYTES = 64 * 1024**2
"""A line, a document or a framed record; larger ones are skipped and counted."""

MAX_UNPACKED_BYTES = 256 * 1024**3
"""What one compressed file may unpack to, so that a bomb ends."""

PEEK_BYTES = 256 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC = b"\x1f\x8b"
_LENGTH = struct.Struct(">I")

UnpackError = (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError)
"""What a damaged compressed stream raises while it is read."""


if TYPE_CHECKING:
    from typing_extensions import Buffer


class Line(NamedTuple):
    """One line of a file."""

    number: int
    """From 1, blank lines included."""

    text: bytes | None
    """Without its end; None when it is too long."""

    end: Place
    """Behind the line."""

    is_torn: bool
    """Whether the file ends before the line does."""

    @property
    def where(self) -> str:
        """Its name for people."""
        return f"line {self.number}"


class Framed(NamedTuple):
    """One record behind its length."""

    number: int
    body: bytes | None
    """Unpacked; None when it cannot be read."""

    end: Place
    is_torn: bool = False
    """Whether the file ends before the record does."""

    @property
    def where(self) -> str:
        """Its name for people."""
        return f"record {self.number}"


@contextmanager
def open_input(path: Path, *, start: Place = START) -> Iterator[Input]:
    """
    Open a file, or stdin for ``-``, unpacking gzip and zstd, at *start*.

    Raises:
        HaloError: It cannot be opened.
    """
    is_stdin = str(path) == "-"
    reader = _stdin() if is_stdin else _open(path)
    try:
        stream = _unpacking(reader)
        _go_to(stream, start.offset_bytes)
        yield Input(
            stream,
            "" if is_stdin else path.name.split(".")[0],
            start,
            path.parent if not is_stdin else None,
        )
    finally:
        # What wraps stdin must not close it when it goes.
        reader.detach() if is_stdin else reader.close()


def peek(stream: io.BufferedReader) -> bytes:
    """The first bytes of a stream, without a byte order mark; they stay to be read."""
    return stream.peek(PEEK_BYTES).removeprefix(BYTE_ORDER_MARK)


def is_framed(head: bytes) -> bool:
    """Whether records stand behind four-byte lengths, as the Collector writes them."""
    if len(head) <= _LENGTH.size:
        return False
    (length,) = _LENGTH.unpack(head[: _LENGTH.size])
    body = head[_LENGTH.size :]
    return 0 < length <= MAX_RECORD_BYTES and (body.startswith((ZSTD_MAGIC, b"\x0a")))


def is_lone_request(head: bytes) -> bool:
    """Whether a file is one request in protobuf with nothing around it: field 1, then field 1."""
    if head[:1] != b"\x0a" or head.lstrip()[:1] in (b"{", b"["):
        return False
    # A varint: bytes with the high bit go on. Then a field of ResourceSpans, 1 to 3.
    length_end = next((at for at, byte in enumerate(head[1:7], start=1) if byte < 0x80), 0)  # noqa: PLR2004
    return bool(length_end) and head[length_end + 1 : length_end + 2] in (
        b"\x0a",
        b"\x12",
        b"\x1a",
    )


def framed_records(source: Input) -> Iterator[Framed]:
    """Records behind four-byte lengths, unpacked; a torn one ends the file."""
    offset, number = source.start
    while head := source.stream.read(_LENGTH.size):
        number += 1
        (length,) = _LENGTH.unpack(head.ljust(_LENGTH.size, b"\0"))
        body = source.stream.read(length) if length <= MAX_RECORD_BYTES else b""
        if len(head) < _LENGTH.size or len(body) < length:
            yield Framed(number, None, Place(offset, number - 1), is_torn=True)
            return
        offset += _LENGTH.size + length
        yield Framed(number, _unpacked(body), Place(offset, number))


def lines(source: Input) -> Iterator[Line]:
    """Lines without their ends; blank ones are left out."""
    offset, number = source.start
    while raw := source.stream.readline(MAX_RECORD_BYTES + 1):
        number += 1
        offset += len(raw)
        text: bytes | None = raw if number > 1 else raw.removeprefix(BYTE_ORDER_MARK)
        is_torn = not raw.endswith(b"\n")
        if is_torn and len(raw) > MAX_RECORD_BYTES:
            skipped, is_torn = _skip_line(source.stream)
            offset, text = offset + skipped, None
        if text is None or not text.isspace():
            text = text if text is None else text.strip(b"\r\n")
            yield Line(number, text, Place(offset, number), is_torn)


def document(stream: io.BufferedReader) -> bytes | None:
    """The whole stream; None when it is too long."""
    data = stream.read(MAX_RECORD_BYTES + 1)
    return None if len(data) > MAX_RECORD_BYTES else data.removeprefix(BYTE_ORDER_MARK)


class _Packed(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class _Bounded(io.RawIOBase):
    """
    An unpacking stream that ends with an error when it gives more than it may.

    What stands before damage is given first.
    """

    def __init__(self, unpacking: _Packed) -> None:
        self._unpacking = unpacking
        self._left = MAX_UNPACKED_BYTES
        self._damage: Exception | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """Read into *buffer*."""
        target = memoryview(buffer)
        filled = 0
        while filled < len(target) and (data := self._read(len(target) - filled)):
            target[filled : filled + len(data)] = data
            filled += len(data)
        self._left -= filled
        if self._left < 0:
            raise EOFError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        if self._damage is not None and not filled:
            raise self._damage
        return filled

    def _read(self, size: int) -> bytes:
        if self._damage is not None:
            return b""
        try:
            return self._unpacking.read1(size)
        except UnpackError as exc:
            self._damage = exc
            return b""


def _stdin() -> io.BufferedReader:
    return io.BufferedReader(cast("io.RawIOBase", sys.stdin.buffer), PEEK_BYTES)


def _open(path: Path) -> io.BufferedReader:
    try:
        return cast("io.BufferedReader", path.open("rb", buffering=PEEK_BYTES))
    except OSError as exc:
        raise HaloError(f"cannot read {path}: {exc.strerror}", hint="check the path") from exc


def _unpacking(reader: io.BufferedReader) -> io.BufferedReader:
    head = reader.peek(4)[:4]
    if head.startswith(_GZIP_MAGIC):
        packed: _Packed = gzip.GzipFile(fileobj=reader)
    elif head == ZSTD_MAGIC:
        packed = zstd.ZstdFile(cast("BinaryIO", reader))
    else:
        return reader
    return io.BufferedReader(_Bounded(packed), PEEK_BYTES)


def _go_to(stream: io.BufferedReader, offset_bytes: int) -> None:
    while offset_bytes and (part := stream.read(min(offset_bytes, PEEK_BYTES))):
        offset_bytes -= len(part)


def _unpacked(body: bytes) -> bytes | None:
    if not body.startswith(ZSTD_MAGIC):
        return body
    try:
        data = zstd.ZstdDecompressor().decompress(body, max_length=MAX_RECORD_BYTES + 1)
    except zstd.ZstdError:
        return None
    return data if len(data) <= MAX_RECORD_BYTES else None


def _skip_line(stream: io.BufferedReader) -> tuple[int, bool]:
    """Read to the end of a line; returns how many bytes, and whether the file ended first."""
    skipped = 0
    while part := stream.readline(PEEK_BYTES):
        skipped += len(part)
        if part.endswith(b"\n"):
            return skipped, False
    return skipped, True
