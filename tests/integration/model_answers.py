"""Asking a scripted model server through the adapter, for its tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from halo_daemon.analyzer.agent.errors import ModelError
from halo_daemon.analyzer.agent.llm import OpenAIModel, OpenAISettings
from halo_daemon.analyzer.agent.messages import Message, Role, ToolSchema
from halo_daemon.analyzer.agent.model import ModelReply, ModelRequest, discard_text
from halo_daemon.testing.scripted_model import ScriptedModelServer, Step
from halo_daemon.testing.scripted_replies import chat_event

TOOLS = tuple(
    ToolSchema(name, "A tool.", {"type": "object", "properties": {}}) for name in ("look", "end")
)
REQUEST = ModelRequest((Message(Role.USER, "hello"),), TOOLS, max_output_tokens=50, timeout_s=60)
FINISHED = chat_event({}, finish_reason="stop")


@asynccontextmanager
async def asking(
    *script: Step, **settings
) -> AsyncIterator[tuple[OpenAIModel, ScriptedModelServer]]:
    """A model over a server that follows *script*."""
    settings = {"model": "m-1", "api_key": "sk-secret-key-0001", "temperature": 0.5} | settings
    with ScriptedModelServer(script) as server:
        model = OpenAIModel(OpenAISettings(base_url=server.base_url, **settings))
        try:
            yield model, server
        finally:
            await model.aclose()


async def reply_to(*script: Step, **settings) -> ModelReply:
    """The answer to one request."""
    async with asking(*script, **settings) as (model, _):
        return await model.complete(REQUEST, on_text=discard_text)


async def failure_of(*script: Step, **settings) -> ModelError:
    """The error of one request."""
    with pytest.raises(ModelError) as caught:
        await reply_to(*script, **settings)
    return caught.value


def calls_of(reply: ModelReply) -> list[tuple[str, str]]:
    """Name and arguments of each call."""
    return [(call.name, call.arguments) for call in reply.message.tool_calls]
