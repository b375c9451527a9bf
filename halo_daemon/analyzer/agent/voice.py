"""What an agent tells the outside while it works."""

from halo_daemon.analyzer.agent.compaction import Compacted
from halo_daemon.analyzer.agent.conversation import Conversation
from halo_daemon.analyzer.agent.events import (
    AgentMessage,
    AgentOutputItem,
    AgentTextDelta,
    BudgetEvent,
    CompactionEvent,
    RunCheckpoint,
)
from halo_daemon.analyzer.agent.messages import Message, Role
from halo_daemon.analyzer.agent.spec import AgentOutcome, AgentSpec, Surroundings


class Voice:
    """Turns what happens to one agent into events and journal records."""

    def __init__(self, spec: AgentSpec, around: Surroundings) -> None:
        self._spec = spec
        self._around = around

    def started(self, task: str) -> None:
        """The agent begins."""
        self._around.journal.write(
            "agent_start",
            agent_id=self._spec.agent_id,
            parent_agent_id=self._spec.parent_agent_id,
            depth=self._spec.depth,
            input=task,
        )

    def ended(self, outcome: AgentOutcome) -> None:
        """The agent ends."""
        self._around.journal.write(
            "agent_end",
            agent_id=self._spec.agent_id,
            status=outcome.status,
            reason=outcome.reason,
            answer=outcome.answer,
        )

    def item(self, message: Message, *, final: bool = False) -> None:
        """A message entered the conversation: its text first, then each call."""
        parts = [message]
        if message.tool_calls:
            parts = [Message(Role.ASSISTANT, message.content)] if message.content else []
            parts += [Message(Role.ASSISTANT, tool_calls=(call,)) for call in message.tool_calls]
        for part in parts:
            self._around.emitter.emit(
                AgentOutputItem(
                    agent_id=self._spec.agent_id,
                    parent_agent_id=self._spec.parent_agent_id,
                    parent_tool_call_id=self._spec.parent_tool_call_id,
                    agent_name=self._spec.name,
                    depth=self._spec.depth,
                    item=AgentMessage.of(part),
                    final=final,
                )
            )

    def text(self, item_id: str, text: str) -> None:
        """A piece of an answer came in."""
        if text:
            self._around.emitter.emit(
                AgentTextDelta(
                    agent_id=self._spec.agent_id,
                    parent_agent_id=self._spec.parent_agent_id,
                    parent_tool_call_id=self._spec.parent_tool_call_id,
                    depth=self._spec.depth,
                    item_id=item_id,
                    text_delta=text,
                )
            )

    def compacted(self, done: Compacted) -> None:
        """Room was made in the conversation."""
        sizes = {
            "items": done.items,
            "bytes_before": done.bytes_before,
            "bytes_after": done.bytes_after,
        }
        self._around.journal.write("compaction", agent_id=self._spec.agent_id, **sizes)
        if self._around.emit_extras:
            self._around.emitter.emit(CompactionEvent(agent_id=self._spec.agent_id, **sizes))

    def turn_over(self, turns: int, conversation: Conversation) -> None:
        """A turn and its tool calls are done."""
        around = self._around
        if around.emit_checkpoints:
            messages = [AgentMessage.of(message) for message in conversation.messages]
            around.emitter.emit(
                RunCheckpoint(agent_id=self._spec.agent_id, turns_used=turns, messages=messages)
            )
        if around.emit_extras:
            spent = around.ledger.spent
            around.emitter.emit(
                BudgetEvent(
                    usd=spent.usd,
                    tokens=spent.tokens,
                    requests=spent.requests,
                    turns=spent.turns,
                    elapsed_s=around.ledger.elapsed_s,
                )
            )
