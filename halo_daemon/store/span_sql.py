"""`SpanFilter` and `TraceFilter` as conditions on the tables of a day's index; pure."""

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.ids import id_of, trace_key
from halo_daemon.store.records import SpanRecord
from halo_daemon.store.span_row import ERROR_FLAGS

Parameters = dict[str, Any]
"""Values for the named marks of a statement; whatever SQLite binds."""


def _own_or_of_trace(column: str) -> str:
    """What a span names, or else the one that its trace does; NULL when neither."""
    # The subquery runs for spans alone that name none.
    return (
        f"coalesce(s.{column}, (SELECT o.first_{column} FROM traces o"  # noqa: S608 -- constants
        f" WHERE o.trace_id = s.trace_id AND o.first_{column} = o.last_{column}))"
    )


_SESSION, _USER = _own_or_of_trace("session"), _own_or_of_trace("user")

# What `record_from_row` takes, then whether its usage is another span's too (`enclosing`).
RECORD_FIELDS = (
    *("s.trace_id", "s.span_id", "s.parent_id", "s.name", "h.kind", "h.observation_kind", "h.tool"),
    *("h.model", "h.provider", "h.agent", "h.service", "h.service_version", _SESSION, _USER),
    *("h.status", "h.error_type", "h.flags", "s.start_ns", "s.end_ns", "s.input_tokens"),
    *("s.output_tokens", "s.cost_usd", "s.length", "s.message", "h.project", "s.encloses"),
)
RECORD_COLUMNS = ", ".join(RECORD_FIELDS)


def columns_of(places: Collection[int]) -> str:
    """`RECORD_COLUMNS` with NULL for all but those at *places*, which alone are read."""
    fields = (field if at in places else "NULL" for at, field in enumerate(RECORD_FIELDS))
    return ", ".join(fields)


# As the index `span_durations` has it.
DURATION_NS = "CASE WHEN s.end_ns > 0 THEN max(0, s.end_ns - s.start_ns) ELSE 0 END"
DURATION_MS = f"({DURATION_NS} / 1e6)"
TRACE_DURATION_NS = "CASE WHEN t.end_ns > 0 THEN max(0, t.end_ns - t.first_start_ns) ELSE 0 END"
TOKENS = "(coalesce(s.input_tokens, 0) + coalesce(s.output_tokens, 0))"

# As the index `failing_trace_starts` has it.
_FAILS = "t.error_spans + t.derived_errors > 0"

_MAX_MARKS = 500
"""SQLite takes so many values in any build."""

_SHAPE_FIELDS = {
    "observation_kinds": "observation_kind",
    "tool_names": "tool",
    "model_names": "model",
    "agent_names": "agent",
    "service_names": "service",
    "service_versions": "service_version",
    "status_codes": "status",
    "error_types": "error_type",
    "project_ids": "project",
}


class Condition:
    """Parts of a condition, all of which must hold, and their parameters."""

    def __init__(self, prefix: str = "p") -> None:
        self._prefix = prefix
        self.parts: list[str] = []
        self.parameters: Parameters = {}

    def mark(self, value: object) -> str:
        """A named mark for *value*."""
        name = f"{self._prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def add(self, part: str) -> None:
        """One more part."""
        self.parts.append(part)

    def add_of(self, part: str, parameters: Mapping[str, object]) -> None:
        """One more part with marks of its own."""
        self.add(part)
        self.parameters.update(parameters)

    def add_any(self, column: str, values: tuple[Any, ...]) -> None:
        """The column has one of *values*, however many they are."""
        self.add(f"{column} IN ({self.marks(values)})")

    def marks(self, values: tuple[Any, ...]) -> str:
        """What stands behind IN for *values*."""
        if len(values) <= _MAX_MARKS:
            return ", ".join(map(self.mark, values))
        return f"SELECT value FROM json_each({self.mark(json.dumps(values))})"  # noqa: S608 -- marks only

    def add_ids(self, column: str, keys: tuple[bytes, ...]) -> None:
        """The column has one of *keys*, however many they are."""
        if len(keys) <= _MAX_MARKS:
            self.add_any(column, keys)
            return
        packed = self.mark(json.dumps([key.hex() for key in keys]))
        self.add(f"{column} IN (SELECT key_of_hex(value) FROM json_each({packed}))")  # noqa: S608 -- marks only

    def add_bound(self, expression: str, operator: str, value: float | None) -> None:
        """The expression is within a bound, where there is one."""
        if value is not None:
            self.add(f"{expression} {operator} {self.mark(_in_range(value))}")

    def __str__(self) -> str:
        return " AND ".join(self.parts) or "1"


