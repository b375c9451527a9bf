"""The conventions in which the sample agents write down what they did."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import orjson

from halo_daemon.demo.script import SampleAgent, Script, ToolSpec, ToolStep, Turn
from halo_daemon.proto.json_value import JsonObject, JsonValue

Value = str | int | float | bool | Sequence[str]
SpanAttributes = dict[str, Value]

# Agents cut long conversations; so do these.
_MAX_HISTORY = 24
_CHARACTERS_PER_TOKEN = 4


class Message(NamedTuple):
    """One message of a conversation; tool calls as pairs of an id and a step."""

    role: str
    text: str
    calls: tuple[tuple[str, ToolStep], ...] = ()
    call_id: str = ""


class ModelCall(NamedTuple):
    """One model call: what went in, what came out."""

    history: Sequence[Message]
    output: Message
    turn: Turn


class Described(NamedTuple):
    """A span's name and attributes."""

    name: str
    attributes: SpanAttributes


class Dialect(Protocol):
    """
    Describes each kind of span in one convention.

    Pure: the same arguments give the same description.
    """

    def agent(self, agent: SampleAgent, script: Script) -> Described:
        """Describe the root span of a run."""

    def model(self, agent: SampleAgent, script: Script, call: ModelCall) -> Described:
        """Describe a model call."""

    def tool(self, spec: ToolSpec, step: ToolStep, call_id: str) -> Described:
        """Describe a tool call."""

    def part(self, name: str, kind: str) -> Described:
        """Describe a span inside a tool call; *kind* in OpenInference's words."""


def _json(value: JsonValue) -> str:
    return orjson.dumps(value).decode()


def recent(history: Sequence[Message]) -> Sequence[Message]:
    """The system message and the last messages, as many as an agent sends."""
    if len(history) <= _MAX_HISTORY:
        return history
    return (history[0], *history[-_MAX_HISTORY:])


def _tokens(messages: Sequence[Message], extra_characters: int = 0) -> int:
    characters = sum(
        len(message.text) + sum(len(_json(step.arguments)) + 20 for _, step in message.calls)
        for message in messages
    )
    return 8 + (characters + extra_characters) // _CHARACTERS_PER_TOKEN


def _output_tokens(script: Script, call: ModelCall) -> int:
    if call.turn.finish_reason == "length":
        return script.max_output_tokens
    return _tokens([call.output])


def _input_tokens(agent: SampleAgent, call: ModelCall) -> int:
    return _tokens(recent(call.history), extra_characters=200 * len(agent.tools))


def _definition(tool: ToolSpec) -> JsonObject:
    function: JsonObject = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


class OpenInference:
    """OpenInference: flat keys per message, kinds in capitals."""

    def agent(self, agent: SampleAgent, script: Script) -> Described:
        """Describe the root span of a run."""
        attributes: SpanAttributes = {
            "openinference.span.kind": "AGENT",
            "agent.name": agent.name,
            "session.id": script.session_id,
            "user.id": script.user_id,
            "input.value": script.question,
        }
        if script.answer:
            attributes["output.value"] = script.answer
        return Described(agent.name, attributes)

    def model(self, agent: SampleAgent, script: Script, call: ModelCall) -> Described:
        """Describe a model call."""
        prompt_tokens = _input_tokens(agent, call)
        completion_tokens = _output_tokens(script, call)
        attributes: SpanAttributes = {
            "openinference.span.kind": "LLM",
            "llm.model_name": script.model,
            "llm.provider": agent.provider,
            "llm.invocation_parameters": _json({"max_tokens": script.max_output_tokens}),
            "llm.finish_reason": call.turn.finish_reason,
            "llm.token_count.prompt": prompt_tokens,
            "llm.token_count.completion": completion_tokens,
            "llm.token_count.total": prompt_tokens + completion_tokens,
            "session.id": script.session_id,
        }
        for number, message in enumerate(recent(call.history)):
            _put_message(attributes, f"llm.input_messages.{number}.message", message)
        _put_message(attributes, "llm.output_messages.0.message", call.output)
        for number, tool in enumerate(agent.tools):
            attributes[f"llm.tools.{number}.tool.json_schema"] = _json(_definition(tool))
        return Described("ChatCompletion", attributes)

    def tool(self, spec: ToolSpec, step: ToolStep, call_id: str) -> Described:
        """Describe a tool call."""
        arguments = _json(step.arguments)
        attributes: SpanAttributes = {
            "openinference.span.kind": "TOOL",
            "tool.name": step.tool,
            "tool.id": call_id,
            "tool.description": spec.description,
            "tool.parameters": arguments,
            "input.value": arguments,
            "input.mime_type": "application/json",
        }
        if step.error is None:
            attributes["output.value"] = step.result
        return Described(step.tool, attributes)

    def part(self, name: str, kind: str) -> Described:
        """Describe a span inside a tool call."""
        return Described(name, {"openinference.span.kind": kind})


