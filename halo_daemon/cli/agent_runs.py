"""Runs of the agent on the command line: put together, shown, found again."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from halo_daemon.analyzer.agent.engine import (
    JOURNAL_NAME,
    Stored,
    capability_file,
    events_of,
    new_run_id,
    run_of,
    settings_of,
)
from halo_daemon.analyzer.agent.engine_config import EngineConfig
from halo_daemon.analyzer.agent.explain import ExplainSettings, dry_run
from halo_daemon.analyzer.agent.messages import Message, Role
from halo_daemon.analyzer.agent.models import absent_models, close_models, models_of, prices_of
from halo_daemon.analyzer.agent.usage import price_of
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.cli.agent_display import show_all
from halo_daemon.cli.dry_runs import dry_run_lines
from halo_daemon.cli.options import header_of
from halo_daemon.cli.output import print_note
from halo_daemon.config import Config
from halo_daemon.errors import ConfigError
from halo_daemon.findings import Report
from halo_daemon.project_readers import queries_of, reader_of
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import find_project
from halo_daemon.store.query import TraceQueries
from halo_daemon.store.scratch import is_read_only
from halo_daemon.store.temporary import private_directory
from halo_daemon.store.trace_files import EVERYTHING, open_trace_files
from halo_daemon.store.trace_reader import TraceReader, Window

ASKED_NAME = "asked.json"
CANCEL_NAME = "cancel"

_RUNS_DIRECTORY = "agent-runs"


class Question(BaseModel):
    """What was asked of which traces; kept beside the journal, for a replay."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    paths: tuple[str, ...] = ()
    project: str = ""
    since_unix_ns: int
    until_unix_ns: int


class AskOptions(BaseModel):
    """The flags of `ask`."""

    model_config = ConfigDict(frozen=True)

    model: str
    synthesis_model: str
    compaction_model: str
    base_url: str = ""
    api_key: str = ""
    headers: tuple[str, ...] = ()
    api: str = "auto"
    temperature: float | None = None
    max_output_tokens: int | None = None
    reasoning_effort: str = ""
    parallel_tool_calls: bool = True
    max_depth: int = 2
    max_turns: int = 20
    max_parallel: int = 4
    refusal_retries: int = 0
    repo_path: Path | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    budget_seconds: float | None = None
    price: str = ""


def runs_directory(settings: Config) -> Path:
    """Where runs of the agent keep their journals, one directory each."""
    return settings.data.dir / _RUNS_DIRECTORY


def engine_config(settings: Config, options: AskOptions, run_id: str) -> EngineConfig:
    """
    The engine's configuration out of flags.

    Raises:
        ConfigError: A flag's value cannot be used.
    """
    model = {
        "temperature": options.temperature,
        "maximum_output_tokens": options.max_output_tokens,
        "parallel_tool_calls": options.parallel_tool_calls,
        "reasoning_effort": options.reasoning_effort or None,
    }
    agent = {
        "model": {"name": options.model, **model},
        "maximum_turns": options.max_turns,
        "refusal_retries": options.refusal_retries,
    }
    fields = {
        "root_agent": {"name": "root", **agent},
        "subagent": {"name": "subagent", **agent},
        "synthesis_model": {"name": options.synthesis_model, **model},
        "compaction_model": {"name": options.compaction_model, **model},
        "model_provider": {
            "base_url": options.base_url or None,
            "api_key": options.api_key or None,
            "default_headers": dict(map(header_of, options.headers)),
        },
        "api": options.api,
        "maximum_depth": options.max_depth,
        "maximum_parallel_subagents": options.max_parallel,
        "repo_path": options.repo_path,
        "budget": {
            "usd": options.budget_usd,
            "tokens": options.budget_tokens,
            "seconds": options.budget_seconds,
        },
        "prices": _prices(options),
        "journal_dir": runs_directory(settings),
        "resume_from": run_id,
        "emit_extra_events": True,
    }
    try:
        return EngineConfig.model_validate(fields)
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"cannot use `{name}`: {first['msg']}") from exc


def answer(
    settings: Config, options: AskOptions, question: Question, *, resume: str, as_json: bool
) -> int:
    """
    Run, show, and return the exit status.

    Args:
        settings: Where the data is.

        options: The flags.

        question: What is asked.

        resume: Id of a run to go on with; ``""`` begins a new one.

        as_json: Print events on stdout instead of the answer.
    """
    run_id = resume or new_run_id()
    journals = runs_directory(settings)
    if not resume and is_read_only(settings.data.dir):
        print_note(f"{settings.data.dir} cannot be written: this run is not kept")
        journals = private_directory("agent-runs")
    config = engine_config(settings, options, run_id).model_copy(update={"journal_dir": journals})
    directory = journals / run_id
    if resume and not (directory / JOURNAL_NAME).exists():
        raise ConfigError(f"no run `{resume}`", hint="see `halo-daemon run list`")
    stored, close = stored_traces(settings, question)
    learnt = capability_file(config)
    models = models_of(config, os.environ, learnt)
    directory.mkdir(parents=True, exist_ok=True)
    kept = {"question": question.model_dump(), "options": options.model_dump(mode="json")}
    kept["options"]["api_key"] = ""
    kept["options"]["headers"] = []
    (directory / ASKED_NAME).write_text(json.dumps(kept, indent=2), "utf-8")
    task = [Message(Role.USER, question.prompt)]

    async def go() -> int:
        try:
            async with aclosing(
                events_of(lambda sink: run_of(config, stored, models, sink), task)
            ) as events:
                return await show_all(events, as_json=as_json, cancel=directory / CANCEL_NAME)
        finally:
            await close_models(models)
            learnt.save()

    if not as_json:
        print_note(f"run {run_id}")
    try:
        return asyncio.run(go())
    finally:
        close()


