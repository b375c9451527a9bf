"""
The configuration: frozen values, every one with a unit, a default and a sentence.

Texts with units (``64MiB``, ``15m``) are converted once, here; a field's name
in code carries the unit, its alias is the key of the file. Unknown keys are
errors. Reading files is `halo_daemon.config_file`.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION_UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_QUANTITY = re.compile(r"([0-9]+)([A-Za-z]+)")


def _quantity(text: object, units: dict[str, int], kind: str, example: str) -> int:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f'"{text}" is not a {kind} – write for example {example}')
    return int(match[1]) * units[match[2]]


def parse_size_bytes(text: object) -> int:
    """
    Read a size such as ``64MiB``.

    Raises:
        ValueError: not whole digits and one of B, KiB, MiB, GiB, TiB.
    """
    return _quantity(text, _SIZE_UNITS, "size", "64MiB")


def parse_duration_s(text: object) -> float:
    """
    Read a duration such as ``90s`` or ``24h``.

    Raises:
        ValueError: not whole digits and one of ms, s, m, h, d, w.
    """
    return _quantity(text, _DURATION_UNITS_MS, "duration", "15m") / 1_000


Bytes = Annotated[int, BeforeValidator(parse_size_bytes)]
Seconds = Annotated[float, BeforeValidator(parse_duration_s)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        validate_default=True,
        validate_by_name=True,
        validate_by_alias=True,
    )
