"""Builders of canonical spans and lines."""

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.times import format_unix_ns

TRACE_ID = "5b8efff798038103d269b633813fc60c"
SPAN_ID = "eee19b7ec3c1b174"
START_UNIX_NS = 1_788_000_000_000_000_000
_SECOND_NS = 10**9


def trace_id_of(number: int) -> str:
    """A valid trace id for a number of 1 or more."""
    return f"{number:032x}"


def span_id_of(number: int) -> str:
    """A valid span id for a number of 1 or more."""
    return f"{number:016x}"


def make_fields(
    *,
    trace_id: str = TRACE_ID,
    span_id: str = SPAN_ID,
    parent_span_id: str = "",
    name: str = "work",
    kind: str = "SPAN_KIND_INTERNAL",
    start_unix_ns: int = START_UNIX_NS,
    end_unix_ns: int | None = None,
    status_code: str = "STATUS_CODE_UNSET",
    status_message: str = "",
    service_name: str = "support-bot",
    observation_kind: str = "SPAN",
    project: str = "default",
    attributes: JsonObject | None = None,
    resource_attributes: JsonObject | None = None,
    extras: JsonObject | None = None,
) -> JsonObject:
    """
    The JSON object of one canonical line; a span of one second unless told otherwise.

    *end_unix_ns* is 0 for a pending span, and by default one second after the
    start. *attributes* override or follow the derived ``inference.*`` keys;
    *extras* are further top-level fields, such as ``events``.
    """
    end = start_unix_ns + _SECOND_NS if end_unix_ns is None else end_unix_ns
    derived: dict[str, JsonValue] = {
        "inference.export.schema_version": 1,
        "inference.project_id": project,
        "inference.observation_kind": observation_kind,
        "inference.llm.provider": None,
        "inference.llm.model_name": None,
        "inference.llm.input_tokens": None,
        "inference.llm.output_tokens": None,
        "inference.llm.cached_input_tokens": None,
        "inference.llm.reasoning_output_tokens": None,
        "inference.llm.cost.total": None,
        "inference.user_id": None,
        "inference.session_id": None,
        "inference.agent_name": "",
        "inference.agent_id": None,
    }
    return {
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": parent_span_id,
        "trace_state": "",
        "name": name,
        "kind": kind,
        "start_time": format_unix_ns(start_unix_ns),
        "end_time": format_unix_ns(end),
        "status": {"code": status_code, "message": status_message},
        "resource": {"attributes": {"service.name": service_name, **(resource_attributes or {})}},
        "scope": {"name": "tests", "version": "1"},
        "attributes": {**derived, **(attributes or {})},
        **(extras or {}),
    }


def make_span(**changes: object) -> Span:
    """A span; takes the arguments of `make_fields`."""
    return Span.from_fields(make_fields(**changes))  # type: ignore[arg-type]


def make_line(**changes: object) -> bytes:
    """A canonical line with its newline; takes the arguments of `make_fields`."""
    return orjson.dumps(make_fields(**changes)) + b"\n"  # type: ignore[arg-type]
