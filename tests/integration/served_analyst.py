"""The competent analyst behind a real socket: the policy of the tests as a model server."""

import json

from halo_daemon.analyzer.agent.messages import Message
from halo_daemon.analyzer.agent.model import ModelRequest
from halo_daemon.testing.scripted_model import RecordedRequest, Step
from halo_daemon.testing.scripted_replies import ok
from tests.unit.analyzer.agent.analyst import analyst


def served_analyst(request: RecordedRequest) -> Step:
    """The answer that the analyst gives to a chat completion request."""
    choice = request.fields.get("tool_choice")
    forced = choice["function"]["name"] if isinstance(choice, dict) else ""
    messages = tuple(Message.from_json(message) for message in request.messages)
    said = analyst(ModelRequest(messages, force_tool=forced)).message
    return ok(said.content, *((call.name, json.loads(call.arguments)) for call in said.tool_calls))
