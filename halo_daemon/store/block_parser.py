"""
Blocks of canonical lines to rows of the index; pure.

Hot path: one call of `parse_block` handles some thousand lines. Most of a line are texts
that the index does not keep, so a line is checked as a whole and only the few values that
a row is made of are taken out of it.
"""

from codecs import utf_8_decode
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from halo_daemon.proto.json_value import JsonValue
from halo_daemon.proto.span import STATUS_ERROR, TOOL
from halo_daemon.proto.times import parse_unix_ns
from halo_daemon.store.ids import MAX_ID_CHARS, SPAN_ID_BYTES, TRACE_ID_BYTES, key_of
from halo_daemon.store.receipts import Receipts
from halo_daemon.store.span_row import (
    ABSENT,
    DERIVED_ERROR_FLAG,
    MAX_INDEXED_NS,
    MAX_MESSAGE_CHARS,
    MAX_TEXT_LENGTH,
    MAX_TOKENS,
    NO_AGENT_FLAG,
    STATUS_ERROR_FLAG,
    TOOL_ERROR_FLAG,
    Absent,
    Shape,
    SpanRow,
)

_MAX_IDS = 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_Values = tuple[
    int, int, int, int, int,
    bytes, bytes, bytes | Absent, str,
    str | Absent, str | Absent, str | Absent, str | Absent,
    int, int, float | Absent,
]  # fmt: skip
"""Of a row, all but its id and the place of its line."""


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


def parse_block(
    block: bytes,
    *,
    shard: int,
    base_offset: int,
    first_id: int,
    receipts: Receipts,
    kinds: "Kinds",
) -> ParsedBlock:
    """
    Turn complete lines into rows, with ids counted from *first_id*.

    *block* is whole lines that begin at *base_offset* of its *shard*; what follows the last
    newline is left, and blank lines are skipped.

    Returns:
        Rows in order of the lines; lines that are not canonical spans are counted apart.
    """
    rows: list[SpanRow] = []
    bad: list[BadLine] = []
    offset = base_offset
    row_id = first_id
    start = covered_to = received_ns = 0
    decode = _decode_text if _is_text(block) else _decode
    # `split` looks at one byte at a time and takes five times as long.
    while (stop := block.find(b"\n", start)) >= 0:
        line = block[start:stop]
        start = stop + 1
        end = base_offset + start
        if end > covered_to:
            received_ns = receipts.received_at(end)
            covered_to = receipts.covered_to(end)
        if offset == 0 and line.startswith(_BYTE_ORDER_MARK):
            line = line.removeprefix(_BYTE_ORDER_MARK)
            offset = len(_BYTE_ORDER_MARK)
        try:
            fields = decode(line)
            place = (shard, offset, len(line), crc32(line))
            rows.append((row_id, *_row(fields, kinds.of(fields), received_ns), *place))
            row_id += 1
        except (ValueError, OverflowError, msgspec.MsgspecError, RecursionError):
            if line and not line.isspace():
                bad.append(BadLine(shard, offset, len(line), received_ns))
        offset = end
    return ParsedBlock(rows, bad, offset)


class _Attributes(msgspec.Struct, gc=False):
    """What the index reads of a span's attributes; of any type, and None where absent."""

    observation_kind: Any = msgspec.field(name="inference.observation_kind", default=None)
    project: Any = msgspec.field(name="inference.project_id", default=None)
    provider: Any = msgspec.field(name="inference.llm.provider", default=None)
    model: Any = msgspec.field(name="inference.llm.model_name", default=None)
    input_tokens: Any = msgspec.field(name="inference.llm.input_tokens", default=None)
    output_tokens: Any = msgspec.field(name="inference.llm.output_tokens", default=None)
    cost_usd: Any = msgspec.field(name="inference.llm.cost.total", default=None)
    user: Any = msgspec.field(name="inference.user_id", default=None)
    session: Any = msgspec.field(name="inference.session_id", default=None)
    agent: Any = msgspec.field(name="inference.agent_name", default=None)
    inferred_agent_id: Any = msgspec.field(name="inference.agent_id", default=None)
    own_agent_id: Any = msgspec.field(name="agent.id", default=None)
    tool: Any = msgspec.field(name="tool.name", default=None)
    error_type: Any = msgspec.field(name="error.type", default=None)
    derived_error: Any = msgspec.field(name="halo.derived.error", default=None)


class _ResourceAttributes(msgspec.Struct, gc=False):
    service: Any = msgspec.field(name="service.name", default=None)
    version: Any = msgspec.field(name="service.version", default=None)


class _Resource(msgspec.Struct, gc=False):
    attributes: _ResourceAttributes


class _Status(msgspec.Struct, gc=False):
    code: str
    message: str


class _Scope(msgspec.Struct, gc=False):
    """Of no row: without it a line is no span that could be loaded."""

    name: str
    version: str


class _Line(msgspec.Struct, gc=False):
    """What the index reads of a line."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    start_time: str
    end_time: str
    status: _Status
    resource: _Resource
    scope: _Scope
    attributes: _Attributes


_decode_text = msgspec.json.Decoder(_Line).decode
"""
Take out of a line of UTF-8 what the index reads.

