"""What both decoders agree on about single values."""

import math
from typing import Final

from halo_daemon.errors import DecodeError

DUPLICATE_KEYS: Final = "duplicate_attribute_key"
STRING_INDEX: Final = "string_table_index"
INVALID_UTF8: Final = "invalid_utf8"
INVALID_LINK_ID: Final = "invalid_link_id"
DROPPED_SURPLUS: Final = "dropped_surplus"
"""More attributes, events or links than are kept of one span; see the line's dropped counts."""

MAX_DROPPED: Final = 2**32 - 1
"""The largest count of dropped items that OTLP has room for."""


def json_double(value: float) -> float | str:
    """The value that stands on the line for a double; NaN and infinities are words."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def nesting_error(max_depth: int) -> DecodeError:
    """The refusal of a request in which a value is nested more than *max_depth* levels."""
    return DecodeError(
        f"cannot decode: nesting too deep, an attribute value has more than {max_depth} levels",
        hint="send deep structures as one JSON string",
    )
