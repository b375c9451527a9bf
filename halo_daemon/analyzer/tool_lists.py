"""
The tools that models were offered: what each takes, by the list that offered it.

Few lists are in use at a time, so each is read once for all the traces that share it.
Descriptions do not count: what a tool takes is its names, types and required values.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

import orjson

from halo_daemon.analyzer.content import ModelCall, OfferedTool, Text, text_of
from halo_daemon.analyzer.features import Feature
from halo_daemon.analyzer.masking import mask_name
from halo_daemon.analyzer.observation import Quote, quote
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.json_value import JsonObject, JsonValue

TOOL_LIST = "tool list"
_MAX_SHAPE_CHARS = 160
_MAX_DEPTH = 8
_WORDS_ONLY = frozenset({"$comment", "default", "description", "example", "examples", "title"})
_DEFINITION_KEYS = ("llm.tools.", "gen_ai.tool.definitions")


class Definition(NamedTuple):
    """One tool as a list offers it."""

    tool: str
    """Masked."""
    digest: str
    """Equal for definitions that take the same."""
    shape: str
    """What it takes, for people: ``order_id: string, limit?: integer``."""
    cited: Quote


class ToolList(NamedTuple):
    """A list of tools, read where it was offered first; the least of two is the earlier."""

    start_unix_ns: int
    trace_id: str
    definitions: tuple[Definition, ...]


def tool_lists_of(
    view: TraceView, features: tuple[Feature, ...], known: dict[Feature, ToolList]
) -> Iterator[tuple[Feature, ToolList]]:
    """The lists of one trace, by their feature, that *known* has not, or has from later only."""
    first = (view.trace.start_unix_ns, view.trace_id)
    wanted = [
        f for f in features if f.kind == TOOL_LIST and (f not in known or first < known[f][:2])
    ]
    for feature in wanted:
        call = next(c for c in view.model_calls if view.agent_of(c.span) == feature.agent)
        definitions = tuple(_definition(call, tool) for tool in call.offered if tool.parameters)
        yield feature, ToolList(*first, definitions)


def _definition(call: ModelCall, tool: OfferedTool) -> Definition:
    schema = tool.parameters or {}
    return Definition(mask_name(tool.name), digest_of(schema), shape_of(schema), _cited(call, tool))


def _cited(call: ModelCall, tool: OfferedTool) -> Quote:
    """The attribute that defines *tool*, from its name on."""
    needle = f'"{tool.name}"'
    for key, value in call.span.attributes.items():
        if key.startswith(_DEFINITION_KEYS) and needle in (text := text_of(value)):
            return quote(call.span, "symptom", Text(key, text), text[text.find(needle) :])
    return quote(call.span, "symptom", Text("", ""))


def digest_of(schema: JsonObject) -> str:
    """The same for schemas that differ in order and in words for people only."""
    text = orjson.dumps(_bare(schema), option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=6).hexdigest()


def _bare(value: JsonValue, *, are_names: bool = False, depth: int = 0) -> JsonValue:
    if depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {
            name: _bare(part, are_names=name == "properties" and not are_names, depth=depth + 1)
            for name, part in value.items()
            # A parameter may be called "title"; a keyword of that name only explains.
            if are_names or name not in _WORDS_ONLY
        }
    if isinstance(value, list):
        parts = [_bare(part, depth=depth + 1) for part in value]
        return sorted(parts, key=orjson.dumps)
    return value


def shape_of(schema: JsonObject) -> str:
    """What a schema takes in one line, by name; ``nothing`` without parameters."""
    properties = schema.get("properties")
    required = schema.get("required")
    wanted = (
        {name for name in required if isinstance(name, str)} if isinstance(required, list) else ()
    )
    parts = [
        f"{name}{'' if name in wanted else '?'}: {_type_of(part)}"
        for name, part in sorted(properties.items() if isinstance(properties, dict) else ())
    ]
    shape = ", ".join(parts) or "nothing"
    return shape if len(shape) <= _MAX_SHAPE_CHARS else shape[: _MAX_SHAPE_CHARS - 1] + "…"


def _type_of(part: JsonValue) -> str:
    if not isinstance(part, dict):
        return "any"
    stated = part.get("type")
    names = stated if isinstance(stated, list) else [stated]
    name = " or ".join(sorted(each for each in names if isinstance(each, str))) or "any"
    choices = part.get("enum")
    return f"{name} of {len(choices)} values" if isinstance(choices, list) else name
