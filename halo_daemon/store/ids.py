"""
Ids of traces and spans as keys of the index, and back.

Ids as OpenTelemetry writes them (lower-case hex, 32 or 16 digits) become their
bytes. Files of other tools have others (``t-00001``, 24 digits, capitals): those
are kept as their text, told apart by length, so that no two ids share a key.
"""

TRACE_ID_BYTES = 16
SPAN_ID_BYTES = 8
MAX_ID_CHARS = 256
"""Longer ids are none: the line is damaged."""

_PACKED_SIZES = {TRACE_ID_BYTES, SPAN_ID_BYTES}
_PAD = b"\0"


def key_of(text: str, packed_bytes: int) -> bytes:
    """
    The key of an id; *packed_bytes* is what its usual form takes.

    Raises:
        ValueError: No text, or one that cannot be an id.
    """
    if len(text) == 2 * packed_bytes:
        try:
            packed = bytes.fromhex(text)
        except ValueError:
            packed = b""
        if packed.hex() == text:
            return packed
    if not 0 < len(text) <= MAX_ID_CHARS or "\0" in text:
        raise ValueError(f"an id of {len(text)} characters, or with a NUL in it")
    plain = text.encode()
    return plain + _PAD if len(plain) in _PACKED_SIZES else plain


def id_of(key: bytes) -> str:
    """The id that a key stands for."""
    return (
        key.hex()
        if len(key) in _PACKED_SIZES
        else key.removesuffix(_PAD).decode("utf-8", "replace")
    )


def trace_key(text: str) -> bytes | None:
    """The key of a trace id that somebody asks for; None for what no trace can be called."""
    try:
        return key_of(text, TRACE_ID_BYTES)
    except ValueError:
        return None


def span_key(text: str) -> bytes | None:
    """The key of a span id that somebody asks for; None for what no span can be called."""
    try:
        return key_of(text, SPAN_ID_BYTES)
    except ValueError:
        return None
