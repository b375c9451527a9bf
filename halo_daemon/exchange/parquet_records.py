"""
Rows of Parquet files as the records that a tool's other files hold.

Columns of any type become JSON values: times ISO 8601 with all their digits, whole
decimals and bytes text, and what a row does not have is left out. Rows come in batches,
so memory is that of a row group and a thousand rows.
"""

import io
import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from halo_daemon.errors import ConfigError
from halo_daemon.exchange.incoming import Input, Place
from halo_daemon.exchange.json_records import Record
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.times import format_unix_ns

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    pa = pq = None

_ROWS_A_BATCH: Final = 1_000


def parquet_records(source: Input) -> Iterator[Record]:
    """
    Every row of a file, in order, from *source*'s place on.

    A file that is damaged or cut off gives one record that says so; one that is packed or
    comes by a pipe cannot be read, because its table of contents stands at its end.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    if pq is None:
        raise ConfigError(
            "cannot read Parquet: pyarrow is not installed",
            hint="pip install 'halo-daemon[parquet]'",
        )
    number = source.start.records
    try:
        source.stream.seek(0)
        file = pq.ParquetFile(source.stream, pre_buffer=False)
        for batch in _batches_from(file, number):
            for row in batch:
                number += 1
                value: JsonObject = {key: one for key, one in row.items() if one is not None}
                yield Record(f"row {number}", value, "", Place(0, number))
    except io.UnsupportedOperation:
        yield Record("", None, "Parquet by a pipe or packed: name the file itself", None)
    except (pa.ArrowException, OSError) as exc:
        reason = f"damaged Parquet: {str(exc).partition(chr(10))[0][:80]}"
        yield Record(f"row {number + 1}", None, reason, None)


def columns_of(source: Input) -> frozenset[str]:
    """The names of a file's columns; none where it cannot be read."""
    if pq is None:
        return frozenset()
    try:
        source.stream.seek(0)
        return frozenset(pq.read_schema(source.stream).names)
    except (pa.ArrowException, OSError):
        return frozenset()


def nested(row: Mapping[str, JsonValue], *prefixes: str) -> JsonObject:
    """*row* with the columns below each of *prefixes* in an object of that name."""
    record: JsonObject = {}
    inner: dict[str, JsonObject] = {prefix: {} for prefix in prefixes}
    for key, value in row.items():
        prefix, dot, rest = key.partition(".")
        if dot and prefix in inner:
            inner[prefix][rest] = value
        else:
            record[key] = value
    return {**record, **inner}


def _batches_from(file: Any, first: int) -> Iterator[list[JsonObject]]:
    """Rows from the *first* on; row groups before it are not read."""
    groups: list[int] = []
    before = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if groups or before + rows > first:
            groups.append(group)
        else:
            before += rows
    skip = first - before
    for batch in file.iter_batches(batch_size=_ROWS_A_BATCH, row_groups=groups):
        rows = _rows(batch)
        yield rows[skip:]
        skip = max(0, skip - len(rows))


def _rows(batch: Any) -> list[JsonObject]:
    columns = {name: _values(batch.column(place)) for place, name in enumerate(batch.schema.names)}
    return [
        {name: values[row] for name, values in columns.items()} for row in range(batch.num_rows)
    ]


def _values(column: Any) -> list[JsonValue]:
    if pa.types.is_timestamp(column.type):
        # Python's own times end at microseconds.
        whole = column.cast(pa.timestamp("ns", tz=column.type.tz), safe=False).cast(pa.int64())
        return [None if one is None else format_unix_ns(max(0, one)) for one in whole.to_pylist()]
    return [_plain(one) for one in column.to_pylist()]


def _plain(value: object) -> JsonValue:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (datetime, date, Decimal, timedelta)):
        return str(value)
    return cast("JsonValue", value)
