"""
What a provider's refusal means, and what to do about it.

One table of statuses, one of codes and one of wordings: compatible servers say
the same thing in many ways, and most of them only in words.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.messages import as_list, as_object, as_text
from halo_daemon.proto.json_value import JsonObject, JsonValue

MAX_WAIT_S = 120.0
"""Longest wait that a provider may ask for; beyond it the run ends."""

_MAX_QUOTED_CHARS = 200

_BY_STATUS: dict[int, tuple[Action, str]] = {
    401: (Action.STOP, "auth"),
    402: (Action.STOP, "quota"),
    403: (Action.STOP, "auth"),
    404: (Action.STOP, "model_or_route_not_found"),
    405: (Action.STOP, "model_or_route_not_found"),
    408: (Action.RETRY, "provider"),
    409: (Action.RETRY, "provider"),
    413: (Action.SHRINK, "context"),
    429: (Action.RETRY, "rate_limited"),
}

_CONTEXT = re.compile(
    r"context_length_exceeded|ContextWindowExceeded|exceed_context_size|string_above_max_length"
    r"|maximum (context|prompt|model) length|exceed context limit|string too long"
    r"|(exceeds?|(larger|longer) than|beyond) the (available )?(model's )?context"
    r"|context (window|length|size) (of|is|was|has been|exceeded)|exceeds? (the )?(context|maximum number of tokens)"
    r"|(prompt|input|request|messages?) (is|are|was) too (long|large)|too many (input )?tokens"
    r"|reduce the length of the (messages|prompt|input)|input length .{0,60}exceeds?"
    r"|too large for model with|tokens \+ .max_new_tokens. must be",
    re.IGNORECASE,
)
_WINDOW_TOKENS = re.compile(
    r"(?:maximum (?:context|prompt|model) length (?:is|of)"
    r"|context (?:window|length|size)(?: of only| of| is|:)?|allowed \(|available context size \("
    r"|[0-9] (?:tokens? )?>|must be <=|with)\s*\(?([0-9][0-9,_]{2,})",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|out of credits"
    r"|insufficient (funds|balance|credits)|payment required",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content_filter|content_policy|content management policy|responsible ?ai|flagged by|moderation",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"(\btools?\b|function calling|tool use|tool calls?)\W.{0,40}(not supported|unsupported|not available)"
    r"|(does not|doesn't|cannot) support (tools?\b|function|tool (use|call))"
    r"|no endpoints found that support tool",
    re.IGNORECASE,
)
_BY_WORDING: tuple[tuple[frozenset[int | None], re.Pattern[str], tuple[Action, str]], ...] = (
    (frozenset({400, 413, 422, None}), _CONTEXT, (Action.SHRINK, "context")),
    (frozenset({400, 404, 422}), _NO_TOOLS, (Action.STOP, "no_tool_support")),
    (frozenset({403, 429}), _QUOTA, (Action.STOP, "quota")),
    (frozenset({400, None}), _FILTER, (Action.WITHHOLD, "content_filter")),
)
"""Wordings that decide before the status does, in order."""

_RETRYABLE_CODES = frozenset(
    {"server_error", "rate_limit_exceeded", "overloaded", "overloaded_error"}
)


def error_fields(body: JsonValue) -> JsonObject:
    """
    ``message``, ``code``, ``param`` and ``type`` out of any form of error body.

    An error object under ``error``, at the top or in a list, ``detail`` as text
    or as a list of places, plain text: all are read. Values are texts.
    """
    if isinstance(body, list):
        return error_fields(body[0]) if body else {"message": ""}
    if isinstance(body, str):
        return {"message": body}
    fields = as_object(body)
    inner = fields.get("error", fields.get("detail", fields.get("message")))
    if isinstance(inner, dict):
        fields = inner
    elif isinstance(inner, list):
        places = [as_object(place) for place in inner]
        fields = {"message": "; ".join(_place_text(place) for place in places)}
    elif isinstance(inner, str):
        fields = {**fields, "message": inner}
    return {
        key: str(fields[key])
        for key in ("message", "code", "param", "type")
        if fields.get(key) is not None
    }


def _place_text(place: JsonObject) -> str:
    path = ".".join(str(part) for part in as_list(place.get("loc")) if part != "body")
    return f"{path}: {as_text(place.get('msg'))}"


def parse_body(raw: bytes) -> JsonValue:
    """The JSON of an error body, or its text when it is not JSON."""
    try:
        parsed: JsonValue = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "replace")
    return parsed


def error_text(body: JsonValue) -> str:
    """Every word of the error, for matching; not for people."""
    return " ".join(as_text(value) for value in error_fields(body).values())


def classify(status: int | None, body: JsonValue, headers: Mapping[str, str]) -> ModelError:
    """
    Decide what a failed request means.

    Args:
        status: The HTTP status; None for an error inside a stream.

        body: The parsed body, or its text.

        headers: Response headers, names in lower case.
    """
    text = error_text(body)
    action, reason = _decide(status, text, error_fields(body))
    wait_s = retry_after_s(headers, now=datetime.now(UTC))
    if wait_s > MAX_WAIT_S:
        action, reason = Action.STOP, "rate_limited"
    action = _obey_should_retry(action, headers.get("x-should-retry", ""))
    return ModelError(
        f"cannot complete: {_status_text(status)}{_quoted(body)}",
        action=action,
        reason=reason,
        retry_after_s=wait_s,
        window_tokens=window_tokens(text),
    )


def _decide(status: int | None, text: str, fields: JsonObject) -> tuple[Action, str]:
    for statuses, wording, decision in _BY_WORDING:
        if status in statuses and wording.search(text):
            return decision
    if status is None:
        is_known = "code" in fields and fields["code"] not in _RETRYABLE_CODES
        return (Action.STOP if is_known else Action.RETRY), "provider"
    if status >= 500:  # noqa: PLR2004 -- the statuses of HTTP
        return Action.RETRY, "provider"
    return _BY_STATUS.get(status, (Action.STOP, "bad_request"))


def _obey_should_retry(action: Action, should_retry: str) -> Action:
    if should_retry == "false" and action is Action.RETRY:
        return Action.STOP
    return Action.RETRY if should_retry == "true" else action


def window_tokens(text: str) -> int:
    """The context window that an error names, in tokens; 0 when it names none."""
    found = _WINDOW_TOKENS.search(text)
    return int(re.sub("[,_]", "", found[1])) if found else 0


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float:
    """How long the provider asks to wait, from seconds, a date or milliseconds; else 0."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds())


def _number(text: str) -> float | None:
    found = re.fullmatch(r"\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*", text)
    return float(found[1]) if found else None


def _status_text(status: int | None) -> str:
    return "the stream carried an error" if status is None else f"HTTP {status}"


def _quoted(body: JsonValue) -> str:
    message = as_text(error_fields(body).get("message"))
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]{0,200}>|[\x00-\x1f\x7f-\x9f]", " ", message)).strip()
    return f": {shown[:_MAX_QUOTED_CHARS]}" if shown else ""
