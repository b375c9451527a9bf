"""
Results that tell of a failure of their own although the call went through.

Errors come back in many clothes: as a sentence, in any language, as the page of a proxy,
as a status line, as an object that some protocol wraps them in. Every pattern is anchored
to where an error stands when it is all that came back, so that a page or a log *about*
errors, a count of them, or a record that happens to have a status is not taken for one.
"""

import re
from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.failure_words import (
    NAMED_CODE,
    is_login_page,
    is_worded_failure,
    shows_failures,
)
from halo_daemon.proto.semconv.readers import as_text, parsed

_HEAD_CHARS: Final = 400
_SHORT_CHARS: Final = 600
"""A refusal is short; what begins alike and goes on for longer is a text about something."""
_PAGE_CHARS: Final = 2_000
_LIST_CHARS: Final = 20_000
_LISTED: Final = 20
_MAX_DEPTH: Final = 3
_HTTP_ERRORS: Final = range(400, 600)

_REASON: Final = (
    r"(?:bad request|unauthori[sz]ed|payment required|forbidden|not found|method not allowed"
    r"|not acceptable|request time-?out|conflict|gone|payload too large|unsupported media type"
    r"|unprocessable (?:entity|content)|too many requests|internal server error|not implemented"
    r"|bad gateway|service (?:temporarily )?unavailable|gateway time-?out)"
)
_NOTHING: Final = r"(?!\s*(?:(?:none|nil|null|n/a|no errors?|no)\W*(?:$|\n)|(?![45][0-9]{2}\s*(?:$|\n))-?[0-9][0-9.,]*%?\s*(?:$|[\n,;%/.]|errors?\b)))"
"""What follows a word for errors where there are none, or where they are only counted."""

_ERROR_WORD: Final = (
    r"(?:error|fatal|exception|failed|failure|fehler|erreur|errore|erro|fout|fel|virhe|chyba|hata"
    r"|błąd|ошибка|помилка|错误|錯誤|エラー|오류|에러|خطأ|lỗi)"
)
_KIND_OF_ERROR: Final = (
    r"(?:api|mcp|tool|function|http|runtime|database|db|sql|network|server|client|internal|parse"
    r"|syntax|type|value|validation|authentication|authorization|connection|timeout|system"
    r"|unexpected|unhandled|uncaught|fatal|critical|request|execution|compilation|ssl|tls|dns|rpc"
    r"|grpc|graphql|json|permission|file|query)"
)
_TEXT: Final = re.compile(
    r"[\s\"'`*_#<(\[❌✗✘✖⛔🚫🛑❗⚠\ufe0f]{0,8}(?:"
    rf"{_ERROR_WORD}[\]*_)]{{0,3}}\s*[:：][*_]{{0,2}}{_NOTHING}"
    rf"|(?:{_KIND_OF_ERROR} ){{1,2}}error(?:(?: |(?=[(\[#]))[(\[#]?-?\w{{1,10}}[)\]]?)?\s*:{_NOTHING}"
    r"|error(?: ?\(\w{1,12}\)| ?\[\w{1,12}\]| code:? [45][0-9]{2})\s*[-:]"
    r"|error (?:executing|calling|running|while|in|occurred)\b"
    r"|error de (?:conexión|red|servidor|autenticación)\b"
    r"|an? (?:unexpected |internal |unknown )?error (?:has )?(?:occurred|happened|was encountered)\b"
    r"|(?:tool_use_)?error>"
    r"|(?:(?:[a-z_]\w*\.)*[a-z]\w*(?:error|exception)\s*(?::|\([\"']))"
    r"|traceback \(most recent call last\)"
    r"|exception in thread \""
    r"|uncaught (?:\w+error|exception)\b|unhandled (?:exception|promise rejection|\w+rejection)\b"
    r"|panic: |thread '[^'\n]{0,60}' panicked at|segmentation fault\b|core dumped"
    r"|\[errno -?[0-9]+\]|curl: \([0-9]+\) "
    r"|(?:tool|function)(?: (?:execution|call|invocation))? failed\b"
    r"|(?:command|process|request|query|script) (?:failed|exited) with (?:exit |status |error )*(?:code )?[1-9]"
    r"|(?:[\w./-]{1,40}: )(?:(?:line )?[0-9]+: )?[\w./-]{1,60}: (?:command )?not found\s*(?:$|\n)"
    rf"|http(?:/[0-9.]{{1,3}})? [45][0-9]{{2}}(?:\s*(?:$|\n|[,;:(-])|\s+{_REASON}\b)"
    r"|(?:http )?status(?: code)?\s*[:=]\s*[45][0-9]{2}\s*(?:$|\n|[,;(-])"
    rf"|[45][0-9]{{2}}[:\s-]{{1,3}}(?:{_REASON}|client error|server error)\b\s*(?:$|\n|[:.,;(-]|for\b)"
    r")"
)
_SHORT_TEXT: Final = re.compile(
    r"[\s\"'`*_(\[❌✗✘✖⛔🚫🛑❗⚠\ufe0f]{0,8}(?:"
    r"(?:failed|unable) to (?!find\b|locate\b|identify\b|determine\b)[a-z]+\b"
    r"|(?:could not|couldn'?t|cannot|can'?t) (?:be )?(?:access|authenticat|connect|contact|creat|delet|download"
    r"|establish|execut|fetch|load|open|pars|process|reach|read|resolve|retriev|save|send|start|updat|upload|writ)"
    r"|(?:permission|access) denied\b(?! errors?\b)"
    r"|connection (?:refused|reset|aborted|timed out|closed unexpectedly)\b"
    r"|(?:request |operation |connection |read |call )?time(?:d )?[ -]?out(?: (?:after|of|waiting|while)\b|[.!\s]*$)"
    rf"|(?!not found|conflict|gone)(?:{_REASON}|not (?:authenticated|authorized|permitted)|rate limit(?:ed| exceeded)|quota exceeded)[.!\s]*$"
    r")"
)
_LOG_LINE: Final = re.compile(r"\n\s*\[?(?:info|debug|trace|notice|warn|warning)\b[\]:\s]")
_LOG_LINES: Final = 2
"""Lines of other levels that make a log of what begins with an error."""
_PAGE: Final = re.compile(r"\s*(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype html|html)\b", re.IGNORECASE)
_TITLE: Final = re.compile(r"<(title|h1)\b[^>]{0,200}>\s*([^<]{1,200}?)\s*</\1", re.IGNORECASE)
_PAGE_TITLE: Final = re.compile(
    rf"(?:(?:http )?(?:error|status)[:\s]{{1,3}})?[45][0-9]{{2}}(?:\s*$|[\s:|.–—-]{{1,4}}(?:{_REASON}|error)\b)"
    rf"|(?:error|access denied|{_REASON})\s*(?:$|[|:–—-]\s*error\b)"
    r"|just a moment\.\.\.$|attention required! \| cloudflare$|error 1[0-9]{3}$"
)

