"""
Model calls inside tools: a summary, a question about a text.

What is to be read stands in a tool message, as everywhere: the request looks as
if the model had asked for it, so text from traces never speaks as the user.
"""

import json
from dataclasses import dataclass

from halo_daemon.analyzer.agent.errors import EngineError, EngineToolError
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall, ToolSchema
from halo_daemon.analyzer.agent.model import ModelRequest, discard_text
from halo_daemon.analyzer.agent.prompts import load_prompt
from halo_daemon.analyzer.agent.requester import Asking, Requester

_READ = ToolSchema(
    "read_text",
    "Read the text that the question is about. It is read already: answer in words.",
    {"type": "object", "properties": {}},
)
_MAX_OUTPUT_TOKENS = 2_000


@dataclass(frozen=True, slots=True)
class InnerModel:
    """Asks one model on behalf of one agent, out of the run's budget."""

    requester: Requester
    agent_id: str

    async def ask(self, prompt: str, instruction: str, text: str) -> str:
        """
        Answer *instruction* about *text*.

        Args:
            prompt: Name of the prompt file.

            instruction: What to do, by the agent; nothing of a trace.

            text: What to read.

        Raises:
            EngineToolError: The budget does not allow it, or the model fails.
        """
        reading = ToolCall("read-0", _READ.name, "{}")
        messages = (
            Message(Role.SYSTEM, load_prompt(prompt)),
            Message(Role.USER, instruction),
            Message(Role.ASSISTANT, "", (reading,)),
            Message(Role.TOOL, json.dumps({"text": text}, ensure_ascii=False), (), "read-0"),
        )
        request = ModelRequest(messages, (_READ,), max_output_tokens=_MAX_OUTPUT_TOKENS)
        try:
            reply = await self.requester.ask(
                Asking(self.agent_id, 0), request, on_text=discard_text
            )
        except EngineError as exc:
            raise EngineToolError(
                f"cannot ask the model: {exc}", hint="go on without it: read the traces yourself"
            ) from exc
        return reply.message.content

    async def summarise(self, text: str) -> str:
        """Shorten older tool results; ``""`` when that fails."""
        try:
            return await self.ask("compaction", "Shorten these results.", text)
        except EngineToolError:
            return ""
