"""
Error signals of a span: what says that it failed, and where that stands.

The status counts first, then a recorded exception, then attributes that state a
failure, then what a tool's result tells of itself (`told_failure`).
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from halo_daemon.analyzer.content import (
    first_text,
    parse_json,
    text_of,
    tool_arguments,
    tool_result,
)
from halo_daemon.analyzer.contract import ToolContract, at_pointer
from halo_daemon.analyzer.masking import core_message, exception_type, says_nothing
from halo_daemon.proto.semconv.targets import EVENT_OF_SPAN
from halo_daemon.proto.semconv.told_failure import told_failure
from halo_daemon.proto.span import STATUS_ERROR, TOOL, Span

SignalKind = Literal["status", "exception", "attribute", "text", "derived", "contract"]

_HTTP_KEYS = ("http.response.status_code", "http.status_code")
_MESSAGE_KEYS = ("langfuse.observation.status_message",)
"""What says why, where something other than the status says that it failed."""
_NO_WORDS = frozenset({"", "null", "None", "{}", "[]", '""'})
_NO_TYPES = frozenset({"_other", "other", "unknown"})
"""What stands for the type of an error that has none of those known: `_OTHER` in OpenTelemetry."""
_WORDLESS = "an error without a message"
_HTTP_ERROR = 400
_HEAD_CHARS = 400
_EXIT_CODE = re.compile(
    r"\s*<?(?:exit|return)[ _-]?(?:code|status)>?\s*(?:is|[:=])?\s*(-?[1-9][0-9]*)\b", re.IGNORECASE
)
_TRAILER = re.compile(r"\[error\] tool (?:reported failure|failed)\s*$")
_SEARCH_COMMAND = re.compile(r"(?:^|[|;&]\s*)\s*(?:e?grep|rg|ag|diff|cmp|test|\[)\b[^|;&]*$")


class ErrorSignal(NamedTuple):
    """That a span failed, and the words for it."""

    kind: SignalKind
    message: str
    """Never empty."""
    error_type: str
    """Exception class or error code; ``""`` when not named."""
    attribute: str
    """Path of the value that holds the message; ``""`` when it stands nowhere."""


def says_no_error(span: Span) -> bool:
    """A cheap yes to whether `error_signal` has none, where no attribute may state one."""
    return not (span.status_code == STATUS_ERROR or span.events or span.observation_kind == TOOL)


def error_signal(span: Span, *, may_state: bool = True) -> ErrorSignal | None:
    """
    The strongest error signal of *span*; None when there is none.

    *may_state* is False where the shape of the span has shown that no attribute states one.
    """
    if span.status_code == STATUS_ERROR:
        return _from_status(span)
    # A record that is joined to its span tells nothing of itself, one without a span does.
    if span.events and (EVENT_OF_SPAN not in span.attributes or span.has_derived_error):
        found = _from_exception_event(span)
        if found:
            return found
    found = _from_attributes(span) if may_state else None
    if found is None and span.observation_kind == TOOL:
        found = _from_result(span)
    if found is None and may_state and span.has_derived_error:
        said = first_text(span, _MESSAGE_KEYS)
        message = said.value.strip() and said.value
        return ErrorSignal(
            "derived", message or _WORDLESS, _declared_type(span), said.attribute if message else ""
        )
    return found


def stated_failure(span: Span, tools: Mapping[str, ToolContract]) -> ErrorSignal | None:
    """A result that the contract's *tools* call a failure although the call went through."""
    stated = tools.get(span.tool_name)
    if stated is None or not stated.failure_when:
        return None
    parsed = parse_json(tool_result(span).value)
    for condition in stated.failure_when:
        value = at_pointer(parsed, condition.pointer)
        if value is not None and value in condition.in_:
            message = f"{condition.pointer.rpartition('/')[2]} is {value}"
            return ErrorSignal("contract", message, "", "")
    return None


def _declared_type(span: Span) -> str:
    found = span.text("error.type")
    if not found or found.casefold() in _NO_TYPES:
        found = span.text("exception.type").rpartition(".")[2]
    return "" if found.casefold() in _NO_TYPES else found


def _from_status(span: Span) -> ErrorSignal:
    event = _from_exception_event(span)
    result = tool_result(span)
    is_told = span.status_message.strip() and not says_nothing(core_message(span.status_message))
    has_words = result.value.strip() not in _NO_WORDS
    if is_told or (span.status_message.strip() and not has_words):
        kind_of = exception_type(core_message(span.status_message)) or _declared_type(span)
        if not kind_of and event:
            kind_of = event.error_type
        return ErrorSignal("status", span.status_message, kind_of, "status.message")
    if event:
        return event._replace(kind="status")
    if has_words:
        # An object says it in a member; as a whole its words would all be masked.
        is_object = result.value.lstrip()[:1] == "{"
        said = (is_object and told_failure(result.value, span.tool_name)) or result.value
        kind_of = exception_type(core_message(said)) or _declared_type(span)
        return ErrorSignal("status", said, kind_of, result.attribute)
    declared = _declared_type(span)
    return ErrorSignal("status", declared or _WORDLESS, declared, "")


def _from_exception_event(span: Span) -> ErrorSignal | None:
    for place, event in enumerate(span.events):
        attributes = event.get("attributes")
        if event.get("name") != "exception" or not isinstance(attributes, dict):
            continue
        message = text_of(attributes.get("exception.message"))
        name = text_of(attributes.get("exception.type")).rpartition(".")[2]
        if message.strip():
            path = f"events[{place}].exception.message"
            return ErrorSignal("exception", message, name or exception_type(message), path)
        path = f"events[{place}].exception.type" if name else ""
        return ErrorSignal("exception", name or "an exception without a message", name, path)
    return None


def _from_attributes(span: Span) -> ErrorSignal | None:
    for key in _HTTP_KEYS:
        code = span.count(key)
        if code is not None and code >= _HTTP_ERROR:
            return ErrorSignal("attribute", f"HTTP {code}", str(code), "")
    declared = _declared_type(span)
    if declared:
        return ErrorSignal("attribute", declared, declared, "error.type")
    if span.text("error.type") or span.text("exception.type"):
        return ErrorSignal("attribute", _WORDLESS, "", "")
    return None


def _from_result(span: Span) -> ErrorSignal | None:
    result = tool_result(span)
    code = _EXIT_CODE.match(result.value[:_HEAD_CHARS])
    failed = not _is_no_match(code[1], span) if code else _has_trailer(result.value)
    message = result.value if failed else told_failure(result.value, span.tool_name)
    if not message:
        return None
    kind_of = exception_type(core_message(message))
    return ErrorSignal("text", message, kind_of, result.attribute)


def _has_trailer(result: str) -> bool:
    tail = result[-_HEAD_CHARS:]
    return "[error]" in tail and _TRAILER.search(tail) is not None


def _is_no_match(exit_code: str, span: Span) -> bool:
    """Exit status 1 of a search or a comparison says "nothing found", not "failed"."""
    return exit_code == "1" and _SEARCH_COMMAND.search(tool_arguments(span).value) is not None