_PRINTED: Final = re.compile(r"\{'(?:error|Error|errorMessage)': ?(['\"])(.{1,300}?)\1\s*[,}]")
"""An object as Python prints it, which is no JSON."""

_FAILED_WORDS: Final = frozenset({"failed", "failure"})
_NO_ERROR: Final = frozenset(
    {"", "0", "false", "n/a", "nil", "no", "no error", "none", "null", "ok", "success"}
)
_MESSAGES: Final = (
    *("message", "error_message", "errorMessage", "errmsg", "msg", "error", "detail", "title"),
    *("reason", "description", "error_description", "content", "body", "raw_output"),
)
_DESCRIBE: Final = frozenset(
    {"title", "description", "error_description", "content", "body", "raw_output"}
)
"""Those that any record may have, whatever became of it."""
_REASONS: Final = tuple(name for name in _MESSAGES if name not in _DESCRIBE)
"""Members that say why a call failed."""
_CODES: Final = ("statusCode", "status_code", "httpStatus", "http_status", "status", "code")
_SAYS_ERROR: Final = ("errorMessage", "error_message", "faultstring")
_ERROR_PARTS: Final = frozenset({"error-text", "error-json"})
"""Types of a result that failed, of Vercel's AI SDK."""
_ERROR_CODES: Final = ("error_code", "errorCode", "errcode")
_OF_A_FAILURE: Final = frozenset(
    {*_MESSAGES, *_CODES, *_ERROR_CODES, "data", "details", "errors", "extensions", "instance"}
    | {"path", "requestId", "request_id", "statusText", "success", "timestamp", "traceId"}
    | {"trace_id", "type", "ok", "headers", "url", "method"}
)
"""Members of an object that is nothing but the news of a failure."""

_WRAPPERS: Final = frozenset(
    {"result", "response", "output", "content", "body", "detail", "message"}
)
_CALLBACK: Final = {"output", "kwargs"}
_ONLY_TEXT: Final = {"text"}
_ENVELOPE: Final = {"_meta", "content", "isError", "is_error", "status", "structuredContent"} | {
    "toolUseId"
}
"""What protocols put around the parts of a result."""
_FUNCTION_RESPONSE: Final = {"id", "name", "response"}
_NAMES: Final = (
    *('"error', '"Error', '"err', '"success"', '"status', '"ok"', '"is_error"', '"isError"'),
    *('"code"', '"http', '"__type"', '"detail"', '"content"', '"result"', '"response"'),
    *('"output"', '"body"', '"message"', '"text"', '"error', '"faultstring"'),
)
"""One of these is in every JSON result that tells of a failure."""

