"""
A row of the index: its columns, what they hold where a line has no value, and its shape.

`block_parser` makes rows of lines; everything else of the store reads them.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final, Literal, NamedTuple

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


ABSENT: Final = -1
"""
What a row has where its line has no value.

The `sqlite3` module binds numbers twice as fast as empty texts, and four times as fast as None.
"""

Absent = Literal[-1]

# One stored line as a row of the index, in the order of `SPAN_COLUMNS`. A plain tuple: SQLite
# binds those twice as fast as named ones.
SpanRow = tuple[
    int, int, int, int, int, int,
    bytes, bytes, bytes | Absent, str,
    str | Absent, str | Absent, str | Absent, str | Absent,
    int, int, float | Absent,
    int, int, int, int,
]  # fmt: skip

SPAN_COLUMNS = (
    "id", "shape", "flags", "start_ns", "end_ns", "received_ns",
    "trace_id", "span_id", "stored_parent_id", "name",
    "stored_session", "stored_user", "stored_agent_id", "stored_message",
    "stored_input_tokens", "stored_output_tokens", "stored_cost_usd",
    "shard", "offset", "length", "crc",
)  # fmt: skip
"""Columns as they are stored: each ``stored_x`` is shown as ``x``, NULL where it is `ABSENT`."""

SHAPE: Final = 1
TRACE_ID: Final = 6
SPAN_ID: Final = 7
PARENT_ID: Final = 8
SHARD: Final = 17
"""Places in a row."""


def bindable(rows: Iterable[SpanRow]) -> list[object]:
    """
    The values of rows, one after the other, as `index_schema.INSERT_SPANS` takes them.

    Ids are `bytearray`: the `sqlite3` module looks for an adapter each time that it is given
    `bytes`, which takes four times as long.
    """
    values: list[Any] = [*chain.from_iterable(rows)]
    width = len(SPAN_COLUMNS)
    values[TRACE_ID::width] = [*map(bytearray, values[TRACE_ID::width])]
    values[SPAN_ID::width] = [*map(bytearray, values[SPAN_ID::width])]
    values[PARENT_ID::width] = [
        parent_id if parent_id == ABSENT else bytearray(parent_id)
        for parent_id in values[PARENT_ID::width]
    ]
    return values