def _in_range(value: float) -> float:
    """A bound as SQLite takes it, on the same side of all that is stored."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return math.copysign(math.inf, value)
    return value


def ids(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    """Ids of traces as stored; what is no id matches nothing and is left out."""
    return tuple(key for key in map(trace_key, texts) if key is not None)


def shape_condition(wanted: SpanFilter, condition: Condition) -> str:
    """What *wanted* says of a row of ``shapes``; ``""`` when nothing."""
    parts = [
        f"{column} IN ({condition.marks(getattr(wanted, field))})"
        for field, column in _SHAPE_FIELDS.items()
        if getattr(wanted, field)
    ]
    if wanted.has_error is not None:
        parts.append("flags != 0" if wanted.has_error else "flags = 0")
    return " AND ".join(parts)


def is_of_shape_only(wanted: SpanFilter) -> bool:
    """Whether a span's shape alone decides."""
    cleared = dict.fromkeys(_SHAPE_FIELDS, ())
    return wanted.model_copy(update={**cleared, "has_error": None}) == SpanFilter()


def span_condition(wanted: SpanFilter, condition: Condition) -> Condition:
    """Add what *wanted* says of a row ``s`` of ``spans``, but for attributes."""
    shape = shape_condition(wanted, condition)
    if shape:
        condition.add(f"s.shape IN (SELECT id FROM shapes WHERE {shape})")  # noqa: S608 -- marks only
    if wanted.trace_ids:
        condition.add_ids("s.trace_id", ids(wanted.trace_ids))
    if wanted.span_names:
        condition.add_any("s.name", wanted.span_names)
    for column, values in ((_SESSION, wanted.session_ids), (_USER, wanted.user_ids)):
        if values:
            condition.add(f"coalesce({column}, '') IN ({condition.marks(values)})")
    condition.add_bound("s.start_ns", ">=", wanted.start_unix_ns_gte)
    condition.add_bound("s.start_ns", "<", wanted.start_unix_ns_lt)
    condition.add_bound(DURATION_MS, ">=", wanted.min_duration_ms)
    condition.add_bound(DURATION_MS, "<=", wanted.max_duration_ms)
    condition.add_bound(TOKENS, ">=", wanted.min_tokens)
    condition.add_bound("coalesce(s.cost_usd, 0)", ">=", wanted.min_cost_usd)
    return condition


def trace_condition(wanted: TraceFilter, condition: Condition) -> Condition:
    """Add what *wanted* says of a row ``t`` of ``traces``, but for ``any_span``."""
    if wanted.trace_ids:
        condition.add_ids("t.trace_id", ids(wanted.trace_ids))
    for flag, expression in (
        (wanted.has_errors, "t.error_spans > 0"),
        (wanted.has_error_signals, _FAILS),
        (wanted.is_open, "t.ended_roots = 0"),
    ):
        if flag is not None:
            condition.add(expression if flag else f"NOT ({expression})")
    if wanted.has_errors:
        # It follows, and names the index.
        condition.add(_FAILS)
    duration = f"({TRACE_DURATION_NS} / 1e6)"
    condition.add_bound("t.first_start_ns", ">=", wanted.start_unix_ns_gte)
    condition.add_bound("t.first_start_ns", "<", wanted.start_unix_ns_lt)
    condition.add_bound("t.end_ns", "<=", wanted.end_unix_ns_lte)
    condition.add_bound(duration, ">=", wanted.min_duration_ms)
    condition.add_bound(duration, "<=", wanted.max_duration_ms)
    condition.add_bound("t.spans", ">=", wanted.min_spans)
    condition.add_bound("t.spans", "<=", wanted.max_spans)
    return condition


def record_from_row(row: tuple[Any, ...]) -> SpanRecord:
    """A row of `RECORD_COLUMNS` as a record."""
    session, user, status, error_type, flags, *numbers, message, project = row[12:25]
    return SpanRecord._make(
        (
            id_of(row[0]),
            id_of(row[1]),
            id_of(row[2]) if row[2] else "",
            *row[3:12],
            session or "",
            user or "",
            project,
            status,
            error_type,
            message or "",
            flags != 0,
            *numbers,
        )
    )


assert ERROR_FLAGS == 3, "a shape without an error signal has no flag set"  # noqa: PLR2004
