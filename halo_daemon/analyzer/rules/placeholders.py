"""
Values that stand for a value: ``<ORDER_ID>``, ``{{order_id}}``, ``your_api_key_here``.

And what a program writes where it has none: ``undefined``, ``[object Object]``.
"""

import re
from collections.abc import Iterator

from halo_daemon.analyzer.content import parse_json
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.rules.tool_words import runs_anything, words_of
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.proto.json_value import JsonValue

_MARKS = (
    "<",
    "{{",
    "${",
    "_here",
    "_HERE",
    "-here",
    "your",
    "YOUR",
    "Your",
    "insert",
    "INSERT",
    "TODO",
    "TBD",
    "NaN",
    "undefined",
    "laceholder",
    "LACEHOLDER",
    "[",
)
_PLACEHOLDER = re.compile(
    r"<[A-Z][A-Z0-9]*(?:[ _-][A-Z0-9]+)*>"
    r"|<[a-z]+(?:[_-][a-z0-9]+)+>"
    r"|<(?i:your|insert|enter|the|some)[ _-][^<>]{2,40}>"
    r"|\[(?i:your|insert|enter)[ _-][^\[\]]{2,40}\]|\[[A-Z]{2,}(?:[ _][A-Z]+)+\]"
    r"|\{\{\s*[\w.]+\s*\}\}|\$\{[\w.]+\}"
    r"|(?i:your|insert|enter)[_-](?:[A-Za-z]+[_-])*"
    r"(?i:id|key|token|name|email|address|value|number|url|password|here)"
    r"|[A-Za-z]+(?:[_-][A-Za-z]+)*[_-](?i:here)"
    r"|(?:TODO|TBD|(?i:placeholder)(?:[_-]\w{1,30})?)"
    r"|undefined|NaN|\[object Object\]"
)
_FREE = frozenset(
    {"body", "code", "command", "comment", "content", "css", "description", "expression"}
    | {"format", "html", "markdown", "message", "new", "old", "path", "pattern", "prompt"}
    | {"query", "regex", "replacement", "script", "snippet", "sql", "str", "string", "subject"}
    | {"template", "text", "title", "xml"}
)
"""Arguments that take any text, a placeholder's too."""

_MAX_CHARS = 60
_MAX_DEPTH = 4


def may_hold_placeholder(text: str) -> bool:
    """A cheap no to whether any arguments in *text* hold one."""
    return holds_any(text, _MARKS)


def placeholder_in(call: ToolCall) -> tuple[str, str]:
    """
    Name of an argument that *call* was given a placeholder for, and that placeholder.

    Empty when there is none. The call is taken as it ran: what a framework puts values
    into is none. Tools that run anything, and arguments that take any text, may hold one.
    """
    text = call.arguments.value
    if not may_hold_placeholder(text) or runs_anything(call.tool):
        return "", ""
    return next(_placeholders(parse_json(text), "", _MAX_DEPTH), ("", ""))


def _placeholders(value: JsonValue, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if len(value) <= _MAX_CHARS and _PLACEHOLDER.fullmatch(value.strip()):
            yield name, value
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            if words_of(key).isdisjoint(_FREE):
                yield from _placeholders(item, key, depth - 1)
    elif depth and isinstance(value, list):
        for item in value[:20]:
            yield from _placeholders(item, name, depth - 1)
