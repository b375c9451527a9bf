"""Runs as they are recorded where only the client of the model is instrumented."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.span import LLM, STATUS_ERROR, TOOL, Span

_INPUT = "llm.input_messages."
_CALLS = "llm.output_messages.0.message.tool_calls."


def told_in_messages(
    spans: Iterable[Span],
    *,
    task: str = "Help me.",
    keeps_tools: bool = False,
    has_ids: bool = True,
) -> list[Span]:
    """
    Tell the tool calls of one trace in the prompts of its model calls, as agents do.

    Every prompt holds the task and all that was said before it. A failure of a TOOL span's
    status is a result that is marked as an error, as Anthropic's are. Calls after which no
    model was called stand in no prompt.

    Args:
        spans: One trace, in order of start.
        task: What the user asks for; messages that prompts of *spans* hold are told after it.
        keeps_tools: Whether the TOOL spans stay, with the ids of their calls, as where
            everything is instrumented.
        has_ids: Whether calls have ids.
    """
    return list(_Retelling(task, keeps_tools=keeps_tools, has_ids=has_ids).of(spans))


class _Waiting(NamedTuple):
    """A call without a result so far."""

    name: str
    arguments: str
    call_id: str


class _Retelling:
    def __init__(self, task: str, *, keeps_tools: bool, has_ids: bool) -> None:
        self._keeps_tools = keeps_tools
        self._has_ids = has_ids
        self._history: list[JsonObject] = [{"role": "user", "content": task}]
        self._system: list[JsonObject] = []
        self._waiting: list[_Waiting] = []
        self._calls = 0

    def of(self, spans: Iterable[Span]) -> Iterator[Span]:
        for span in spans:
            if span.observation_kind == LLM:
                yield self._model_call(span)
            elif span.observation_kind == TOOL:
                call_id = self._tool_call(span)
                if self._keeps_tools:
                    named: JsonObject = {"tool.id": call_id} if self._has_ids else {}
                    yield replace(span, attributes={**span.attributes, **named})
            else:
                yield span

    def _model_call(self, span: Span) -> Span:
        asked: JsonObject = {}
        own: dict[str, JsonObject] = {}
        names: dict[str, str] = {}
        for key, value in span.attributes.items():
            if key.startswith(_INPUT):
                place, _, field = key.removeprefix(_INPUT).partition(".message.")
                own.setdefault(place, {})[field] = value
            elif key.startswith(_CALLS) and key.endswith(".function.name"):
                names[key.removeprefix(_CALLS).partition(".")[0]] = str(value)
        # A prompt holds again what prompts before it held.
        new = [message for message in own.values() if message not in self._history]
        self._system = [one for one in new if one.get("role") == "system"] or self._system
        self._history += [message for message in new if message.get("role") != "system"]
        said: JsonObject = {"role": "assistant"}
        said["content"] = span.text("llm.output_messages.0.message.content")
        for place, name in names.items():
            call_id = self._next_id()
            if self._has_ids:
                asked[f"{_CALLS}{place}.tool_call.id"] = call_id
                said[f"tool_calls.{place}.tool_call.id"] = call_id
            arguments = span.text(f"{_CALLS}{place}.tool_call.function.arguments")
            self._waiting.append(_Waiting(name, arguments, call_id))
            said[f"tool_calls.{place}.tool_call.function.name"] = name
            said[f"tool_calls.{place}.tool_call.function.arguments"] = arguments
        others = {k: v for k, v in span.attributes.items() if not k.startswith(_INPUT)}
        prompt: JsonObject = {
            f"{_INPUT}{place}.message.{field}": value
            for place, message in enumerate(self._system + self._history)
            for field, value in message.items()
        }
        self._history.append(said)
        return replace(span, attributes={**others, **prompt, **asked})

    def _tool_call(self, span: Span) -> str:
        alike = [one for one in self._waiting if one.name == span.tool_name]
        alike.sort(key=lambda one: one.arguments == span.text("input.value"))
        if alike:
            call_id = alike[-1].call_id
            self._waiting.remove(alike[-1])
        else:
            call_id = self._next_id()
            said: JsonObject = {"role": "assistant"}
            if self._has_ids:
                said["tool_calls.0.tool_call.id"] = call_id
            said["tool_calls.0.tool_call.function.name"] = span.tool_name
            said["tool_calls.0.tool_call.function.arguments"] = span.text("input.value")
            self._history.append(said)
        is_error = span.status_code == STATUS_ERROR
        content = span.status_message if is_error else span.text("output.value")
        answer: JsonObject = {"role": "tool", "content": content}
        if is_error:
            answer["is_error"] = True
        if self._has_ids:
            answer["tool_call_id"] = call_id
        self._history.append(answer)
        return call_id

    def _next_id(self) -> str:
        self._calls += 1
        return f"call_{self._calls}"
