"""What passes between the agent and a model: messages, tool calls, tool schemas, usage."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self, cast

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; ``arguments`` is its text, valid JSON or not."""

    call_id: str
    name: str
    arguments: str

    def to_json(self) -> JsonObject:
        """The call in the form of chat completions."""
        function: JsonObject = {"name": self.name, "arguments": self.arguments}
        return {"id": self.call_id, "type": "function", "function": function}

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Read what `to_json` wrote."""
        function = cast("dict[str, str]", value["function"])
        return cls(cast("str", value["id"]), function["name"], function["arguments"])


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; ``tool_call_id`` and ``name`` belong to tool answers."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    name: str = ""
    size_bytes: int = field(init=False, repr=False, compare=False)
    """UTF-8 bytes that the message adds to a request, its JSON frame left out."""

    sha256: str = field(init=False, repr=False, compare=False)
    """Of what is sent. Taken once: a conversation is sized and hashed in every turn."""

    def __post_init__(self) -> None:
        """Measure what is sent."""
        calls = sum(len(call.name) + len(call.arguments.encode()) for call in self.tool_calls)
        size_bytes = len(self.content.encode("utf-8", "replace")) + calls
        object.__setattr__(self, "size_bytes", size_bytes)
        object.__setattr__(self, "sha256", hashlib.sha256(orjson.dumps(self.to_json())).hexdigest())

    def to_json(self) -> JsonObject:
        """The message in the form of chat completions."""
        form: JsonObject = {"role": self.role.value, "content": self.content}
        if self.tool_calls:
            form["tool_calls"] = [call.to_json() for call in self.tool_calls]
            form["content"] = self.content or None
        if self.role is Role.TOOL:
            form["tool_call_id"] = self.tool_call_id
        return form

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Read what `to_json` wrote."""
        calls = cast("list[JsonObject]", value.get("tool_calls") or [])
        return cls(
            role=Role(cast("str", value["role"])),
            content=cast("str | None", value.get("content")) or "",
            tool_calls=tuple(ToolCall.from_json(call) for call in calls),
            tool_call_id=cast("str", value.get("tool_call_id", "")),
        )


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: JsonObject
    size_bytes: int = field(init=False, repr=False, compare=False)
    sha256: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Measure what is sent; the order of keys is part of it."""
        raw = orjson.dumps(self.to_json())
        object.__setattr__(self, "size_bytes", len(raw))
        object.__setattr__(self, "sha256", hashlib.sha256(raw).hexdigest())

    def to_json(self) -> JsonObject:
        """The schema in the form of chat completions."""
        function: JsonObject = {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response; ``input_tokens`` includes the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """The provider reported nothing usable; these are our own estimates."""

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def to_json(self) -> JsonObject:
        """The fields by name."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens,
            "reasoning_tokens": self.reasoning_tokens,
            "estimated": self.estimated,
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Read what `to_json` wrote."""
        counts = {key: cast("int", value[key]) for key in _USAGE_COUNTS}
        return cls(**counts, estimated=value["estimated"] is True)


_USAGE_COUNTS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")


def as_object(value: JsonValue) -> JsonObject:
    """*value* when it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """*value* when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: JsonValue) -> str:
    """*value* when it is a string, else ``""``."""
    return value if isinstance(value, str) else ""


def joined(pieces: Iterable[str]) -> str:
    """One text; halves of a character meet again, a lone half becomes U+FFFD."""
    text = "".join(pieces)
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
