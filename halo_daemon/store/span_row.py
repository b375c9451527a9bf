"""
Canonical lines to rows of the index; pure.

Hot path: one call of `parse_block` handles some thousand lines, and each line
should cost a few microseconds beyond parsing its JSON.
"""

import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import STATUS_ERROR, TOOL
from halo_daemon.proto.times import parse_unix_ns
from halo_daemon.store.ids import MAX_ID_CHARS, SPAN_ID_BYTES, TRACE_ID_BYTES, key_of
from halo_daemon.store.receipts import Receipts

MAX_INDEXED_NS = 2**63 - 1
"""Later moments (after April 2262) count as this one in the index; lines keep theirs."""

MAX_TEXT_LENGTH = 1024
"""Longer names count by their beginning in the index; lines keep them whole."""

MAX_TOKENS = 10**12
"""A token count outside 0 to this is no count: unknown."""

MAX_MESSAGE_CHARS = 200
"""Of what an error says; its line keeps the whole."""

STATUS_ERROR_FLAG = 1
DERIVED_ERROR_FLAG = 2
TOOL_ERROR_FLAG = 4
"""A tool's span with status ERROR."""

NO_AGENT_FLAG = 8
"""Neither a name nor an id tells which agent the span belongs to."""

ERROR_FLAGS = STATUS_ERROR_FLAG | DERIVED_ERROR_FLAG

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Shape(NamedTuple):
    """What many spans have in common; each distinct one is stored once a day."""

    service: str
    service_version: str
    kind: str
    observation_kind: str
    status: str
    tool: str
    model: str
    provider: str
    agent: str
    error_type: str
    project: str
    flags: int
    """`STATUS_ERROR_FLAG` and `DERIVED_ERROR_FLAG`; 0 without an error signal."""


# One stored line as a row of the index, in the order of `SPAN_COLUMNS`. A plain tuple: SQLite
# binds those twice as fast as named ones.
SpanRow = tuple[
    int, bytes, bytes, bytes | None, int, int, str, int, int, int,
    str | None, str | None, str | None, str | None, int | None, int | None, float | None,
    int, int, int, int,
]  # fmt: skip

SPAN_COLUMNS = (
    "id", "trace_id", "span_id", "parent_id", "shape", "flags", "name", "start_ns", "end_ns",
    "received_ns", "session", "user", "agent_id", "message", "input_tokens", "output_tokens",
    "cost_usd", "shard", "offset", "length", "crc",
)  # fmt: skip


class BadLine(NamedTuple):
    """A complete line that is not a canonical span."""

    shard: int
    offset: int
    length: int
    received_ns: int


class ParsedBlock(NamedTuple):
    """The lines of one block."""

    rows: list[SpanRow]
    bad: list[BadLine]
    end_offset: int


ShapeId = Callable[[Shape], int]
"""The id of a shape in the index, given out on first sight."""


def parse_block(
    block: bytes,
    *,
    shard: int,
    base_offset: int,
    first_id: int,
    receipts: Receipts,
    shape_id: ShapeId,
) -> ParsedBlock:
    """
    Turn complete lines into rows, with ids counted from *first_id*.

    *block* is whole lines, the last one ended by a newline, and begins at
    *base_offset* of its *shard*; blank lines are skipped.

    Returns:
        Rows in order of the lines; lines that are not canonical spans are counted apart.
    """
    rows: list[SpanRow] = []
    bad: list[BadLine] = []
    offset = base_offset
    row_id = first_id
    covered_to = received_ns = 0
    kinds: _Kinds = {}
    for line in block.split(b"\n")[:-1]:
        end = offset + len(line) + 1
        if end > covered_to:
            received_ns = receipts.received_at(end)
            covered_to = receipts.covered_to(end)
        if offset == 0 and line.startswith(_BYTE_ORDER_MARK):
            line = line.removeprefix(_BYTE_ORDER_MARK)  # noqa: PLW2901 -- only here, once a shard
            offset = len(_BYTE_ORDER_MARK)
        place = (shard, offset, len(line), zlib.crc32(line))
        if line and not line.isspace():
            try:
                fields = orjson.loads(line)
                rows.append(
                    _row(fields, row_id, received_ns, place, kinds=kinds, shape_id=shape_id)
                )
                row_id += 1
            except (ValueError, KeyError, TypeError, AttributeError):
                bad.append(BadLine(shard, offset, len(line), received_ns))
        offset = end
    return ParsedBlock(rows, bad, offset)


class _Kind(NamedTuple):
    """What spans with equal names and signals share."""

    shape: int
    has_signal: bool
    row_flags: int
    agent_id: str | None


_Kinds = dict[tuple[JsonValue, ...], _Kind]
"""By the values as they stand in lines; good for one block, as ids of shapes are."""