def _put_message(attributes: SpanAttributes, prefix: str, message: Message) -> None:
    attributes[f"{prefix}.role"] = message.role
    if message.text:
        attributes[f"{prefix}.content"] = message.text
    if message.call_id:
        attributes[f"{prefix}.tool_call_id"] = message.call_id
    for number, (call_id, step) in enumerate(message.calls):
        call = f"{prefix}.tool_calls.{number}.tool_call"
        attributes[f"{call}.id"] = call_id
        attributes[f"{call}.function.name"] = step.tool
        attributes[f"{call}.function.arguments"] = _json(step.arguments)


_OPERATIONS: Mapping[str, Mapping[str, str]] = {
    "EMBEDDING": {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "text-embedding-3-small",
    },
    "RETRIEVER": {"gen_ai.operation.name": "retrieval"},
}
_FINISH_REASONS = {"tool_calls": "tool_call"}


class GenAI:
    """OpenTelemetry's conventions for generative AI: messages as JSON."""

    def agent(self, agent: SampleAgent, script: Script) -> Described:
        """Describe the root span of a run."""
        question = Message("user", script.question)
        attributes: SpanAttributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": agent.provider,
            "gen_ai.agent.name": agent.name,
            "gen_ai.conversation.id": script.session_id,
            "user.id": script.user_id,
            "gen_ai.input.messages": _json([_message(question)]),
        }
        if script.answer:
            answer = _message(Message("assistant", script.answer))
            attributes["gen_ai.output.messages"] = _json([answer])
        return Described(f"invoke_agent {agent.name}", attributes)

    def model(self, agent: SampleAgent, script: Script, call: ModelCall) -> Described:
        """Describe a model call."""
        finish_reason = _FINISH_REASONS.get(call.turn.finish_reason, call.turn.finish_reason)
        output = {**_message(call.output), "finish_reason": finish_reason}
        system, *messages = recent(call.history)
        attributes: SpanAttributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": agent.provider,
            "gen_ai.request.model": script.model,
            "gen_ai.response.model": call.turn.served_model or script.model,
            "gen_ai.request.max_tokens": script.max_output_tokens,
            "gen_ai.response.finish_reasons": [call.turn.finish_reason],
            "gen_ai.usage.input_tokens": _input_tokens(agent, call),
            "gen_ai.usage.output_tokens": _output_tokens(script, call),
            "gen_ai.conversation.id": script.session_id,
            "gen_ai.system_instructions": _json([{"type": "text", "content": system.text}]),
            "gen_ai.input.messages": _json([_message(message) for message in messages]),
            "gen_ai.output.messages": _json([output]),
            "gen_ai.tool.definitions": _json(
                [
                    {
                        "type": "function",
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    }
                    for tool in agent.tools
                ]
            ),
        }
        return Described(f"chat {script.model}", attributes)

    def tool(self, spec: ToolSpec, step: ToolStep, call_id: str) -> Described:
        """Describe a tool call."""
        attributes: SpanAttributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": step.tool,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": spec.description,
            "gen_ai.tool.call.id": call_id,
            "gen_ai.tool.call.arguments": _json(step.arguments),
        }
        if step.error is None:
            attributes["gen_ai.tool.call.result"] = step.result
        return Described(f"execute_tool {step.tool}", attributes)

    def part(self, name: str, kind: str) -> Described:
        """Describe a span inside a tool call."""
        return Described(name, dict(_OPERATIONS.get(kind, {})))


def _message(message: Message) -> JsonObject:
    if message.call_id:
        answer: JsonObject = {
            "type": "tool_call_response",
            "id": message.call_id,
            "response": message.text,
        }
        return {"role": "tool", "parts": [answer]}
    parts: list[JsonValue] = [{"type": "text", "content": message.text}] if message.text else []
    parts += [
        {"type": "tool_call", "id": call_id, "name": step.tool, "arguments": step.arguments}
        for call_id, step in message.calls
    ]
    return {"role": message.role, "parts": parts}


class Mixed(GenAI):
    """An application on the GenAI conventions whose tools are written down by OpenInference."""

    def tool(self, spec: ToolSpec, step: ToolStep, call_id: str) -> Described:
        """Describe a tool call."""
        return OpenInference().tool(spec, step, call_id)

    def part(self, name: str, kind: str) -> Described:
        """Describe a span inside a tool call."""
        return OpenInference().part(name, kind)
