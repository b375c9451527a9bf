"""Files of other tools, read as streams: unpacked on the fly, told apart by content."""

import gzip
import io
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from halo_daemon.errors import HaloError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_RECORD_BYTES = 64 * 1024**2
"""A line, a document or a framed record; larger ones are skipped and counted."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LENGTH = struct.Struct(">I")
_PEEK_BYTES = 4096

UnpackError = (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError)
"""What a damaged compressed stream raises while it is read."""


@contextmanager
def open_stream(path: Path) -> Iterator[io.BufferedReader]:
    """
    Open a file, or stdin for ``-``, unpacking gzip and zstd.

    Raises:
        HaloError: It cannot be opened.
    """
    try:
        file = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as exc:
        raise HaloError(f"cannot read {path}: {exc.strerror}", hint="check the path") from exc
    reader = cast("io.BufferedReader", file)
    try:
        head = reader.peek(4)[:4]
        if head.startswith(_GZIP):
            yield io.BufferedReader(gzip.GzipFile(fileobj=reader))
        elif head == _ZSTD:
            yield io.BufferedReader(cast("io.RawIOBase", zstd.ZstdFile(cast("BinaryIO", reader))))
        else:
            yield reader
    finally:
        if file is not sys.stdin.buffer:
            file.close()


def peek_text(stream: io.BufferedReader) -> bytes:
    """The first bytes of a stream, without a byte order mark; they stay to be read."""
    return stream.peek(_PEEK_BYTES).removeprefix(_BYTE_ORDER_MARK).lstrip()


def is_framed(stream: io.BufferedReader) -> bool:
    """Whether records stand behind four-byte lengths, as the Collector writes them."""
    head = stream.peek(9)[:9]
    if len(head) <= _LENGTH.size:
        return False
    (length,) = _LENGTH.unpack(head[: _LENGTH.size])
    body = head[_LENGTH.size :]
    return 0 < length <= MAX_RECORD_BYTES and (body.startswith((_ZSTD, b"\x0a")))


def framed_records(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """Records behind four-byte lengths, unpacked; None for each that cannot be read."""
    while head := stream.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(head.ljust(_LENGTH.size, b"\0"))
        body = stream.read(length) if length <= MAX_RECORD_BYTES else b""
        if len(head) < _LENGTH.size or len(body) < length:
            yield None
            return
        yield _unpacked(body)


def lines(stream: io.BufferedReader) -> Iterator[bytes | None]:
    """Lines without their ends, blank ones left out; None for each that is too long."""
    first = True
    while line := stream.readline(MAX_RECORD_BYTES + 1):
        if first:
            line, first = line.removeprefix(_BYTE_ORDER_MARK), False
        if len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            yield None
        elif not line.isspace():
            yield line.rstrip(b"\r\n")


def document(stream: io.BufferedReader) -> bytes | None:
    """The whole stream; None when it is too long."""
    data = stream.read(MAX_RECORD_BYTES + 1)
    return None if len(data) > MAX_RECORD_BYTES else data.removeprefix(_BYTE_ORDER_MARK)


def _unpacked(body: bytes) -> bytes | None:
    if not body.startswith(_ZSTD):
        return body
    try:
        data = zstd.ZstdDecompressor().decompress(body, max_length=MAX_RECORD_BYTES + 1)
    except zstd.ZstdError:
        return None
    return data if len(data) <= MAX_RECORD_BYTES else None


def _skip_line(stream: io.BufferedReader) -> None:
    while part := stream.readline(MAX_RECORD_BYTES):
        if part.endswith(b"\n"):
            return