_CHECKING: Final = re.compile(
    r"(?:\w{1,40}[_.-])?(?:check|exists|head|monitor|ping|probe)", re.IGNORECASE
)
_IS_AWAY: Final = re.compile(r"(?:HTTP\S* )?\W?(?:404|410)\b", re.IGNORECASE)
"""What a tool is asked for that looks whether something is there: an answer, not a failure."""
_MAX_PARSED_CHARS: Final = 200_000

_SMALL: Final = bytes(range(256)).decode("latin-1").lower().encode("latin-1")
"""Each character of Latin-1 as a small letter."""


def failure_in(result: str) -> str:
    """The words for the failure that *result* tells of; ``""`` when it tells of none."""
    head = result[:_HEAD_CHARS].lstrip()
    if head[:1] == "{" or (head[:1] == "[" and len(result) <= _LIST_CHARS):
        if _holds_any(result, _NAMES) or "\\u" in result:
            found = _parsed(result)
            if found is not None:
                return _stated(found)
        if head[0] == "{":
            printed = _PRINTED.match(head)
            return printed[2] if printed and printed[2].casefold() not in _NO_ERROR else ""
    elif head[:1] == '"' and len(result) <= _SHORT_CHARS:
        found = _parsed(result)
        if isinstance(found, str):
            return failure_in(found) if found[:1] != '"' else ""
    return _told(result, head)


def told_failure(result: JsonValue, tool: str) -> str:
    """
    The words for the failure that a call of *tool* with that result had; ``""`` for none.

    What a tool that looks whether something is there did not find is its answer, and so are
    the lines of a log.
    """
    message = failure_in(result if isinstance(result, str) else as_text(result))
    if not message and isinstance(result, str):
        return is_login_page(result, tool)
    if not message or (_CHECKING.match(tool) and _IS_AWAY.match(message)):
        return ""
    is_text = isinstance(result, str) and result.lstrip()[:1] not in {"{", "["}
    if is_text and "\n" in message.strip() and shows_failures(tool):
        return ""
    return message


def _holds_any(text: str, marks: tuple[str, ...]) -> bool:
    for mark in marks:  # noqa: SIM110 -- faster than a generator
        if mark in text:
            return True
    return False


def _parsed(text: str) -> JsonValue:
    """None for what is no JSON, or too long to look at."""
    return parsed(text) if len(text) <= _MAX_PARSED_CHARS else None


def _told(result: str, head: str) -> str:
    small = _lowered(head)
    if (
        _TEXT.match(small)
        or (len(result) <= _SHORT_CHARS and _SHORT_TEXT.match(small))
        or is_worded_failure(small, len(result))
    ):
        return "" if len(_LOG_LINE.findall(small)) >= _LOG_LINES else result
    return _page_error(result) if head[:1] == "<" else ""


def _lowered(text: str) -> str:
    """As `str.lower`; text of Latin letters is made small several times faster."""
    try:
        return text.encode("latin-1").translate(_SMALL).decode("latin-1")
    except UnicodeEncodeError:
        return text.lower()


def _page_error(result: str) -> str:
    """The title or the first heading of a page that is nothing but an error."""
    page = result[:_PAGE_CHARS]
    if not _PAGE.match(page):
        return ""
    titles = (match[2] for match in _TITLE.finditer(page))
    return next((title for title in titles if _PAGE_TITLE.match(title.lower())), "")


def _stated(result: JsonValue, depth: int = 0) -> str:
    """The message of a JSON result that states its own failure; ``""`` when it does not."""
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(result, str):
        return failure_in(result) if depth else ""
    if isinstance(result, list):
        return _stated_by_all(result, depth)
    if not isinstance(result, dict):
        return ""
    message = _tool_message(result)
    if message is not None:
        return _flagged(message) or _stated(message["content"], depth + 1)
    return (
        _error_of(result)
        or _flagged(result)
        or _listed_errors(result)
        or _coded(result)
        or _wrapped(result, depth)
    )


def _tool_message(result: JsonObject) -> JsonObject | None:
    """
    The message that brings a result to the model, as LangChain writes one in three ways.

    In Node.js its type is only in the name of its class.
    """
    for fields in (result, result.get("data"), result.get("kwargs")):
        if not isinstance(fields, dict) or "content" not in fields:
            continue
        if fields.get("type") == "tool" or "tool_call_id" in fields:
            return fields
    return None


