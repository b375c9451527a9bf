"""
Canonical lines to rows of the index; pure.

Hot path: one call of `parse_block` handles some thousand lines. Most of a line are texts
that the index does not keep, so a line is checked as a whole and only the few values that
a row is made of are taken out of it.
"""

import zlib
from codecs import utf_8_decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from halo_daemon.proto.json_value import JsonValue
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


SHAPE = itemgetter(SPAN_COLUMNS.index("shape"), SPAN_COLUMNS.index("agent_id"))
"""The shape of a row, and the agent's id that no shape has."""

TraceRows = Mapping[bytes, Sequence[SpanRow]]
"""Rows by trace."""


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


def by_trace(rows: Iterable[SpanRow]) -> dict[bytes, list[SpanRow]]:
    """The rows of each trace, traces and rows in the order given."""
    traces: dict[bytes, list[SpanRow]] = {}
    for row in rows:
        trace_id = row[1]
        found = traces.get(trace_id)
        if found is None:
            traces[trace_id] = [row]
        else:
            found.append(row)
    return traces


def bindable(rows: Iterable[SpanRow]) -> Iterator[tuple[object, ...]]:
    """
    Rows as `index_schema.INSERT_SPAN` takes them: ids as `bytearray`, ``""`` for what is absent.

    The `sqlite3` module looks for an adapter each time that it is given `bytes` or None, which
    takes longer than the rest of the row.
    """
    # fmt: off
    for (
        row_id, trace_id, span_id, parent_id, shape, flags, name, start_ns, end_ns, received_ns,
        session, user, agent_id, message, input_tokens, output_tokens, cost_usd,
        shard, offset, length, crc,
    ) in rows:
        yield (
            row_id, bytearray(trace_id), bytearray(span_id),
            "" if parent_id is None else bytearray(parent_id),
            shape, flags, name, start_ns, end_ns, received_ns,
            session or "", user or "", agent_id or "", message or "",
            "" if input_tokens is None else input_tokens,
            "" if output_tokens is None else output_tokens,
            "" if cost_usd is None else cost_usd,
            shard, offset, length, crc,
        )
    # fmt: on


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
        if line and not line.isspace():
            try:
                fields = decode(line)
                kind = kinds.of(fields)
                place = (shard, offset, len(line), zlib.crc32(line))
                rows.append(_row(fields, kind, row_id, received_ns, place=place))
                row_id += 1
            except (ValueError, msgspec.MsgspecError, RecursionError):
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
    agent_id: str | None


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
        values = _kind_values(fields)
        try:
            kind = self._known.get(values)
        except TypeError:
            # A list or an object where a name should be: read it alone.
            return _read_kind(values, self._shape_id)
        if kind is None:
            kind = self._known[values] = _read_kind(values, self._shape_id)
        return kind


def _row(
    fields: _Line,
    kind: _Kind,
    row_id: int,
    received_ns: int,
    *,
    place: tuple[int, int, int, int],
) -> SpanRow:
    shape, has_signal, row_flags, agent_id = kind
    shard, offset, length, crc = place
    attributes = fields.attributes
    return (
        row_id,
        _trace_id(fields.trace_id),
        key_of(fields.span_id, SPAN_ID_BYTES),
        _parent_id(fields.parent_span_id),
        shape,
        row_flags,
        fields.name[:MAX_TEXT_LENGTH],
        min(parse_unix_ns(fields.start_time), MAX_INDEXED_NS),
        min(parse_unix_ns(fields.end_time), MAX_INDEXED_NS),
        received_ns,
        _text(attributes.session) or None,
        _text(attributes.user) or None,
        agent_id,
        fields.status.message[:MAX_MESSAGE_CHARS] if has_signal else None,
        _tokens(attributes.input_tokens),
        _tokens(attributes.output_tokens),
        _cost(attributes.cost_usd),
        shard,
        offset,
        length,
        crc,
    )


def _kind_values(fields: _Line) -> tuple[JsonValue, ...]:
    """The values that decide a span's kind, unchecked: looking them up costs less than reading."""
    of_resource, of_span = fields.resource.attributes, fields.attributes
    name = fields.name[:MAX_TEXT_LENGTH]
    tool = of_span.tool or name if of_span.observation_kind == TOOL else ""
    return (
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


def _read_kind(values: tuple[JsonValue, ...], shape_id: Callable[[Shape], int]) -> _Kind:
    service, version, otel_kind, kind, status, tool, model, provider, *rest = values
    agent, error_type, project, inferred_id, own_id, derived = rest
    agent_id = _text(inferred_id) or _text(own_id) or None
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
    if agent_id is None and not shape.agent:
        row_flags |= NO_AGENT_FLAG
    return _Kind(shape_id(shape), flags != 0, row_flags, agent_id)


@lru_cache(maxsize=1024)
def _trace_id(text: str) -> bytes:
    """Spans of a trace stand close together, so most ids were just seen."""
    return key_of(text, TRACE_ID_BYTES)


@lru_cache(maxsize=1024)
def _parent_id(text: str) -> bytes | None:
    if not text:
        return None
    try:
        return key_of(text, SPAN_ID_BYTES)
    except ValueError:
        # It names no span that there could be, which costs the parent and not the line.
        return text.encode()[:MAX_ID_CHARS]


def _text(value: JsonValue) -> str:
    return value[:MAX_TEXT_LENGTH] if value.__class__ is str else ""


def _tokens(value: JsonValue) -> int | None:
    if value is None or not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_TOKENS else None


def _cost(value: JsonValue) -> float | None:
    if value is None or not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value)