The decoder skips over bytes that it does not keep without asking whether they are text.
"""


def _decode(line: bytes) -> _Line:
    """
    The same of a line of any bytes.

    Raises:
        ValueError, msgspec.MsgspecError, RecursionError: It is no canonical span.
    """
    line.decode()
    return _decode_text(line)


def _is_text(block: bytes) -> bool:
    """Whether a block is UTF-8, but for what a cut at its end left of a character."""
    # Asked once for many lines: for each by itself it takes three times as long.
    if block.isascii():
        return True
    try:
        utf_8_decode(block, "strict", False)  # noqa: FBT003 -- takes no keywords
    except UnicodeDecodeError:
        return False
    return True


class _Kind(NamedTuple):
    """What spans with equal names and signals share."""

    shape: int
    has_signal: bool
    row_flags: int
    agent_id: str | Absent


class Kinds:
    """
    The kinds that were seen, good for one transaction, as ids of shapes are.

    Args:
        shape_id: The id of a shape in the index, given out on first sight.
    """

    def __init__(self, shape_id: Callable[[Shape], int]) -> None:
        self._shape_id = shape_id
        self._known: dict[tuple[JsonValue, ...], _Kind] = {}

    def of(self, fields: _Line) -> _Kind:
        """The kind of a line's span."""
        # Unchecked: looking the values up costs less than reading them.
        of_resource, of_span = fields.resource.attributes, fields.attributes
        name = fields.name[:MAX_TEXT_LENGTH]
        tool = of_span.tool or name if of_span.observation_kind == TOOL else ""
        values = (
            of_resource.service,
            of_resource.version,
            fields.kind,
            of_span.observation_kind,
            fields.status.code,
            tool if tool.__class__ is str else name,
            of_span.model,
            of_span.provider,
            of_span.agent,
            of_span.error_type,
            of_span.project,
            of_span.inferred_agent_id,
            of_span.own_agent_id,
            of_span.derived_error is True,
        )
        try:
            kind = self._known.get(values)
        except TypeError:
            # A list or an object where a name should be: read it alone.
            return _read_kind(values, self._shape_id)
        if kind is None:
            kind = self._known[values] = _read_kind(values, self._shape_id)
        return kind


def _row(fields: _Line, kind: _Kind, received_ns: int) -> _Values:
    """A row but for its id and the place of its line."""
    shape, has_signal, row_flags, agent_id = kind
    attributes = fields.attributes
    start_ns, end_ns = parse_unix_ns(fields.start_time), parse_unix_ns(fields.end_time)
    name, session, user = fields.name, attributes.session, attributes.user
    input_tokens, output_tokens = attributes.input_tokens, attributes.output_tokens
    cost_usd = attributes.cost_usd
    return (
        shape,
        row_flags,
        min(start_ns, MAX_INDEXED_NS),
        min(end_ns, MAX_INDEXED_NS),
        received_ns,
        _TRACE_IDS[fields.trace_id],
        key_of(fields.span_id, SPAN_ID_BYTES),
        _PARENT_IDS[fields.parent_span_id],
        name if len(name) <= MAX_TEXT_LENGTH else name[:MAX_TEXT_LENGTH],
        (_text(session) or ABSENT) if session else ABSENT,
        (_text(user) or ABSENT) if user else ABSENT,
        agent_id,
        fields.status.message[:MAX_MESSAGE_CHARS] if has_signal else ABSENT,
        ABSENT if input_tokens is None else _tokens(input_tokens),
        ABSENT if output_tokens is None else _tokens(output_tokens),
        ABSENT if cost_usd is None else _cost(cost_usd),
    )


def _read_kind(values: tuple[JsonValue, ...], shape_id: Callable[[Shape], int]) -> _Kind:
    service, version, otel_kind, kind, status, tool, model, provider, *rest = values
    agent, error_type, project, inferred_id, own_id, derived = rest
    agent_id = _text(inferred_id) or _text(own_id)
    flags = STATUS_ERROR_FLAG if status == STATUS_ERROR else 0
    if derived is True:
        flags |= DERIVED_ERROR_FLAG
    shape = Shape(
        _text(service),
        _text(version),
        _text(otel_kind),
        _text(kind) or "SPAN",
        _text(status),
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
    if not agent_id and not shape.agent:
        row_flags |= NO_AGENT_FLAG
    return _Kind(shape_id(shape), flags != 0, row_flags, agent_id or ABSENT)


_Id = TypeVar("_Id")


class _Ids(dict[str, _Id]):
    """
    Ids by their text, as many as were just seen: spans of a trace stand close together.

    Half the time of a cache that tells which of them were used last.
    """

    def __init__(self, read: Callable[[str], _Id]) -> None:
        self._read = read

    def __missing__(self, text: str) -> _Id:
        key = self._read(text)
        if len(self) >= _MAX_IDS:
            self.clear()
        self[text] = key
        return key


def _trace_id(text: str) -> bytes:
    return key_of(text, TRACE_ID_BYTES)


def _parent_id(text: str) -> bytes | Absent:
    if not text:
        return ABSENT
    try:
        return key_of(text, SPAN_ID_BYTES)
    except ValueError:
        # It names no span that there could be, which costs the parent and not the line.
        return text.encode()[:MAX_ID_CHARS]


_TRACE_IDS, _PARENT_IDS = _Ids(_trace_id), _Ids(_parent_id)


def _text(value: JsonValue) -> str:
    return value[:MAX_TEXT_LENGTH] if value.__class__ is str else ""


def _tokens(value: JsonValue) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        return ABSENT
    return value if 0 <= value <= MAX_TOKENS else ABSENT


def _cost(value: JsonValue) -> float | Absent:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return ABSENT
    return float(value)
