"""
HALO's six entry points: a question and trace files in, events or messages out.

`stream_engine_async` is the engine; the other five choose what is passed on and
whether the caller waits. They raise only for bad configuration: whatever else
happens, the events that came before it are handed over.
"""

import asyncio
import os
import queue
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halo_daemon.analyzer.agent.capability_file import CapabilityFile
from halo_daemon.analyzer.agent.compaction import DEFAULT_TARGET, CompactionSettings
from halo_daemon.analyzer.agent.engine_config import (
    AgentConfig,
    EngineConfig,
    ModelConfig,
    ModelProviderConfig,
    TraceIndexConfig,
)
from halo_daemon.analyzer.agent.errors import (
    EngineAgentExhaustedError,
    EngineAgentRefusedError,
    EngineDependencyError,
    EngineError,
    EngineMaxDepthExceededError,
    EngineSandboxDeniedError,
    EngineToolError,
)
from halo_daemon.analyzer.agent.events import (
    AgentMessage,
    AgentOutputItem,
    AgentTextDelta,
    Event,
    EventSink,
    RunCheckpoint,
)
from halo_daemon.analyzer.agent.messages import Message
from halo_daemon.analyzer.agent.models import close_models, models_of
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import MakeRun, Run, RunModels, RunSettings
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.agent.tree import TreeSettings
from halo_daemon.findings import Finding
from halo_daemon.store.query import TraceQueries
from halo_daemon.store.trace_files import EVERYTHING, open_trace_files
from halo_daemon.store.trace_reader import TraceReader, Window

__all__ = [
    "AgentConfig",
    "AgentMessage",
    "AgentOutputItem",
    "AgentTextDelta",
    "EngineAgentExhaustedError",
    "EngineAgentRefusedError",
    "EngineConfig",
    "EngineDependencyError",
    "EngineError",
    "EngineMaxDepthExceededError",
    "EngineSandboxDeniedError",
    "EngineToolError",
    "Event",
    "ModelConfig",
    "ModelProviderConfig",
    "RunCheckpoint",
    "Stored",
    "TraceIndexConfig",
    "run_engine",
    "run_engine_async",
    "stream_engine",
    "stream_engine_async",
    "stream_engine_output",
    "stream_engine_output_async",
]
"""What a script written for HALO imports."""

Messages = Sequence[AgentMessage | Mapping[str, Any] | str]
"""A conversation: HALO's messages, objects of the same fields, or texts of the user."""

TracePaths = Path | str | Sequence[Path | str]
"""One file or several, read as one data set."""

_RUN_ID_BYTES = 6
CAPABILITIES_NAME = "providers.json"
JOURNAL_NAME = "journal.jsonl"
"""Name of a journal in the directory of its run."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Traces of a store in place of files."""

    reader: TraceReader
    window: Window
    queries: TraceQueries
    """The same traces, by index."""

    findings: tuple[Finding, ...] = ()
    """What rules found in them."""


async def stream_engine_async(
    messages: Messages,
    engine_config: EngineConfig,
    trace_paths: TracePaths | Stored = (),
    *,
    trace_path: TracePaths | None = None,
    telemetry: bool = False,
) -> AsyncGenerator[Event, None]:
    """
    Run the engine and yield its events, deltas included.

    Args:
        messages: The conversation; a system message at its front replaces the
            engine's own.

        engine_config: Agents, models, limits.

        trace_paths: Files, or traces of a store.

        trace_path: The older name of the same.

        telemetry: Accepted for compatibility; nothing is ever uploaded.

    Raises:
        ConfigError: A file cannot be read, or a key is missing.
    """
    del telemetry
    learnt = capability_file(engine_config)
    models = models_of(engine_config, os.environ, learnt)
    task = [message_of(message) for message in messages]
    paths = trace_path if trace_path is not None else trace_paths
    opened = ExitStack()
    try:
        stored = await asyncio.to_thread(_stored, paths, opened)
        async with aclosing(
            events_of(lambda sink: run_of(engine_config, stored, models, sink), task)
        ) as events:
            async for event in events:
                yield event
    finally:
        await close_models(models)
        learnt.save()
        await asyncio.to_thread(opened.close)


