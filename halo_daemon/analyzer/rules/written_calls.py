"""
Tool calls that a model wrote as text, where it should have made them.

It happens when a model's template, or the parser of the server that runs it, does not
know how the model asks for tools: nothing runs, and the user reads the call.
"""

import re
from collections.abc import Iterator

from halo_daemon.analyzer.content import ModelCall, bare_name, parse_json
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.orders import holds_any
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.json_value import JsonObject, JsonValue

WRITTEN_CALL = "written_call"
_MAX_CHARS = 8_000
_MARKS = (
    '"name"',
    '"tool"',
    '"tool_name"',
    '"action"',
    '"function"',
    "<function",
    "<invoke",
    "<tool",
    "functions.",
    "default_api.",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<｜tool",
    "Action Input:",
)
"""One of these stands in every form that is looked for, but for a bare call in code."""

_TAGGED = re.compile(
    r"<function=\"?(?P<llama>[\w.:-]+)"
    r"|<(?:invoke|function|tool_call|tool_use)\s+name=\"(?P<xml>[\w.:-]+)\""
    r"|\bto=functions\.(?P<harmony>[\w-]+)"
    r"|\bdefault_api\.(?P<gemini>\w+)\("
    r"|\[TOOL_CALLS\]\s*(?P<mistral>[\w.-]+)\s*(?:\[ARGS\]\s*)?\{"
    r"|<\|python_tag\|>\s*(?P<python>\w+)(?:\.call)?\("
    r"|<｜tool▁sep｜>(?P<deepseek>[\w.-]+)"
    r"|^Action:[ \t]*(?P<react>[\w.-]+)\s*\nAction Input:",
    re.MULTILINE,
)
"""Markup of the families of models that write calls in their own tokens."""

_WRAPPERS = re.compile(
    r"</?(?:tool_call|function_call|tool_calls|functioncall|tool_code)>|\[/?TOOL_CALLS\]|<\|[\w▁|]+\|>"
)
_FENCED = re.compile(r"```(?:\w*)\s*\n(.*?)(?:```|\Z)", re.DOTALL)
_BARE_CALL = re.compile(r"\[?\s*(?P<name>[A-Za-z_]\w*)\((?:\s*\w+\s*=[^\n]*)?\)\s*\]?")
_NAMES = ("name", "tool", "tool_name", "action", "function")
_ARGUMENTS = (
    "arguments",
    "parameters",
    "args",
    "input",
    "tool_input",
    "action_input",
    "tool_arguments",
    "kwargs",
    "params",
)
_NESTED = ("function", "function_call", "tool_call", "tool_calls")


def check_written_calls(view: TraceView) -> RuleOutput:
    """Answers that hold a call of an offered tool, which then did not run."""
    calls = view.model_calls
    able = [call for call in calls if call.offered and not call.requested and call.answer.value]
    observations = [found for call in able if (found := _observed(view, call))]
    offering = sum(1 for call in calls if call.offered)
    return over_units(observations, view.model_populations, checked=offering, of=len(calls))


def _observed(view: TraceView, call: ModelCall) -> Observation | None:
    text = call.answer.value[:_MAX_CHARS]
    if not (holds_any(text, _MARKS) or text.rstrip().endswith((")", ")]", "```"))):
        return None
    offered = {bare_name(tool.name) for tool in call.offered}
    name = next((name for name in named_calls(text) if bare_name(name) in offered), "")
    if not name or _came_through(view, call, bare_name(name)):
        return None
    return Observation(
        key=FindingKey(WRITTEN_CALL, *view.model_subject_of(call), "", ""),
        quotes=(quote(call.span, "decision", call.answer),),
        recovered=_was_made_later(view, call, bare_name(name)),
    )


def _came_through(view: TraceView, call: ModelCall, name: str) -> bool:
    """
    Whether something read the call out of the text and ran it before the model was asked again.

    Where no call of any tool is recorded that cannot be seen, unless the text is the
    last thing that the model said in a trace that has ended.
    """
    following = view.following_call(call.span)
    if following is None:
        return view.is_open or any(
            bare_name(made.tool) == name and made.span.start_unix_ns >= call.span.start_unix_ns
            for made in view.tool_calls
        )
    if not view.tool_calls:
        return True
    return any(
        bare_name(made.tool) == name
        and call.span.start_unix_ns <= made.span.start_unix_ns <= following.start_unix_ns
        for made in view.tool_calls
    )


def _was_made_later(view: TraceView, call: ModelCall, name: str) -> bool:
    return any(
        bare_name(made.tool) == name
        and made.signal is None
        and made.span.start_unix_ns > call.span.end_unix_ns
        for made in view.tool_calls
    )


def named_calls(text: str) -> tuple[str, ...]:
    """Names of the tools that *text* calls, in the forms in which models write calls; in order."""
    return tuple(_names(text))


def _names(text: str) -> Iterator[str]:
    for match in _TAGGED.finditer(text):
        yield next(filter(None, match.groups()))
    for part in _parts(text):
        yield from _in_json(parse_json(part)) if part[0] in "{[" else ()
        if bare := _BARE_CALL.fullmatch(part):
            yield bare["name"]


def _parts(text: str) -> Iterator[str]:
    """What may be a call by itself: fenced blocks, else the text from its first bracket on."""
    fenced = _FENCED.findall(text)
    bare = _WRAPPERS.sub(" ", text)
    at = min((at for at in (bare.find("{"), bare.find("[")) if at >= 0), default=-1)
    # Words may stand before a call: "Let me look that up. {...}".
    rest = bare[at:] if at >= 0 else ""
    for part in (*fenced, bare, rest):
        if part.strip():
            yield part.strip()


def _in_json(value: JsonValue) -> Iterator[str]:
    """Names in one call, in a list of calls, or in an object that holds them."""
    if isinstance(value, list):
        for item in value[:8]:
            yield from _in_json(item)
    elif isinstance(value, dict):
        name = _called(value)
        if name:
            yield name
        for key in _NESTED:
            nested = value.get(key)
            if isinstance(nested, dict | list):
                yield from _in_json(nested)


def _called(value: JsonObject) -> str:
    """The name in an object that has a name and arguments; ``""`` for any other."""
    if not any(isinstance(value.get(key), dict | str) for key in _ARGUMENTS):
        return ""
    names = (value.get(key) for key in _NAMES)
    return next((name for name in names if isinstance(name, str) and name), "")
