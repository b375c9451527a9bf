"""A `ChatModel` without a provider: a list of replies, or a policy that reads the conversation."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from halo_daemon.analyzer.agent.errors import ModelError
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall, Usage
from halo_daemon.analyzer.agent.model import ModelReply, ModelRequest, TextSink
from halo_daemon.proto.json_value import JsonValue

Turn = ModelReply | ModelError
"""What one request gets: an answer, or the error to raise."""

Policy = Callable[[ModelRequest], Turn]
"""Decides from the request alone, so that a resumed run decides the same."""


def say(text: str, *, usage: Usage | None = None) -> ModelReply:
    """An answer in words."""
    return ModelReply(Message(Role.ASSISTANT, text), usage=usage or Usage(100, 10))


def call(name: str, /, **arguments: JsonValue) -> ModelReply:
    """An answer that calls one tool."""
    return calls((name, arguments))


def calls(*wanted: tuple[str, dict[str, JsonValue]], text: str = "") -> ModelReply:
    """An answer that calls several tools."""
    made = tuple(
        ToolCall(f"c{place}", name, json.dumps(arguments))
        for place, (name, arguments) in enumerate(wanted)
    )
    return ModelReply(Message(Role.ASSISTANT, text, made), usage=Usage(100, 10))


@dataclass(slots=True)
class ScriptedChatModel:
    """
    Follows a list of turns, or a policy.

    Raises:
        AssertionError: The list is used up and another request comes.
    """

    script: Sequence[Turn] | Policy
    label: str = "scripted"
    parameters_dropped: tuple[str, ...] = ()
    seen: list[ModelRequest] = field(default_factory=list)
    """The requests, in order of arrival."""

    closed: bool = False
    _turns: Iterator[Turn] = field(init=False)

    def __post_init__(self) -> None:
        """Start at the first turn."""
        self._turns = iter(()) if callable(self.script) else iter(self.script)

    async def complete(self, request: ModelRequest, *, on_text: TextSink) -> ModelReply:
        """Give the next turn."""
        self.seen.append(request)
        turn = self.script(request) if callable(self.script) else next(self._turns, None)
        assert turn is not None, f"the script has no turn for request {len(self.seen)}"
        if isinstance(turn, ModelError):
            raise turn
        on_text(turn.message.content)
        return turn

    async def aclose(self) -> None:
        """Note that the model was closed."""
        self.closed = True