def replay(settings: Config, run_id: str, *, as_json: bool) -> int:
    """
    Run again from the journal, without a model; returns the exit status.

    Raises:
        ConfigError: There is no such run.
        JournalMismatchError: It would ask something else today.
    """
    question, options = kept_question(settings, run_id)
    config = engine_config(settings, options, run_id)
    stored, close = stored_traces(settings, question)
    models = absent_models(config)
    task = [Message(Role.USER, question.prompt)]

    async def go() -> int:
        async with aclosing(
            events_of(lambda sink: run_of(config, stored, models, sink, is_replay=True), task)
        ) as events:
            return await show_all(events, as_json=as_json, cancel=None)

    try:
        return asyncio.run(go())
    finally:
        close()


def kept_question(settings: Config, run_id: str) -> tuple[Question, AskOptions]:
    """
    What a run was asked, and how.

    Raises:
        ConfigError: There is no such run.
    """
    path = runs_directory(settings) / run_id / ASKED_NAME
    try:
        kept = json.loads(path.read_text("utf-8"))
        return Question.model_validate(kept["question"]), AskOptions.model_validate(kept["options"])
    except (OSError, ValueError, KeyError) as exc:
        raise ConfigError(f"no run `{run_id}`", hint="see `halo-daemon run list`") from exc


def stored_traces(settings: Config, question: Question) -> tuple[Stored, Callable[[], None]]:
    """
    The traces that a question is about, what rules say of them, and how to let go of them.

    Raises:
        ConfigError: Neither files nor a project are named, or both.
        UnknownProjectError: There is no such project.
    """
    if bool(question.paths) == bool(question.project):
        raise ConfigError(
            "name trace files, or a project", hint="halo-daemon ask traces.jsonl -p …"
        )
    if question.paths:
        return _files(question.paths, max_bytes=settings.analysis.max_files_bytes)
    project = find_project(DataPaths(settings.data.dir), question.project)
    local, queries = reader_of(settings, project.slug), queries_of(settings, project.slug)
    window = Window(question.since_unix_ns, question.until_unix_ns)
    stored = _with_findings(local, queries, window, project.slug)

    def close() -> None:
        local.close()
        queries.close()

    return stored, close


def _files(paths: Sequence[str], *, max_bytes: int) -> tuple[Stored, Callable[[], None]]:
    with ExitStack() as opening:
        files = opening.enter_context(
            open_trace_files(
                [Path(path) for path in paths],
                now_monotonic_s=time.monotonic,
                max_bytes=max_bytes,
            )
        )
        stored = _with_findings(files.reader, files.queries, EVERYTHING, "files")
        return stored, opening.pop_all().close


def print_plan(settings: Config, options: AskOptions, question: Question) -> None:
    """Say what `ask` would send; nothing is sent."""
    config = engine_config(settings, options, new_run_id())
    stored, close = stored_traces(settings, question)
    try:
        report = _report_of(stored.reader, stored.window, "ask")
        explain_settings = ExplainSettings(
            options.model,
            question=question.prompt,
            price=price_of(options.model, prices_of(config)),
            run=settings_of(config),
        )
        plan = dry_run(report, stored.reader, explain_settings, queries=stored.queries)
    finally:
        close()
    for line in dry_run_lines(plan, provider=options.base_url or "the default provider"):
        print(line)


def _with_findings(reader: TraceReader, queries: TraceQueries, window: Window, name: str) -> Stored:
    return Stored(reader, window, queries, _report_of(reader, window, name).findings)


def _report_of(reader: TraceReader, window: Window, name: str) -> Report:
    run = RunInfo("ask", "ask", 0)
    return analyze_window(reader, project=name, window=window, run=run)


def _prices(options: AskOptions) -> dict[str, dict[str, float]]:
    if not options.price:
        return {}
    try:
        input_usd, output_usd = (float(part) for part in options.price.split(","))
    except ValueError:
        raise ConfigError(
            f'"{options.price}" is not a price', hint="write --price 0.25,2.00"
        ) from None
    names = {options.model, options.synthesis_model, options.compaction_model}
    return {name: {"input_usd": input_usd, "output_usd": output_usd} for name in names}