def capability_file(config: EngineConfig) -> CapabilityFile:
    """What is known of providers; kept beside the journals, or for this run alone."""
    path = config.journal_dir / CAPABILITIES_NAME if config.journal_dir else None
    return CapabilityFile(path, time.time_ns)


async def events_of(make_run: MakeRun, task: Sequence[Message]) -> AsyncGenerator[Event, None]:
    """
    Run and yield the events as they come; closing the iterator cancels the run.

    Raises:
        JournalMismatchError: A resumed or replayed run took another way.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    run = make_run(events.put_nowait)

    async def go() -> None:
        try:
            await run.go(task)
        finally:
            events.put_nowait(None)

    going = asyncio.ensure_future(go())
    try:
        while (event := await events.get()) is not None:
            yield event
        await going
    finally:
        going.cancel()
        await asyncio.wait({going})


async def stream_engine_output_async(
    messages: Messages,
    engine_config: EngineConfig,
    trace_paths: TracePaths | Stored = (),
    *,
    trace_path: TracePaths | None = None,
    telemetry: bool = False,
) -> AsyncGenerator[AgentOutputItem, None]:
    """As `stream_engine_async`, with whole items only."""
    stream = stream_engine_async(
        messages, engine_config, trace_paths, trace_path=trace_path, telemetry=telemetry
    )
    async with aclosing(stream) as events:
        async for event in events:
            if isinstance(event, AgentOutputItem):
                yield event


async def run_engine_async(
    messages: Messages,
    engine_config: EngineConfig,
    trace_paths: TracePaths | Stored = (),
    *,
    trace_path: TracePaths | None = None,
    telemetry: bool = False,
) -> list[AgentOutputItem]:
    """As `stream_engine_output_async`, all items at the end."""
    items = stream_engine_output_async(
        messages, engine_config, trace_paths, trace_path=trace_path, telemetry=telemetry
    )
    return [item async for item in items]


def stream_engine(
    messages: Messages,
    engine_config: EngineConfig,
    trace_paths: TracePaths | Stored = (),
    *,
    trace_path: TracePaths | None = None,
    telemetry: bool = False,
) -> Generator[Event, None, None]:
    """As `stream_engine_async`, for callers without an event loop."""
    return _in_thread(
        stream_engine_async(
            messages, engine_config, trace_paths, trace_path=trace_path, telemetry=telemetry
        )
    )


def stream_engine_output(
    messages: Messages,
    engine_config: EngineConfig,
    trace_paths: TracePaths | Stored = (),
    *,
    trace_path: TracePaths | None = None,
    telemetry: bool = False,
) -> Iterator[AgentOutputItem]:
    """As `stream_engine_output_async`, for callers without an event loop."""
    events = stream_engine(
        messages, engine_config, trace_paths, trace_path=trace_path, telemetry=telemetry
    )
    return (event for event in events if isinstance(event, AgentOutputItem))


def run_engine(
    messages: Messages,
    engine_config: EngineConfig,
    trace_paths: TracePaths | Stored = (),
    *,
    trace_path: TracePaths | None = None,
    telemetry: bool = False,
) -> list[AgentOutputItem]:
    """As `run_engine_async`, for callers without an event loop."""
    return asyncio.run(
        run_engine_async(
            messages, engine_config, trace_paths, trace_path=trace_path, telemetry=telemetry
        )
    )


def new_run_id() -> str:
    """An id that no other run has."""
    return f"run-{secrets.token_hex(_RUN_ID_BYTES)}"


def run_of(
    config: EngineConfig,
    stored: Stored,
    models: RunModels,
    sink: EventSink,
    *,
    is_replay: bool = False,
) -> Run:
    """Put a run together from HALO's configuration; a replay asks no model."""
    run_id = config.resume_from or new_run_id()
    journal_path = config.journal_dir / run_id / JOURNAL_NAME if config.journal_dir else None
    return Run(
        run_id,
        models,
        TraceSource(stored.reader, stored.window, stored.queries),
        settings_of(config),
        rule_findings=stored.findings,
        more_tools=_repo_tools(config.repo_path),
        missing=_missing(config.repo_path),
        journal_path=journal_path,
        is_replay=is_replay,
        sink=sink,
    )


