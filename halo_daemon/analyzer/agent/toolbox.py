"""
The tools of one agent: what is offered, and how a call is answered.

Rule 1: a tool never raises into the loop. Whatever goes wrong becomes an error
text that says what to do next.

Rule 2: every answer is redacted, then fitted into one byte budget; in a thread,
because a long one takes longer than the event loop may pause.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from traceback import format_exc
from typing import Generic

from halo_daemon.analyzer.agent.answers import (
    DEFAULT_BUDGET_BYTES,
    NextCall,
    cut_text,
    fit,
    no_next_call,
)
from halo_daemon.analyzer.agent.arguments import Arguments, ToolArguments, read_arguments, validate
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.messages import ToolCall, ToolSchema, as_object
from halo_daemon.errors import HaloError
from halo_daemon.log import get_logger
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import redact_value

log = get_logger()

DEFAULT_TIMEOUT_S = 60.0
_MAX_ERROR_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Tool(Generic[Arguments]):
    """One tool; its arguments' docstring is its description."""

    name: str
    arguments: type[Arguments]
    run: Callable[[Arguments, ToolCall], Awaitable[JsonObject]]
    is_wrapped: bool = True
    """Whether the answer stands under one key, ``result``."""

    is_pure: bool = True
    """Whether the same call gives the same answer, so that a repeated one need not run."""

    recall: Callable[[ToolCall], None] | None = None
    """Takes note of a call that was answered before the run was resumed."""

    timeout_s: float = DEFAULT_TIMEOUT_S
    next_call: Callable[[Arguments], NextCall] | None = None
    """Names the call that continues a shortened answer."""

    @property
    def schema(self) -> ToolSchema:
        """The tool as the model sees it."""
        return _schema_of(self.name, self.arguments)


@cache
def _schema_of(name: str, arguments: type[ToolArguments]) -> ToolSchema:
    """A tool as the model sees it; the same for all agents, made once."""
    parameters = arguments.model_json_schema()
    description = inspect.cleandoc(parameters.pop("description", ""))
    return ToolSchema(name, description, _without_titles(parameters))


def in_thread(
    function: Callable[[Arguments], JsonObject],
) -> Callable[[Arguments, ToolCall], Awaitable[JsonObject]]:
    """Run a blocking tool function off the event loop."""

    async def run(arguments: Arguments, _: ToolCall) -> JsonObject:
        return await asyncio.to_thread(function, arguments)

    return run


@dataclass(slots=True)
class RedactionCount:
    """How many values were taken out of tool answers."""

    values: int = 0


class Toolbox:
    """The tools on offer, sorted by name so that every request carries the same bytes."""

    def __init__(
        self,
        tools: Iterable[Tool],  # type: ignore[type-arg]  # each tool has its own arguments
        *,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
        redacted: RedactionCount | None = None,
    ) -> None:
        self._tools: Mapping[str, Tool] = {  # type: ignore[type-arg]
            tool.name: tool for tool in sorted(tools, key=lambda tool: tool.name)
        }
        self._budget_bytes = budget_bytes
        self._redacted = redacted or RedactionCount()
        self._repeats: dict[tuple[str, str], tuple[str, int]] = {}
        self.schemas = tuple(tool.schema for tool in self._tools.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all tools, sorted."""
        return tuple(self._tools)

    def knows(self, name: str) -> bool:
        """Whether there is a tool of that name."""
        return name in self._tools

    async def answer(self, call: ToolCall) -> str:
        """The answer to *call* as JSON text; errors are answers too."""
        repeated = self._repeats.get((call.name, call.arguments))
        if repeated is not None:
            return self._again(call, *repeated)
        tool = self._tools.get(call.name)
        if tool is None:
            return self.error(f"no tool `{call.name}`", hint=f"tools: {', '.join(self._tools)}")
        try:
            text = await self._run(tool, call)
        except EngineToolError as exc:
            return self.error(str(exc), hint=exc.hint, retryable=exc.retryable)
        if tool.is_pure:
            self._repeats[call.name, call.arguments] = (text, 1)
        return text

    def recall(self, call: ToolCall) -> None:
        """Tell a tool with a memory of a call that a resumed run takes from its journal."""
        tool = self._tools.get(call.name)
        if tool is not None and tool.recall is not None:
            tool.recall(call)

    def error(self, message: str, *, hint: str = "", retryable: bool = False) -> str:
        """An error as a tool's answer."""
        fields: JsonObject = {"error": cut_text(message, _MAX_ERROR_CHARS), "retryable": retryable}
        if hint:
            fields["hint"] = cut_text(hint, _MAX_ERROR_CHARS)
        text, redacted = _finished(fields, budget_bytes=self._budget_bytes)
        self._redacted.values += redacted
        return text

    async def _run(self, tool: Tool, call: ToolCall) -> str:  # type: ignore[type-arg]
        arguments, ignored = validate(tool.arguments, read_arguments(call.arguments))
        try:
            async with asyncio.timeout(tool.timeout_s):
                answer = await tool.run(arguments, call)
        except TimeoutError as exc:
            raise EngineToolError(
                f"`{tool.name}` took more than {tool.timeout_s:g} s",
                hint="ask for less: a narrower filter, fewer ids",
            ) from exc
        except EngineToolError:
            raise
        except HaloError as exc:
            raise EngineToolError(str(exc), hint=exc.hint) from exc
        except Exception as exc:
            # The text alone: a renderer of tracebacks could print locals, and they hold traces.
            log.warning(
                "tool_failed", tool=tool.name, error=type(exc).__name__, trace=format_exc(limit=-8)
            )
            raise EngineToolError(f"`{tool.name}` failed: {type(exc).__name__}") from exc
        envelope: JsonObject = {"result": answer} if tool.is_wrapped else answer
        if ignored:
            envelope = {**envelope, "ignored_arguments": [*ignored]}
        next_call = tool.next_call(arguments) if tool.next_call else no_next_call
        text, redacted = await asyncio.to_thread(
            _finished, envelope, budget_bytes=self._budget_bytes, next_call=next_call
        )
        self._redacted.values += redacted
        return text

    def _again(self, call: ToolCall, text: str, times: int) -> str:
        self._repeats[call.name, call.arguments] = (text, times + 1)
        note = (
            f'{{"note": "the same call for the {times + 1}. time, with the same answer; '
            'ask something else", '
        )
        return note + text[1:] if len(text) + len(note) <= self._budget_bytes else text


def _finished(
    answer: JsonObject, *, budget_bytes: int, next_call: NextCall = no_next_call
) -> tuple[str, int]:
    """*answer* as it is sent, and how many values were taken out of it."""
    masked, redacted = redact_value(answer)
    return fit(as_object(masked), budget_bytes=budget_bytes, next_call=next_call), redacted


def _without_titles(schema: JsonObject) -> JsonObject:
    """Drop the titles that pydantic derives from names: they tell a model nothing."""
    return {
        key: _titleless(value, is_properties=key in {"properties", "$defs"})
        for key, value in schema.items()
        if key != "title"
    }


def _titleless(value: JsonValue, *, is_properties: bool) -> JsonValue:
    if isinstance(value, list):
        return [_titleless(item, is_properties=False) for item in value]
    if not isinstance(value, dict):
        return value
    if is_properties:
        return {key: _titleless(item, is_properties=False) for key, item in value.items()}
    return _without_titles(value)
