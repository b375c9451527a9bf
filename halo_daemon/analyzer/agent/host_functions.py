"""
What code in the sandbox may call: the trace tools, and the model about a text.

The list is fixed. Arguments are plain values, limited in size, checked like those
of a tool call; answers pass the same redaction and byte budget. Questions to the
model are paid from the run's budget.

Rule 1: these functions run in the session's thread, never on the event loop.

Rule 2: what they wait for ends with the session, so no thread waits for a run
that is over, and no request is made for it.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from halo_daemon.analyzer.agent.arguments import read_arguments
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.inner_model import InnerModel
from halo_daemon.analyzer.agent.messages import ToolCall, as_object
from halo_daemon.analyzer.agent.sandbox import HostFunctions
from halo_daemon.analyzer.agent.toolbox import RedactionCount, Tool, Toolbox
from halo_daemon.proto.json_value import JsonObject, JsonValue

MAX_ARGUMENT_CHARS = 200_000
MAX_PROMPT_CHARS = 20_000
MAX_TEXT_CHARS = 400_000
MAX_BATCH = 32
_AT_ONCE = 4

_Result = TypeVar("_Result")


class _Waiting:
    """What code waits for: answers that are made on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: set[Future[Any]] = set()
        self._is_closed = False
        # A question may be on the loop before its thread goes on: both ends need the lock.
        self._lock = threading.Lock()

    def answer_of(self, answering: Coroutine[Any, Any, _Result]) -> _Result:
        """
        Wait in this thread for what the loop answers.

        Raises:
            RuntimeError: The session was closed before.
            CancelledError: It was closed meanwhile.
        """
        with self._lock:
            if self._is_closed:
                answering.close()
                raise RuntimeError("the run is over")
            future = asyncio.run_coroutine_threadsafe(answering, self._loop)
            self._futures.add(future)
        try:
            return future.result()
        finally:
            with self._lock:
                self._futures.discard(future)

    def close(self) -> None:
        """End what is waited for, and let nothing be asked any more."""
        with self._lock:
            self._is_closed = True
            futures = tuple(self._futures)
        for future in futures:
            future.cancel()


def host_functions(
    tools: Sequence[Tool[Any]],
    model: InnerModel,
    *,
    budget_bytes: int,
    redacted: RedactionCount,
) -> HostFunctions:
    """
    The functions of one session, by name; made on the event loop that answers them.

    Args:
        tools: Those that the code may call under their names.

        model: Who answers `llm_query` and `llm_query_batched`.

        budget_bytes: The most that one answer may hold.

        redacted: Counts what is taken out of answers.
    """
    loop = asyncio.get_running_loop()
    toolbox = Toolbox(tools, budget_bytes=budget_bytes, redacted=redacted)
    waiting = _Waiting(loop)

    def reading(name: str) -> Callable[..., JsonValue]:
        def read(*values: JsonValue, **fields: JsonValue) -> JsonValue:
            call = ToolCall("", name, _arguments(name, toolbox, values, fields))
            answer = read_arguments(waiting.answer_of(toolbox.answer(call)))
            return answer.get("result", answer)

        return read

    def llm_query(prompt: str, text: str = "") -> str:
        return waiting.answer_of(_ask(model, prompt, text))

    def llm_query_batched(prompts: list[JsonValue], text: str = "") -> JsonValue:
        return waiting.answer_of(_ask_all(model, prompts, text))

    reads = {name: reading(name) for name in toolbox.names}
    asks: dict[str, Callable[..., JsonValue]] = {
        "llm_query": llm_query,
        "llm_query_batched": llm_query_batched,
    }
    return HostFunctions({**reads, **asks}, waiting.close)


async def _ask(model: InnerModel, prompt: JsonValue, text: JsonValue) -> str:
    if not isinstance(prompt, str) or not isinstance(text, str):
        raise EngineToolError("llm_query takes two strings: a question and a text")
    if len(prompt) > MAX_PROMPT_CHARS or len(text) > MAX_TEXT_CHARS:
        raise EngineToolError(
            f"llm_query takes {MAX_PROMPT_CHARS} characters of question and {MAX_TEXT_CHARS} of "
            f"text, not {len(prompt)} and {len(text)}"
        )
    # The question may quote a trace, so it stands with the text, as data.
    read = json.dumps({"question": prompt, "text": text}, ensure_ascii=False)
    return await model.ask("query", "Answer the question about the text.", read)


async def _ask_all(model: InnerModel, prompts: JsonValue, text: JsonValue) -> list[JsonValue]:
    if not isinstance(prompts, list) or len(prompts) > MAX_BATCH:
        raise EngineToolError(f"llm_query_batched takes a list of at most {MAX_BATCH} questions")
    turnstile = asyncio.Semaphore(_AT_ONCE)

    async def one(prompt: JsonValue) -> JsonValue:
        async with turnstile:
            return await _ask(model, prompt, text)

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(one(prompt)) for prompt in prompts]
    return [task.result() for task in asked]


def _arguments(
    name: str, toolbox: Toolbox, values: tuple[JsonValue, ...], fields: JsonObject
) -> str:
    """Arguments of a Python call as those of a tool call: by place, by name, or one object."""
    schema = next(schema for schema in toolbox.schemas if schema.name == name)
    names = [*as_object(schema.parameters.get("properties"))]
    only = values[0] if len(values) == 1 and not fields else None
    if isinstance(only, dict) and only.keys() <= {*names}:
        return _bounded(name, only)
    return _bounded(name, {**dict(zip(names, values, strict=False)), **fields})


def _bounded(name: str, arguments: JsonObject) -> str:
    try:
        text = json.dumps(arguments)
    except (TypeError, ValueError, RecursionError) as exc:
        raise EngineToolError(f"{name} takes plain values: {exc}") from exc
    if len(text) > MAX_ARGUMENT_CHARS:
        raise EngineToolError(
            f"{name} takes {MAX_ARGUMENT_CHARS} characters of arguments, not {len(text)}"
        )
    return text
