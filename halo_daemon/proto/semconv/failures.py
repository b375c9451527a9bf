"""
Error signals that stand outside the status.

What the sender says of its own outcome (`error.type`, an HTTP status) turns an unset
status into an error. What is only found in a tool's answer or in a span event sets
``halo.derived.error`` and leaves the status alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.may_tell import may_tell
from halo_daemon.proto.semconv.plan import Plan
from halo_daemon.proto.semconv.targets import (
    DERIVED_ERROR,
    ERROR_TYPE,
    EVENT_OF_SPAN,
    LLM,
    OUTPUT_VALUE,
    SCHEMA_VERSION,
    TOOL,
    TOOL_NAME,
)
from halo_daemon.proto.semconv.told_failure import told_failure

_UNSET: Final = "STATUS_CODE_UNSET"
_ERROR: Final = "STATUS_CODE_ERROR"
_SERVER: Final = "SPAN_KIND_SERVER"
_FIRST_HTTP_ERROR, _FIRST_SERVER_ERROR = 400, 500
_STATED: Final = "stated"
_FLAGGED: Final = "flagged"
_HANDLED: Final = (False, "False", "false")
_EXCEPTIONS: Final = frozenset({"exception", "gen_ai.client.operation.exception"})
_NO_EVENTS: Final[Sequence[JsonObject]] = ()


def judge_failure(
    fields: Mapping[str, Any],
    plan: Plan,
    kind: str,
    remarks: JsonObject,
    *,
    is_stored: bool = False,
) -> None:
    """
    Set status, status message, `error.type` and the derived flag from what signals an error.

    Args:
        fields: The span; ``status`` and ``attributes`` are changed in place.
        plan: The plan of its attributes as they were sent.
        kind: Its observation kind.
        remarks: The daemon's remarks; the derived flag is added here.
        is_stored: Whether the span was written before, so that `error.type` may be ours.
    """
    attributes: JsonObject = fields["attributes"]
    status: dict[str, str] = fields["status"]
    events = fields.get("events", _NO_EVENTS)
    as_sent = status["code"]
    exception = _last_exception(events) if events else None
    signal = None
    if plan.failures:
        filled_type = exception and _filled_type(attributes, exception, is_stored=is_stored)
        signal = _signal(
            plan, attributes, is_server=fields["kind"] == _SERVER, filled_type=filled_type
        )
    if signal is _STATED and as_sent == _UNSET:
        status["code"] = _ERROR
        remarks[DERIVED_ERROR] = True
    elif as_sent != _ERROR and (
        signal is _FLAGGED
        or (kind == TOOL and _result_failed(attributes, fields["name"]))
        or (as_sent == _UNSET and kind in {TOOL, LLM} and _ends_in_exception(events))
        # The index knows lines, and that of the span was written without the record.
        or (attributes.get(EVENT_OF_SPAN) is True and tell_of_failure(events))
    ):
        remarks[DERIVED_ERROR] = True
    if exception is not None:
        _fill_from_exception(attributes, status, exception, is_failure=DERIVED_ERROR in remarks)


def _signal(
    plan: Plan, attributes: JsonObject, *, is_server: bool, filled_type: JsonValue
) -> str | None:
    """What the attributes say: the sender states a failure, a flag does, or nothing does."""
    found = None
    for key, read, _, _ in plan.failures:
        value = attributes[key]
        if type(value) is int and value < _FIRST_HTTP_ERROR:
            # An HTTP status as most are; no other signal is a number.
            continue
        signal = read(value)
        if signal is True:
            found = found or _FLAGGED
        elif isinstance(signal, int):
            if signal >= (_FIRST_SERVER_ERROR if is_server else _FIRST_HTTP_ERROR):
                return _STATED
        elif signal is not None and (key != ERROR_TYPE or signal != filled_type):
            return _STATED
    return found


def _filled_type(attributes: JsonObject, exception: JsonObject, *, is_stored: bool) -> JsonValue:
    """The `error.type` that came from the exception when the line was first written."""
    was_written = is_stored or SCHEMA_VERSION in attributes
    return exception.get("exception.type") if was_written else None


def _result_failed(attributes: JsonObject, span_name: str) -> bool:
    """Whether the answer of a tool, named after its span else, tells of a failure."""
    result = attributes.get(OUTPUT_VALUE)
    if not may_tell(result):
        return False
    tool = attributes.get(TOOL_NAME)
    return bool(told_failure(result, tool if tool and isinstance(tool, str) else span_name))


def _last_exception(events: Sequence[JsonObject]) -> JsonObject | None:
    for event in reversed(events):
        if event["name"] in _EXCEPTIONS:
            return cast("JsonObject", event["attributes"])
    return None


def tell_of_failure(events: Sequence[JsonObject]) -> bool:
    """Whether a log record's event is an exception that was not handled."""
    exception = _last_exception(events)
    return exception is not None and exception.get("exception.escaped") not in _HANDLED


def _ends_in_exception(events: Sequence[JsonObject]) -> bool:
    return bool(events) and events[-1]["name"] in _EXCEPTIONS


def _fill_from_exception(
    attributes: JsonObject, status: dict[str, str], exception: JsonObject, *, is_failure: bool
) -> None:
    name = exception.get("exception.type")
    message = exception.get("exception.message")
    if status["code"] == _ERROR:
        if not status["message"]:
            status["message"] = ": ".join(
                part for part in (name, message) if isinstance(part, str) and part
            )
    elif not is_failure and (
        status["code"] != _UNSET or exception.get("exception.escaped") in _HANDLED
    ):
        # A handled exception is not how the span ended.
        return
    if ERROR_TYPE not in attributes and isinstance(name, str) and name:
        attributes[ERROR_TYPE] = name
