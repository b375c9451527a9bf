"""What a run tells while it goes on, in HALO's forms."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from halo_daemon.analyzer.agent.messages import Message


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)

    sequence: int = 0
    """Rises by one over all agents, from 0."""


class FunctionCall(BaseModel):
    """Name and arguments of a tool call."""

    name: str
    arguments: str


class AgentToolCall(BaseModel):
    """A tool call inside a message."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AgentMessage(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    tool_calls: list[AgentToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None

    @classmethod
    def of(cls, message: Message) -> "AgentMessage":
        """The message in HALO's form."""
        calls = [
            AgentToolCall(
                id=call.call_id, function=FunctionCall(name=call.name, arguments=call.arguments)
            )
            for call in message.tool_calls
        ]
        return cls(
            role=message.role.value,
            content=message.content or None,
            tool_calls=calls or None,
            tool_call_id=message.tool_call_id or None,
            name=message.name or None,
        )


class AgentOutputItem(_Event):
    """One complete message of an agent."""

    type: Literal["item"] = "item"
    agent_id: str
    parent_agent_id: str | None = None
    parent_tool_call_id: str | None = None
    agent_name: str = ""
    depth: int = 0
    item: AgentMessage
    final: bool = False
    """The answer of the run."""


class AgentTextDelta(_Event):
    """A piece of an answer while it is written."""

    type: Literal["delta"] = "delta"
    agent_id: str
    parent_agent_id: str | None = None
    parent_tool_call_id: str | None = None
    depth: int = 0
    item_id: str
    text_delta: str


class RunCheckpoint(_Event):
    """An agent's messages after a turn; off by default."""

    type: Literal["checkpoint"] = "checkpoint"
    agent_id: str
    turns_used: int
    messages: list[AgentMessage]


class BudgetEvent(_Event):
    """What is spent after a turn."""

    type: Literal["budget"] = "budget"
    usd: float
    tokens: int
    requests: int
    turns: int
    elapsed_s: float


class CompactionEvent(_Event):
    """Room was made in a conversation."""

    type: Literal["compaction"] = "compaction"
    agent_id: str
    items: int
    bytes_before: int
    bytes_after: int


class FindingEvent(_Event):
    """A finding was recorded."""

    type: Literal["finding"] = "finding"
    agent_id: str
    finding_id: str
    title: str
    verified: bool


class RunEnded(_Event):
    """The last event of a run."""

    type: Literal["end"] = "end"
    status: Literal["complete", "partial", "failed"]
    reason: str | None = None
    detail: str = ""
    """What stands behind the reason, for people."""

    hint: str = ""


Event = Annotated[
    AgentOutputItem
    | AgentTextDelta
    | RunCheckpoint
    | BudgetEvent
    | CompactionEvent
    | FindingEvent
    | RunEnded,
    Field(discriminator="type"),
]
"""Any event."""

EventSink = Callable[[Event], None]
"""Receives events in order; must not block."""


def discard_event(_: Event) -> None:
    """An `EventSink` for callers that only want the end."""


@dataclass(slots=True)
class Emitter:
    """Numbers events over all agents of a run and passes them on."""

    sink: EventSink = discard_event
    _next: int = field(default=0)

    def emit(self, event: Event) -> int:
        """Pass *event* on with the next number; returns that number."""
        number, self._next = self._next, self._next + 1
        self.sink(event.model_copy(update={"sequence": number}))
        return number

    @property
    def next_sequence(self) -> int:
        """The number of the next event."""
        return self._next