def _stated_by_all(results: list[JsonValue], depth: int) -> str:
    """A list failed when everything in it did: of a batch, part may have gone well."""
    if not 0 < len(results) <= _LISTED or not all(isinstance(one, dict) for one in results):
        return ""
    text = _part_text(results[0])
    if text:
        return failure_in(text)
    found = [_stated(one, depth + 1) for one in results]
    return found[0] if all(found) else ""


def _part_text(part: JsonValue) -> str:
    """The text of a content part as protocols for tools have it."""
    if isinstance(part, dict) and (part.get("type") == "text" or part.keys() == _ONLY_TEXT):
        return as_text(part.get("text"))
    return ""


def _error_of(result: JsonObject) -> str:
    error = result.get("error")
    if error is None:
        error = result.get("Error")
    if isinstance(error, dict):
        return as_text(error.get("message")) or (as_text(error) if error else "")
    if isinstance(error, str):
        if error.strip().casefold() in _NO_ERROR:
            return ""
        said = result.get("error_description")
        return f"{error}: {said}" if said and isinstance(said, str) else error
    if error is True:
        return _message_of(result) or "the result says it failed"
    return _error_part(result) or _said_error(result)


def _error_part(result: JsonObject) -> str:
    value = result.get("value")
    if not value or result.get("type") not in _ERROR_PARTS:
        return ""
    return (_message_of(value) if isinstance(value, dict) else "") or as_text(value)


def _said_error(result: JsonObject) -> str:
    for name in _SAYS_ERROR:
        message = result.get(name)
        if isinstance(message, str) and message.strip().casefold() not in _NO_ERROR:
            return message
    return ""


def _flagged(result: JsonObject) -> str:
    status = result.get("status")
    if (
        result.get("is_error") is True
        or result.get("isError") is True
        or result.get("success") in (False, "false", "False")
        or result.get("ok") is False
        or _is_of_the_call(result, status)
        or (_is_exception(result.get("__type")) and _message_of(result))
    ):
        return _message_of(result) or "the result says it failed"
    return ""


def _is_of_the_call(result: JsonObject, status: JsonValue) -> bool:
    """Whether a status is that of the call: a build that failed is a record with other members."""
    word = status.casefold() if isinstance(status, str) else ""
    if word == "error":
        return True
    told = any(result.get(name) for name in _REASONS)
    return word in _FAILED_WORDS and (told or _OF_A_FAILURE.issuperset(result))


def _is_exception(name: JsonValue) -> bool:
    return isinstance(name, str) and name.endswith(("Exception", "Error"))


def _message_of(result: JsonObject) -> str:
    for name in _MESSAGES:
        value = result.get(name)
        if isinstance(value, list):
            value = next(filter(None, map(_part_text, value)), as_text(value) if value else "")
        if value and not isinstance(value, bool):
            return as_text(value)
    return ""


def _listed_errors(result: JsonObject) -> str:
    """Errors in a list, where nothing else came back: a linter's are its findings."""
    errors = result.get("errors")
    if not isinstance(errors, list) or not errors or result.get("data"):
        return ""
    if not _OF_A_FAILURE.issuperset(result):
        return ""
    first = errors[0]
    return (
        _message_of(first) if isinstance(first, dict) else first if isinstance(first, str) else ""
    )


def _coded(result: JsonObject) -> str:
    """A status of HTTP or a code of an error, with words for it and nothing else."""
    message = _message_of(result)
    if not message or result.get("data"):
        return ""
    for name in _ERROR_CODES:
        if result.get(name) not in (None, 0, "0", "", False):
            return message
    if not _OF_A_FAILURE.issuperset(result):
        return ""
    for name in _CODES:
        code = result.get(name)
        if isinstance(code, str) and code.isdecimal():
            code = int(code)
        if isinstance(code, str) and NAMED_CODE.fullmatch(code):
            return message if code in message else f"{code}: {message}"
        if isinstance(code, int) and not isinstance(code, bool) and code in _HTTP_ERRORS:
            return f"HTTP {code}: {message}"
    return ""


def _wrapped(result: JsonObject, depth: int) -> str:
    """
    What is wrapped in a single member, or stands beside what tells the call.

    That are the arguments of a callback, the function's name in a response of Gemini's, and
    the tool's name and arguments in an output of LlamaIndex.
    """
    if result.keys() == _CALLBACK:
        return _stated(result["output"], depth + 1)
    if "name" in result and "response" in result and result.keys() <= _FUNCTION_RESPONSE:
        return _stated(result["response"], depth + 1)
    if "tool_name" in result and "raw_output" in result:
        return _stated(result["raw_output"], depth + 1)
    if isinstance(result.get("content"), list) and result.keys() <= _ENVELOPE:
        return _stated(result["content"], depth + 1)
    if len(result) != 1:
        return ""
    [(name, value)] = result.items()
    return _stated(value, depth + 1) if name in _WRAPPERS else ""
