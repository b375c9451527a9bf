"""
Request bodies: decompression that stops at the limit.

Theory of operation
===================

A body is read up to the limit of the wire, then expanded in one pass whose output
is bounded by a second limit. No codec is asked for more than one byte beyond what may
still come, so a bomb costs the limit and no more, whatever it claims to hold.

Nothing here waits or reads sockets; a caller may run `decompress` in a thread.
"""

import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Final, Protocol

from halo_daemon.errors import DecodeError, LimitError, UnsupportedMediaError

if sys.version_info >= (3, 14):  # pragma: no cover
    from compression import zstd
else:
    from backports import zstd

_GZIP_WBITS: Final = 16 + zlib.MAX_WBITS
_RAW_WBITS: Final = -zlib.MAX_WBITS
_ZLIB_METHOD_DEFLATE: Final = 8
_HEADER_BYTES: Final = 2

# A decompressor copies what follows its member, so small chunks keep many small members
# from costing the square of the body; their number is bounded all the same.
_CHUNK_BYTES: Final = 64 * 1024
_MAX_MEMBERS: Final = 10_000
# What comes out is taken in parts, so that a bomb is in memory once and not twice.
_PART_BYTES: Final = 1024 * 1024

# The window that RFC 9659 lets a sender of `Content-Encoding: zstd` ask for: 8 MiB.
_ZSTD_WINDOW_LOG_MAX: Final = 23

ACCEPTED_ENCODINGS: Final = "gzip, deflate, zstd, identity"
"""What `Accept-Encoding` says when a body comes in another encoding."""


class UnknownEncodingError(UnsupportedMediaError):
    """The content encoding, not the content type, is what is not spoken here."""


class _Stream(Protocol):
    """The part that zlib's and zstd's decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes: ...


def _gzip(_header: bytes) -> _Stream:
    return zlib.decompressobj(_GZIP_WBITS)


def _deflate(header: bytes) -> _Stream:
    """RFC 9110 means zlib's wrapping by ``deflate``; many senders leave it out."""
    is_wrapped = (
        len(header) == _HEADER_BYTES
        and header[0] & 0x0F == _ZLIB_METHOD_DEFLATE
        and int.from_bytes(header, "big") % 31 == 0
    )
    return zlib.decompressobj(zlib.MAX_WBITS if is_wrapped else _RAW_WBITS)


def _zstd(_header: bytes) -> _Stream:
    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG_MAX}
    return zstd.ZstdDecompressor(options=options)


_CODECS: Final[dict[str, Callable[[bytes], _Stream]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zlib": _deflate,
    "zstd": _zstd,
}
_IDENTITY: Final = frozenset({"", "identity"})


def require_encoding(content_encoding: str) -> str:
    """
    The encoding in the form that `decompress` takes: lower case, ``""`` for none.

    Raises:
        UnknownEncodingError: It is not one that is spoken here, or more than one.
    """
    encoding = content_encoding.strip().lower()
    if encoding in _IDENTITY:
        return ""
    if encoding not in _CODECS:
        raise UnknownEncodingError(
            f"cannot decode `Content-Encoding: {content_encoding[:100]}`",
            hint=f"send one of: {ACCEPTED_ENCODINGS}",
        )
    return encoding


def decompress(body: bytes, encoding: str, *, max_bytes: int) -> bytes:
    """
    Expand *body*; several members or frames one after the other are one body.

    Args:
        body: The body as it came over the wire.
        encoding: What `require_encoding` returned.
        max_bytes: Bytes that may come out; exactly that many pass.

    Raises:
        DecodeError: The stream is broken, cut short, or followed by something else.
        LimitError: More than *max_bytes* come out.
    """
    if not encoding:
        return body
    expanded = BytesIO()
    room = max_bytes
    view = memoryview(body)
    offset = members = 0
    while offset < len(view):
        members += 1
        if members > _MAX_MEMBERS:
            raise DecodeError(f"cannot decompress more than {_MAX_MEMBERS} {encoding} members")
        stream = _CODECS[encoding](body[offset : offset + _HEADER_BYTES])
        while not stream.eof:
            part, offset = _expand(stream, view, offset, encoding, room_bytes=room)
            room -= len(part)
            if room < 0:
                raise LimitError(
                    f"cannot take a body of more than {max_bytes} bytes after decompression "
                    "(`receivers.otlp.http.max_decompressed`)",
                    hint="send smaller batches, or raise the limit",
                )
            expanded.write(part)
    if not members:
        raise DecodeError(f"cannot decompress 0 bytes as {encoding}")
    return expanded.getvalue()


def _expand(
    stream: _Stream, view: memoryview, offset: int, encoding: str, *, room_bytes: int
) -> tuple[bytes, int]:
    """A part of what comes out, at most one byte more than the room, and how far it was read."""
    # zstd keeps what it did not get to; zlib gives it back.
    is_fed = getattr(stream, "needs_input", True)
    chunk = view[offset : offset + _CHUNK_BYTES] if is_fed else b""
    try:
        part = stream.decompress(chunk, min(room_bytes + 1, _PART_BYTES))
    except (zlib.error, zstd.ZstdError) as exc:
        raise DecodeError(f"cannot decompress {len(view)} bytes as {encoding}: {exc}") from exc
    if not (chunk or part or stream.eof):
        raise DecodeError(f"cannot decompress {len(view)} bytes as {encoding}: it is cut short")
    returned = stream.unused_data if stream.eof else getattr(stream, "unconsumed_tail", b"")
    return part, offset + len(chunk) - len(returned)
