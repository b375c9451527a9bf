"""
Error signals of a span: what says that it failed, and where that stands.

The status counts first, then a recorded exception, then attributes that state a
failure, then the text of a tool's result. The text rule is anchored to the start
of the result, so that a page or a log *about* errors is not taken for one.
"""

import re
from typing import Literal, NamedTuple

from halo_daemon.analyzer.content import parse_json, text_of, tool_arguments, tool_result
from halo_daemon.analyzer.masking import core_message, exception_type, says_nothing
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.proto.json_value import JsonValue
from halo_daemon.proto.span import STATUS_ERROR, TOOL, Span

SignalKind = Literal["status", "exception", "attribute", "text", "derived", "contract"]

_HTTP_KEYS = ("http.response.status_code", "http.status_code")
_NO_WORDS = frozenset({"", "null", "None", "{}", "[]", '""'})
_HTTP_ERROR = 400
_HEAD_CHARS = 400
_STATING_NAMES = (
    '"error"',
    '"success"',
    '"status"',
    '"ok"',
    '"is_error"',
    '"isError"',
)
"""Members of a JSON result that may say that it is an error."""
_ERROR_TEXT = re.compile(
    r"\s*(?:"
    r"(?:\[?(?:error|fatal|exception|failed|failure)\]?\s*:)"
    r"|(?:error (?:executing|calling|running|while|in|occurred)\b)"
    r"|(?:(?:[a-z_]\w*\.)*[a-z]\w*(?:Error|Exception)\s*[:(])"
    r"|Traceback \(most recent call last\)"
    r")",
    re.IGNORECASE,
)
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


def error_signal(span: Span, *, may_state: bool = True) -> ErrorSignal | None:
    """
    The strongest error signal of *span*; None when there is none.

    *may_state* is False where the shape of the span has shown that no attribute states one.
    """
    if span.status_code == STATUS_ERROR:
        return _from_status(span)
    if span.events:
        found = _from_exception_event(span)
        if found:
            return found
    found = _from_attributes(span) if may_state else None
    if found is None and span.observation_kind == TOOL:
        found = _from_result(span)
    if found is None and may_state and span.has_derived_error:
        return ErrorSignal("derived", "an error without a message", _declared_type(span), "")
    return found


def _declared_type(span: Span) -> str:
    return span.text("error.type") or span.text("exception.type").rpartition(".")[2]


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
        kind_of = exception_type(core_message(result.value)) or _declared_type(span)
        return ErrorSignal("status", result.value, kind_of, result.attribute)
    declared = _declared_type(span)
    return ErrorSignal("status", declared or "an error without a message", declared, "")


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
    return None


def _from_result(span: Span) -> ErrorSignal | None:
    result = tool_result(span)
    head = result.value[:_HEAD_CHARS]
    if head[:1] in ("{", "["):
        message = _stated_error(parse_json(result.value)) if _may_state(result.value) else ""
        if message:
            return ErrorSignal("text", message, exception_type(message), result.attribute)
        return None
    code = _EXIT_CODE.match(head)
    if code and not _is_no_match(code[1], span):
        return ErrorSignal(
            "text", result.value, exception_type(core_message(result.value)), result.attribute
        )
    if _ERROR_TEXT.match(head) or _has_trailer(result.value):
        return ErrorSignal(
            "text", result.value, exception_type(core_message(result.value)), result.attribute
        )
    return None


def _has_trailer(result: str) -> bool:
    tail = result[-_HEAD_CHARS:]
    return "[error]" in tail and _TRAILER.search(tail) is not None


def _is_no_match(exit_code: str, span: Span) -> bool:
    """Exit status 1 of a search or a comparison says "nothing found", not "failed"."""
    return exit_code == "1" and _SEARCH_COMMAND.search(tool_arguments(span).value) is not None


def _may_state(result: str) -> bool:
    """A cheap no: a list states nothing, nor does an object without any of the names."""
    return result[0] == "{" and (holds_any(result, _STATING_NAMES) or "\\u" in result)


def _stated_error(result: JsonValue) -> str:
    """The message of a JSON result that states its own failure; ``""`` when it does not."""
    if not isinstance(result, dict):
        return ""
    error = result.get("error")
    if isinstance(error, dict):
        return text_of(error.get("message")) or text_of(error)
    if isinstance(error, str) and error.strip():
        return error
    flagged = result.get("is_error") is True or result.get("isError") is True
    flagged = flagged or result.get("success") is False or result.get("ok") is False
    flagged = flagged or result.get("status") in ("error", "failed", "failure")
    if not flagged:
        return ""
    return text_of(result.get("message") or result.get("content")) or "the result says it failed"