def _row(
    fields: JsonObject,
    row_id: int,
    received_ns: int,
    place: tuple[int, int, int, int],
    *,
    kinds: _Kinds,
    shape_id: ShapeId,
) -> SpanRow:
    # The types of JSON fields are checked by use: whatever does not fit raises, and the
    # line counts as bad.
    attributes: JsonObject = fields["attributes"]  # type: ignore[assignment]
    get = attributes.get
    name = _required_text(fields["name"])
    values = _kind_values(fields, name)
    try:
        kind = kinds.get(values)
    except TypeError:
        # A list or an object where a name should be: read it alone.
        kind = _read_kind(values, shape_id)
    if kind is None:
        kind = kinds[values] = _read_kind(values, shape_id)
    return (
        row_id,
        _trace_id(fields["trace_id"]),  # type: ignore[arg-type]
        key_of(_required_text(fields["span_id"]), SPAN_ID_BYTES),
        _parent_id(fields["parent_span_id"]),  # type: ignore[arg-type]
        kind.shape,
        kind.row_flags,
        name,
        min(parse_unix_ns(fields["start_time"]), MAX_INDEXED_NS),  # type: ignore[arg-type]
        min(parse_unix_ns(fields["end_time"]), MAX_INDEXED_NS),  # type: ignore[arg-type]
        received_ns,
        _text(get("inference.session_id")) or None,
        _text(get("inference.user_id")) or None,
        kind.agent_id,
        _message(fields) if kind.has_signal else None,
        _tokens(get("inference.llm.input_tokens")),
        _tokens(get("inference.llm.output_tokens")),
        _cost(get("inference.llm.cost.total")),
        *place,
    )


def _kind_values(fields: JsonObject, name: str) -> tuple[JsonValue, ...]:
    """The values that decide a span's kind, unchecked: looking them up costs less than reading."""
    status: JsonObject = fields["status"]  # type: ignore[assignment]
    resource: JsonObject = fields["resource"]["attributes"]  # type: ignore[index, call-overload, assignment]
    get = fields["attributes"].get  # type: ignore[union-attr]
    observation_kind = get("inference.observation_kind")
    tool = get("tool.name") or name if observation_kind == TOOL else ""
    return (
        resource.get("service.name"),
        resource.get("service.version"),
        fields["kind"],
        observation_kind,
        status["code"],
        tool if tool.__class__ is str else name,
        get("inference.llm.model_name"),
        get("inference.llm.provider"),
        get("inference.agent_name"),
        get("error.type"),
        get("inference.project_id"),
        get("inference.agent_id"),
        get("agent.id"),
        get("halo.derived.error") is True,
    )


def _read_kind(values: tuple[JsonValue, ...], shape_id: ShapeId) -> _Kind:
    service, version, otel_kind, kind, status, tool, model, provider, *rest = values
    agent, error_type, project, inferred_id, own_id, derived = rest
    agent_id = _text(inferred_id) or _text(own_id) or None
    flags = STATUS_ERROR_FLAG if status == STATUS_ERROR else 0
    if derived is True:
        flags |= DERIVED_ERROR_FLAG
    shape = Shape(
        _text(service),
        _text(version),
        _required_text(otel_kind),
        _text(kind) or "SPAN",
        _required_text(status),
        _text(tool),
        _text(model),
        _text(provider),
        _text(agent),
        _text(error_type),
        _text(project),
        flags,
    )
    row_flags = flags
    if flags & STATUS_ERROR_FLAG and shape.observation_kind == TOOL:
        row_flags |= TOOL_ERROR_FLAG
    if agent_id is None and not shape.agent:
        row_flags |= NO_AGENT_FLAG
    return _Kind(shape_id(shape), flags != 0, row_flags, agent_id)


def _message(fields: JsonObject) -> str:
    return _text(fields["status"].get("message"))[:MAX_MESSAGE_CHARS]  # type: ignore[union-attr]


@lru_cache(maxsize=1024)
def _trace_id(text: JsonValue) -> bytes:
    """Spans of a trace stand close together, so most ids were just seen."""
    return key_of(_required_text(text), TRACE_ID_BYTES)


@lru_cache(maxsize=1024)
def _parent_id(text: JsonValue) -> bytes | None:
    parent = _required_text(text)
    if not parent:
        return None
    try:
        return key_of(parent, SPAN_ID_BYTES)
    except ValueError:
        # It names no span that there could be, which costs the parent and not the line.
        return parent.encode()[:MAX_ID_CHARS]


def _required_text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise TypeError("a field that is not text")
    return value[:MAX_TEXT_LENGTH]


def _text(value: JsonValue) -> str:
    return value[:MAX_TEXT_LENGTH] if value.__class__ is str else ""


def _tokens(value: JsonValue) -> int | None:
    if value is None or not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_TOKENS else None


def _cost(value: JsonValue) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value)