def settings_of(config: EngineConfig) -> RunSettings:
    """Limits and habits out of HALO's configuration."""
    sandbox = config.sandbox
    return RunSettings(
        tree=TreeSettings(
            root_name=config.root_agent.name,
            subagent_name=config.subagent.name,
            root_turns=config.root_agent.maximum_turns,
            subagent_turns=config.subagent.maximum_turns,
            refusal_retries=config.root_agent.refusal_retries,
            subagent_refusal_retries=config.subagent.refusal_retries,
            final_answer_reprompts=config.root_agent.final_answer_reprompts,
            maximum_depth=config.maximum_depth,
            maximum_parallel_subagents=config.maximum_parallel_subagents,
            answer_budget_bytes=config.answer_budget_bytes,
            dataset_context=config.dataset_context or "",
            tools_allowed=frozenset(config.tools.allow),
            tools_denied=frozenset(config.tools.deny),
        ),
        budget=config.budget,
        compaction=CompactionSettings(
            compact_at=config.compact_at,
            target=min(DEFAULT_TARGET, config.compact_at),
            keep_turns=config.tool_call_compaction_keep_last_turns,
            keep_texts=config.text_message_compaction_keep_last_messages,
        ),
        sandbox=SandboxSettings(sandbox.enabled, sandbox.memory_mb, sandbox.seconds),
        emit_checkpoints=config.emit_run_checkpoints,
        emit_extras=config.emit_extra_events,
    )


def _stored(paths: TracePaths | Stored, opened: ExitStack) -> Stored:
    if isinstance(paths, Stored):
        return paths
    given = [paths] if isinstance(paths, (str, Path)) else [*paths]
    files = opened.enter_context(
        open_trace_files([Path(path) for path in given], now_monotonic_s=time.monotonic)
    )
    return Stored(files.reader, EVERYTHING, files.queries)


def message_of(message: AgentMessage | Mapping[str, Any] | str) -> Message:
    """A message of an entry point as the agent's own."""
    if isinstance(message, str):
        message = AgentMessage(role="user", content=message)
    elif not isinstance(message, AgentMessage):
        message = AgentMessage.model_validate(message)
    return Message.from_json(message.model_dump(mode="json", exclude_none=True))


def _repo_tools(repo_path: Path | None) -> Sequence[Tool[Any]]:
    if repo_path is None:
        return ()
    from halo_daemon.analyzer.agent.repo_tools import repo_tools  # noqa: PLC0415

    return repo_tools(repo_path)


def _missing(repo_path: Path | None) -> Mapping[str, str]:
    if repo_path is None:
        return {}
    from halo_daemon.analyzer.agent.repo_tools import why_no_history  # noqa: PLC0415

    why = why_no_history(repo_path)
    return {"git history": why} if why else {}


def _in_thread(stream: AsyncGenerator[Event, None]) -> Generator[Event, None, None]:
    """Drive *stream* on an event loop of its own; closing the iterator cancels the run."""
    passed: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()

    async def drive() -> None:
        async with aclosing(stream) as events:
            async for event in events:
                passed.put(event)

    driving = loop.create_task(drive())

    def work() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            end: BaseException | None = None
            try:
                runner.run(_outcome_of(driving))
            except BaseException as exc:  # noqa: BLE001 -- the border of a thread: the caller raises it
                end = exc
            passed.put(end)

    thread = threading.Thread(target=work, name="halo-engine", daemon=True)
    thread.start()
    try:
        while (event := passed.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(driving.cancel)
        thread.join()


async def _outcome_of(driving: asyncio.Task[None]) -> None:
    await driving
