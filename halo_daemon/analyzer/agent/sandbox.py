"""
A Python session for the model, in a process of its own without files or network.

Theory of operation
===================

The `[sandbox]` extra brings an interpreter that runs in a worker process and
can do nothing but compute; a crash or an endless loop costs that process. What
it may ask of us is a fixed list of functions: reading traces, and asking the
model about a text, out of the run's budget. Each answer passes the same
redaction and the same byte budget as a tool's answer.

A session keeps its variables from call to call. When a limit stops it, the
session is given up, and the next call says that it begins anew.

Rule 1: a session runs in one thread; host functions run in that thread too, so
the event loop never waits for the sandbox.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pydantic import Field

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.errors import EngineDependencyError, EngineSandboxDeniedError
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.proto.json_value import JsonObject, JsonValue

_PACKAGE = "pydantic_monty"

MAX_OUTPUT_CHARS = 64_000
_GRACE_S = 10.0
_TIME_UP = "TimeoutError"
_MEMORY_UP = "MemoryError"


def _nothing_to_close() -> None:
    return


@dataclass(frozen=True, slots=True)
class HostFunctions:
    """What the code of one session may call."""

    by_name: Mapping[str, Callable[..., JsonValue]]
    """Blocking, and safe to call from any thread."""

    close: Callable[[], None] = _nothing_to_close
    """Ends what calls wait for."""


class RunCodeArguments(ToolArguments):
    """Run Python over the traces. Variables survive from call to call; `print` what you want
    to see, the value of a last expression is shown too. No files, no network, few modules
    (`re`, `json`, `math`, `collections`, `datetime`). The functions named in the answer under
    `available_functions` read the traces and return what the tools of that name return;
    `llm_query(prompt, text)` asks a model about a text.
    """

    code: str = Field(max_length=200_000)


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """Limits of the sandboxes of one run."""

    enabled: bool = True
    memory_mb: int = 256
    seconds: float = 30.0
    """Computing time of one call; waiting for host functions is not counted."""

    max_sessions: int = 4
    """Sessions that compute at the same time."""

    max_open_sessions: int = 32
    """Sessions that keep their variables, and with them a process, until their agent ends."""

    max_host_calls: int = 1_000
    """Calls of host functions in one session."""


def why_unavailable(settings: SandboxSettings) -> str:
    """Why `run_code` cannot be offered; ``""`` when it can."""
    if not settings.enabled:
        return "switched off (`sandbox.enabled`)"
    return "" if find_spec(_PACKAGE) else "not installed: pip install 'halo-daemon[sandbox]'"


@cache
def _monty() -> Any:
    return import_module(_PACKAGE)


@dataclass(slots=True)
class Sandboxes:
    """The worker processes of one run; started on first use, gone when it is closed."""

    settings: SandboxSettings
    _pool: Any = None
    _starting: threading.Lock = field(default_factory=threading.Lock)
    _turnstile: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        """Bound the sessions that compute at the same time."""
        self._turnstile = asyncio.Semaphore(self.settings.max_sessions)

    def open_session(self, functions: HostFunctions) -> "SandboxSession":
        """A session for one agent; nothing is started yet."""
        return SandboxSession(self, functions, self._turnstile)

    def checkout(self) -> Any:
        """
        A worker's session, not yet entered.

        Raises:
            EngineDependencyError: The extra is not installed.
        """
        if why_unavailable(self.settings):
            raise EngineDependencyError(f"cannot run code: {why_unavailable(self.settings)}")
        with self._starting:
            self._start_pool()
        return self._pool.checkout(
            limits={
                "max_feed_duration_secs": self.settings.seconds,
                "max_memory": self.settings.memory_mb * 2**20,
                "max_suspensions": self.settings.max_host_calls,
                "max_total_sleep_secs": 1.0,
            }
        )

    def _start_pool(self) -> None:
        if self._pool is None:
            pool = _monty().Monty(
                min_processes=0,
                max_processes=self.settings.max_open_sessions,
                checkout_timeout=_GRACE_S,
                request_timeout=self.settings.seconds + _GRACE_S,
            )
            self._pool = pool.__enter__()

    def close(self) -> None:
        """End all workers. Idempotent."""
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
            self._pool = None


class SandboxSession:
    """The Python session of one agent."""

    def __init__(
        self, sandboxes: Sandboxes, functions: HostFunctions, turnstile: asyncio.Semaphore
    ) -> None:
        self._sandboxes = sandboxes
        self._functions = functions
        self._turnstile = turnstile
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox")
        self._session: Any = None
        self._was_lost = self._is_closed = False
        self._missed: list[str] = []

    @property
    def tool(self) -> Tool[RunCodeArguments]:
        """The tool to offer."""
        limit_s = 4 * self._sandboxes.settings.seconds + _GRACE_S
        return Tool(
            "run_code",
            RunCodeArguments,
            self._run_tool,
            is_wrapped=False,
            is_pure=False,
            timeout_s=limit_s,
            recall=self._recall,
        )

    async def run(self, code: str) -> JsonObject:
        """
        Run *code* after what ran before.

        Raises:
            EngineDependencyError: The extra is not installed.
            EngineSandboxDeniedError: No worker could be started.
        """
        loop = asyncio.get_running_loop()
        async with self._turnstile:
            return await loop.run_in_executor(self._thread, self._run_here, code)

    def close(self) -> None:
        """End the session, and what its code waits for. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._functions.close()
        self._thread.submit(self._leave)
        self._thread.shutdown(wait=False)

    async def _run_tool(self, arguments: RunCodeArguments, _: ToolCall) -> JsonObject:
        return await self.run(arguments.code)

    def _recall(self, call: ToolCall) -> None:
        # A resumed run answers from the journal; the variables are made again when needed.
        self._missed.append(call.arguments)

    def _run_here(self, code: str) -> JsonObject:
        was_lost, self._was_lost = self._was_lost, False
        if self._session is None:
            self._enter()
        output = _Output()
        error, timed_out = self._feed(code, output)
        answer: JsonObject = {
            "exit_code": 1 if error else 0,
            "stdout": output.text("stdout"),
            "stderr": output.text("stderr") + error,
            "timed_out": timed_out,
            "available_functions": [*sorted(self._functions.by_name)],
        }
        if was_lost:
            answer["note"] = "the session before this one was stopped; its variables are gone"
        return answer

    def _enter(self) -> None:
        try:
            self._session = self._sandboxes.checkout().__enter__()
        except (OSError, RuntimeError) as exc:
            raise EngineSandboxDeniedError(f"cannot start a sandbox: {exc}") from exc
        missed, self._missed = self._missed, []
        for arguments in missed:
            self._feed(RunCodeArguments.model_validate_json(arguments).code, _Output())

    def _feed(self, code: str, output: "_Output") -> tuple[str, bool]:
        try:
            value = self._session.feed_run(
                code, external_lookup=dict(self._functions.by_name), print_callback=output.take
            )
        except _monty().MontyCrashedError as exc:
            self._lose()
            return f"the sandbox was ended: {exc}", True
        except _monty().MontyError as exc:
            text = exc.display() if hasattr(exc, "display") else str(exc)
            timed_out = _TIME_UP in text
            if timed_out or _MEMORY_UP in text:
                self._lose()
            return text, timed_out
        if value is not None:
            output.take("stdout", f"{value!r}\n")
        return "", False

    def _lose(self) -> None:
        self._was_lost = True
        self._leave()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.__exit__(None, None, None)


@dataclass(slots=True)
class _Output:
    """What code printed, up to a limit for each stream."""

    _pieces: dict[str, list[str]] = field(default_factory=dict)
    _chars: dict[str, int] = field(default_factory=dict)

    def take(self, stream: str, text: str) -> None:
        """Keep *text*, as far as there is room."""
        room = MAX_OUTPUT_CHARS - self._chars.get(stream, 0)
        if room > 0:
            self._pieces.setdefault(stream, []).append(text[:room])
        self._chars[stream] = self._chars.get(stream, 0) + len(text)

    def text(self, stream: str) -> str:
        """What is kept, with a mark where it was cut."""
        kept = "".join(self._pieces.get(stream, ()))
        total = self._chars.get(stream, 0)
        return kept if total <= MAX_OUTPUT_CHARS else f"{kept}… [cut: {total} characters in all]"
