"""
Spans as Parquet files, one row each.

Files stand in ``project=<slug>/day=<UTC day of the start>/``, as engines that read
partitioned data expect. Traces come in the order of their ids, so rows of many days
arrive mixed: each day collects rows, and the fullest is written when all of them
together hold too much.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from halo_daemon import __version__
from halo_daemon.errors import ConfigError, HaloError
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.redact_line import masked
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    pa = pq = None

_MAX_WAITING_BYTES: Final = 64 * 1024**2
_ROWS_A_GROUP: Final = 20_000
_MAX_OPEN_FILES: Final = 64
_NANOS: Final = 10**9
_LATEST: Final = 2**63 - 1
_TEXT_COLUMNS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "kind",
    "span_kind",
    "status_code",
    "status_message",
)
_LATER_TEXT_COLUMNS: Final = (
    "service_name",
    "service_version",
    "agent_name",
    "model_name",
    "provider",
    "tool_name",
    "session_id",
    "user_id",
)
_COUNT_COLUMNS: Final = ("input_tokens", "output_tokens")
_LONG_COLUMNS: Final = ("input", "output", "attributes", "resource_attributes", "events")


def require_pyarrow() -> None:
    """
    Make sure that Parquet can be written.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    if pa is None:
        raise ConfigError(
            "cannot write Parquet: pyarrow is not installed",
            hint="pip install 'halo-daemon[parquet]'",
        )


def write_parquet(
    traces: Iterable[Trace], project: str, target: Path, *, unmasked: bool = False
) -> int:
    """
    Write one directory, whole or not at all.

    Args:
        traces: What to write, in a stable order.
        project: The slug of their project.
        target: The directory; new, or empty.
        unmasked: Whether secrets stay in the texts.

    Returns:
        How many rows were written.

    Raises:
        ConfigError: pyarrow is not installed, or *target* holds something.
        HaloError: The disk refused.
    """
    require_pyarrow()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(
            f"cannot write Parquet to {target}: it is there and holds something",
            hint="name a new directory with -o",
        )
    temporary = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        days = _Days(temporary / f"project={project}")
        for trace in traces:
            for span in trace.spans:
                days.add(span if unmasked else Span.from_fields(masked(span.fields)))
        rows = days.close()
        if target.is_dir():
            target.rmdir()
        temporary.replace(target)
    except OSError as exc:
        raise HaloError(f"cannot write {target}: {exc.strerror or exc}") from exc
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return rows


def _schema() -> "pa.Schema":
    text, whole = pa.string(), pa.int64()
    return pa.schema(
        [
            *(pa.field(name, text) for name in _TEXT_COLUMNS),
            pa.field("start_unix_ns", whole),
            pa.field("end_unix_ns", whole),
            pa.field("duration_ns", whole),
            *(pa.field(name, text) for name in _LATER_TEXT_COLUMNS),
            *(pa.field(name, whole) for name in _COUNT_COLUMNS),
            pa.field("cost_usd", pa.float64()),
            *(pa.field(name, text) for name in _LONG_COLUMNS),
        ],
        metadata={"generator": f"halo-daemon {__version__}", "schema": "halo.spans/v1"},
    )


def _row(span: Span) -> JsonObject:
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id or None,
        "name": span.name,
        "kind": span.observation_kind,
        "span_kind": span.kind,
        "status_code": span.status_code,
        "status_message": span.status_message or None,
        "start_unix_ns": min(span.start_unix_ns, _LATEST),
        "end_unix_ns": min(span.end_unix_ns, _LATEST) or None,
        "duration_ns": min(span.duration_ns, _LATEST) if span.is_complete else None,
        "service_name": span.service_name or None,
        "service_version": span.service_version or None,
        "agent_name": span.agent_name or None,
        "model_name": span.model or None,
        "provider": span.provider or None,
        "tool_name": span.tool_name or None,
        "session_id": span.session_id or None,
        "user_id": span.user_id or None,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
        "cost_usd": span.cost_usd,
        "input": _text(span, "input.value"),
        "output": _text(span, "output.value"),
        "attributes": orjson.dumps(span.attributes).decode(),
        "resource_attributes": orjson.dumps(span.resource_attributes).decode(),
        "events": orjson.dumps(span.events).decode() if span.events else None,
    }


def _text(span: Span, key: str) -> str | None:
    value = span.attributes.get(key)
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


@dataclass
class _Day:
    """What one day's file is given."""

    path: Path
    rows: list[JsonObject] = field(default_factory=list)
    waiting_bytes: int = 0
    writer: "pq.ParquetWriter | None" = None
    files: int = 0


class _Days:
    """The files of one project, one or more a day."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._schema = _schema()
        self._days: dict[str, _Day] = {}
        self._waiting_bytes = 0
        self._rows = 0

    def add(self, span: Span) -> None:
        """Add one row."""
        moment = datetime.fromtimestamp(span.start_unix_ns // _NANOS, UTC)
        name = f"{moment:%Y-%m-%d}"
        day = self._days.setdefault(name, _Day(self._directory / f"day={name}"))
        row = _row(span)
        # Text is stored once; the rest of a row is small beside it.
        size_bytes = sum(len(value) for value in row.values() if isinstance(value, str))
        day.rows.append(row)
        day.waiting_bytes += size_bytes
        self._waiting_bytes += size_bytes
        self._rows += 1
        if len(day.rows) >= _ROWS_A_GROUP:
            self._flush(day)
        if self._waiting_bytes > _MAX_WAITING_BYTES:
            self._flush(max(self._days.values(), key=lambda one: one.waiting_bytes))

    def close(self) -> int:
        """Write what waits; returns how many rows there are."""
        for day in self._days.values():
            self._flush(day)
            _end_file(day)
        return self._rows

    def _flush(self, day: _Day) -> None:
        if not day.rows:
            return
        if day.writer is None:
            self._open(day)
        assert day.writer is not None
        day.writer.write_table(pa.Table.from_pylist(day.rows, schema=self._schema))
        self._waiting_bytes -= day.waiting_bytes
        day.rows, day.waiting_bytes = [], 0

    def _open(self, day: _Day) -> None:
        opened = [one for one in self._days.values() if one.writer is not None]
        if len(opened) >= _MAX_OPEN_FILES:
            _end_file(opened[0])
        day.path.mkdir(parents=True, exist_ok=True)
        path = day.path / f"part-{day.files:05d}.parquet"
        day.files += 1
        day.writer = pq.ParquetWriter(path, self._schema, compression="zstd")


def _end_file(day: _Day) -> None:
    if day.writer is not None:
        day.writer.close()
        day.writer = None
