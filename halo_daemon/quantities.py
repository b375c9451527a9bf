"""
Texts that carry their unit (``64MiB``, ``15m``, ``127.0.0.1:4317``), and back.

Each is converted once, where it comes in; in code a size is bytes, a duration
is seconds, an address is an `Endpoint`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

_SIZE_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION_UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
# More digits name nothing real, and int() refuses very long texts in words of its own.
_QUANTITY = re.compile(r"([0-9]{1,18})([A-Za-z]+)")
_MAX_PORT = 65_535
_SHOWN_CHARACTERS = 60


class Endpoint(NamedTuple):
    """An address to bind; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def quoted(value: object) -> str:
    """Show *value* in a message: in double quotes, and cut when it is long."""
    text = str(value)
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "…"
    return f'"{text}"'


def _quantity(text: object, units: dict[str, int], kind: str, example: str) -> int:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f"{quoted(text)} is not a {kind} – write for example {example}")
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


def parse_endpoint(text: object) -> Endpoint:
    """
    Read ``host:port``; an IPv6 host stands in brackets.

    Raises:
        ValueError: no host, no port, or a port above 65,535.
    """
    host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    is_host = bool(bare) and (":" in bare) == bracketed and not re.search(r"[\s/\[\]]", bare)
    if not (colon and is_host and re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= _MAX_PORT):
        raise ValueError(f"{quoted(text)} is not an address – write for example 127.0.0.1:4317")
    return Endpoint(bare, int(port))


def _largest_unit(amount: int, units: dict[str, int]) -> str:
    unit = next(name for name in reversed(units) if amount % units[name] == 0)
    return f"{amount // units[unit]}{unit}"


def format_size(size_bytes: int) -> str:
    """Write a size as `parse_size_bytes` reads it, in the largest unit that is exact."""
    return _largest_unit(size_bytes, _SIZE_UNITS) if size_bytes else "0B"


def format_duration(duration_s: float) -> str:
    """Write a duration as people do, exact to the millisecond: ``24h``, not ``1d``."""
    amount_ms = round(duration_s * 1_000)
    if amount_ms == 0:
        return "0s"
    if amount_ms % _DURATION_UNITS_MS["h"] == 0 and amount_ms < 2 * _DURATION_UNITS_MS["d"]:
        return f"{amount_ms // _DURATION_UNITS_MS['h']}h"
    return _largest_unit(amount_ms, _DURATION_UNITS_MS)


@dataclass(frozen=True, slots=True)
class FromFile:
    """The validation context of values that people wrote: every quantity carries its unit."""


@dataclass(frozen=True, slots=True)
class TextForm:
    """
    How one kind of value is written in a configuration, for pydantic's ``Annotated``.

    Code may hand over the converted value; a file must hand over its text.

    Attributes:
        kind: What it is called, for example ``size``.

        unit: The unit in code, for the schema; empty where there is none.

        parse: Text to value; raises ValueError with a message for people.

        render: Value to the text that `parse` reads.

        value_type: What `parse` returns.

        pattern: A regular expression of the text, for editors.

        least: The smallest value allowed; None for no bound.

        most: The largest value allowed; None for no bound.

        words: Texts that stand for themselves.
    """

    kind: str
    unit: str
    parse: Callable[[object], Any]
    render: Callable[[Any], str]
    value_type: type | tuple[type, ...]
    pattern: str
    least: float | None = None
    most: float | None = None
    words: tuple[str, ...] = ()

    def format(self, value: Any) -> str:
        """Write *value* as a file would."""
        return value if value in self.words else self.render(value)

    def _validate(self, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str) and value in self.words:
            return value
        in_code = not isinstance(info.context, FromFile)
        if in_code and isinstance(value, self.value_type) and not isinstance(value, bool):
            parsed = value
        else:
            parsed = self.parse(value)
        self._check_bounds(parsed)
        return parsed

    def _check_bounds(self, value: Any) -> None:
        if self.least is not None and value < self.least:
            raise ValueError(f"{self.render(value)} is below the least, {self.render(self.least)}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{self.render(value)} is above the most, {self.render(self.most)}")

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate with this form alone; the annotated type is for readers and mypy."""
        del source, handler
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(self.format),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe the text, not the value in code."""
        del schema, handler
        words = "".join(f"|{word}" for word in self.words)
        unit = {"x-unit": self.unit} if self.unit else {}
        return {"type": "string", "pattern": f"^({self.pattern}{words})$", **unit}


def size(*, least: int = 1, most: int = 2**50) -> TextForm:
    """Describe a size in bytes within inclusive bounds."""
    pattern = f"[0-9]+({'|'.join(_SIZE_UNITS)})"
    return TextForm(
        "size", "bytes", parse_size_bytes, format_size, int, pattern, least=least, most=most
    )


def duration(
    *, least: float = 0.0, most: float = 3_650 * 86_400.0, words: tuple[str, ...] = ()
) -> TextForm:
    """Describe a duration in seconds within inclusive bounds, ten years at most."""
    pattern = f"[0-9]+({'|'.join(_DURATION_UNITS_MS)})"
    return TextForm(
        "duration",
        "seconds",
        parse_duration_s,
        format_duration,
        (int, float),
        pattern,
        least=least,
        most=most,
        words=words,
    )


ENDPOINT = TextForm("address", "", parse_endpoint, str, Endpoint, r".+:[0-9]{1,5}")
