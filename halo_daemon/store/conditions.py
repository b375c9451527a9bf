"""Whether a span is meant by a filter; pure. The reference for what engines do in their own way."""

from collections.abc import Callable, Iterable
from typing import cast

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.store.filters import AttributeCondition, Operator, Scalar, SpanFilter
from halo_daemon.store.patterns import compile_pattern
from halo_daemon.store.records import SpanRecord
from halo_daemon.store.span_row import MAX_MESSAGE_CHARS

_ABSENT = object()

Wanted = Scalar | tuple[Scalar, ...] | None
"""What a condition compares with."""


def record_of(span: Span) -> SpanRecord:
    """What an index knows of a span by itself; its trace can add session and user."""
    attributes = span.attributes
    error_type = attributes.get("error.type")
    return SpanRecord(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=span.kind,
        observation_kind=span.observation_kind,
        tool_name=span.tool_name,
        model_name=span.model,
        provider=span.provider,
        agent_name=span.agent_name,
        service_name=span.service_name,
        service_version=span.service_version,
        session_id=span.session_id,
        user_id=span.user_id,
        project_id=span.text("inference.project_id"),
        status_code=span.status_code,
        error_type=error_type if isinstance(error_type, str) else "",
        status_message=_message_of(span),
        has_error=span.has_error_status or span.has_derived_error,
        start_unix_ns=span.start_unix_ns,
        end_unix_ns=span.end_unix_ns,
        input_tokens=span.input_tokens,
        output_tokens=span.output_tokens,
        cost_usd=span.cost_usd,
        line_bytes=span.line_bytes,
    )


def _message_of(span: Span) -> str:
    is_error = span.has_error_status or span.has_derived_error
    return span.status_message[:MAX_MESSAGE_CHARS] if is_error else ""


def is_meant(record: SpanRecord, wanted: SpanFilter) -> bool:
    """Whether all fields of *wanted* but ``attributes`` hold."""
    return (
        _any(record.trace_id, wanted.trace_ids)
        and _any(record.name, wanted.span_names)
        and _any(record.observation_kind, wanted.observation_kinds)
        and _any(record.tool_name, wanted.tool_names)
        and _any(record.model_name, wanted.model_names)
        and _any(record.agent_name, wanted.agent_names)
        and _any(record.service_name, wanted.service_names)
        and _any(record.service_version, wanted.service_versions)
        and _any(record.session_id, wanted.session_ids)
        and _any(record.user_id, wanted.user_ids)
        and _any(record.status_code, wanted.status_codes)
        and _any(record.error_type, wanted.error_types)
        and _any(record.project_id, wanted.project_ids)
        and wanted.has_error in {None, record.has_error}
        and _is_within(record, wanted)
    )


def attributes_hold(fields: JsonObject, conditions: Iterable[AttributeCondition]) -> bool:
    """Whether the span of a line fulfils every condition."""
    return all(_holds(fields, condition) for condition in conditions)


def text_of(value: JsonValue | Wanted) -> str:
    """A value as text: texts as they are, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _any(found: str, wanted: tuple[str, ...]) -> bool:
    return not wanted or found in wanted


def _is_within(record: SpanRecord, wanted: SpanFilter) -> bool:
    bounds: tuple[tuple[float | None, float | None, float], ...] = (
        (wanted.start_unix_ns_gte, None, record.start_unix_ns),
        (wanted.min_duration_ms, wanted.max_duration_ms, record.duration_ms),
        (wanted.min_tokens, None, record.tokens),
        (wanted.min_cost_usd, None, record.cost_usd or 0.0),
    )
    is_early = wanted.start_unix_ns_lt is None or record.start_unix_ns < wanted.start_unix_ns_lt
    return is_early and all(
        (least is None or value >= least) and (most is None or value <= most)
        for least, most, value in bounds
    )


def _holds(fields: JsonObject, condition: AttributeCondition) -> bool:
    attributes = cast("JsonObject", fields["attributes"])
    resource = cast("JsonObject", cast("JsonObject", fields["resource"])["attributes"])
    found: object = attributes.get(condition.key, resource.get(condition.key, _ABSENT))
    if condition.op in {Operator.EXISTS, Operator.MISSING}:
        return (found is not _ABSENT) is (condition.op is Operator.EXISTS)
    if found is _ABSENT:
        return False
    return _COMPARE[condition.op](cast("JsonValue", found), condition.value)


def _is_equal(found: JsonValue, value: Wanted) -> bool:
    # Python takes True for 1; a filter for 1 does not mean true.
    return found == value and isinstance(found, bool) is isinstance(value, bool)


def _is_in(found: JsonValue, value: Wanted) -> bool:
    return isinstance(value, tuple) and any(_is_equal(found, one) for one in value)


def _sign(found: JsonValue, value: Wanted) -> int | None:
    if isinstance(found, bool) or isinstance(value, bool):
        return None
    if isinstance(found, (int, float)) and isinstance(value, (int, float)):
        return (found > value) - (found < value)
    if isinstance(found, str) and isinstance(value, str):
        return (found > value) - (found < value)
    return None


_COMPARE: dict[Operator, Callable[[JsonValue, Wanted], bool]] = {
    Operator.EQ: _is_equal,
    Operator.NE: lambda found, value: not _is_equal(found, value),
    Operator.IN: _is_in,
    Operator.GTE: lambda found, value: _sign(found, value) in {0, 1},
    Operator.LTE: lambda found, value: _sign(found, value) in {0, -1},
    Operator.CONTAINS: lambda found, value: text_of(value) in text_of(found),
    Operator.MATCHES: lambda found, value: (
        compile_pattern(text_of(value)).search(text_of(found)) is not None
    ),
}
