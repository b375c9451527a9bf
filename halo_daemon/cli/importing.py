"""``halo-daemon import``: traces from other tools' files."""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.exchange_options import (
    BeganSinceOption,
    BeganUntilOption,
    DryRunOption,
    EndpointOption,
    FilesArgument,
    FollowOption,
    ResumeOption,
    ServerProjectOption,
    SourceArgument,
    TargetOption,
)
from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.opening import settings_of
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption
from halo_daemon.cli.output import print_json, print_note, printable
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.exchange.import_batches import Accept, ImportSummary, StartWindow
    from halo_daemon.exchange.import_state import ImportState
    from halo_daemon.exchange.imports import FileProgress
    from halo_daemon.proto.batch import SpanBatch
    from halo_daemon.proto.json_value import JsonObject


_WORKER = 9_000
"""Names the shards of imports, which may run beside a daemon and its workers."""

_FOLLOW_S = 1.0
_NAME_CHARS = 40
_WORDS_OF_OTHER = 4
"""Of "is halo, not otlp"."""

_DEFAULT_PLACES = {
    "claude-code": ("CLAUDE_CONFIG_DIR", "~/.claude", "projects"),
    "codex": ("CODEX_HOME", "~/.codex", "sessions"),
}


class ImportJob(NamedTuple):
    """What an import was asked for."""

    settings: "Config"
    source: str
    project: str
    window: "StartWindow"
    dry_run: bool
    resume: bool


def import_traces(
    ctx: typer.Context,
    source: SourceArgument,
    files: FilesArgument = None,
    *,
    project: TargetOption = "",
    since: BeganSinceOption = "",
    until: BeganUntilOption = "",
    dry_run: DryRunOption = False,
    resume: ResumeOption = False,
    follow: FollowOption = False,
    endpoint: EndpointOption = "",
    server_project: ServerProjectOption = "",
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Bring in traces of other tools, with or without a running daemon; twice changes nothing."""
    import asyncio

    from halo_daemon.exchange.imports import require_source

    require_source(source)
    settings = settings_of(ctx, config, data, may_be_new=True)
    paths = files or ([] if endpoint else _default_places(source))
    if follow and (dry_run or endpoint):
        raise ConfigError(
            "--follow is for files, and stores: it does not go with --dry-run or --endpoint",
            hint="leave one out",
        )
    job = ImportJob(
        settings=settings,
        source=source,
        project=project,
        window=_window(since, until),
        dry_run=dry_run,
        resume=resume,
    )
    if endpoint and not paths:
        summary = asyncio.run(pull_traces(job, endpoint, server_project))
    elif paths and not endpoint:
        summary = asyncio.run(import_files(job, paths, follow=follow))
    else:
        raise ConfigError(
            f"cannot import {source}: {'files and' if paths else 'no file and no'} --endpoint",
            hint="name files, - for stdin, or one server",
        )
    if as_json:
        print_json("halo.import/v1", {**_document(summary), "dry_run": dry_run})
    else:
        _print_summary(summary, dry_run=dry_run)
    if follow:
        raise typer.Exit(exit_codes.INTERRUPTED)
    if summary.has_failed:
        raise typer.Exit(exit_codes.FAILED)


def _window(since: str, until: str) -> "StartWindow":
    import time

    from halo_daemon.exchange.import_batches import EVER, StartWindow

    now = time.time_ns()
    begin = parse_instant(since, now_unix_ns=now) if since else EVER.from_unix_ns
    end = parse_instant(until, now_unix_ns=now) if until else EVER.to_unix_ns
    if begin >= end:
        raise ConfigError(f"--since {since} is not before --until {until}", hint="swap them")
    return StartWindow(begin, end)


def _default_places(source: str) -> list[Path]:
    """Where a coding agent keeps its sessions; empty for other sources."""
    import os

    if source not in _DEFAULT_PLACES:
        return []
    variable, home, below = _DEFAULT_PLACES[source]
    return [Path(os.environ.get(variable) or home).expanduser() / below]


class Storing(NamedTuple):
    """Where an import's batches and places go."""

    accept: "Accept"
    state: "ImportState | None"


@asynccontextmanager
async def storing(job: ImportJob) -> "AsyncIterator[Storing]":
    """The data directory, open for an import; nowhere in a dry run."""
    import time

    from halo_daemon.exchange.import_state import ImportState
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.redacting_sink import RedactingSink, redaction_of
    from halo_daemon.store.writer import SpanWriter, WriterLimits

    if job.dry_run:
        yield Storing(_store_nothing, None)
        return
    root = job.settings.data.dir
    root.mkdir(parents=True, exist_ok=True)
    writer = SpanWriter(
        root,
        worker=_WORKER,
        now_unix_ns=time.time_ns,
        now_monotonic_s=time.monotonic,
        limits=WriterLimits(min_free_bytes=job.settings.storage.min_free_bytes),
    )
    redaction = redaction_of(job.settings.redaction, DataPaths(root))
    sink = RedactingSink(writer.accept, redaction) if redaction.is_needed else writer
    try:
        yield Storing(sink.accept, ImportState(DataPaths(root).imports))
    finally:
        await writer.aclose()


async def import_files(job: ImportJob, paths: list[Path], *, follow: bool) -> "ImportSummary":
    """Import the files below *paths*; with *follow* until Ctrl-C."""
    import asyncio

    from halo_daemon.exchange.imports import Import, files_below

    files = files_below(paths)
    async with storing(job) as (accept, state):
        with _file_progress(files) as tell:
            run = Import(
                source=job.source,
                accept=accept,
                project=job.project,
                window=job.window,
                state=state,
                resume=job.resume,
                tell=tell,
            )
            if not follow:
                return await run.run(files)
            # Ctrl-C cancels it: what was stored until then is the result.
            with contextlib.suppress(asyncio.CancelledError):
                await run.follow(files, lambda: asyncio.sleep(_FOLLOW_S))
            return run.summary


async def pull_traces(job: ImportJob, endpoint: str, server_project: str) -> "ImportSummary":
    """Import what a server holds."""
    import os
    import time

    from halo_daemon.exchange.pull_client import PullClient
    from halo_daemon.exchange.pull_servers import PULLERS, credentials
    from halo_daemon.exchange.pulls import PullImport

    if job.source not in PULLERS:
        raise ConfigError(
            f"cannot pull {job.source}: only files of it can be imported",
            hint=f"--endpoint goes with {', '.join(PULLERS)}",
        )
    client = PullClient(
        endpoint,
        now_unix_ns=time.time_ns,
        tell=lambda why, wait_s: print_note(f"waiting {wait_s:.0f} s: {why}"),
        headers=credentials(job.source, os.environ),
    )
    try:
        async with storing(job) as (accept, state):
            with _page_progress() as tell:
                run = PullImport(
                    puller=PULLERS[job.source],
                    client=client,
                    accept=accept,
                    now_unix_ns=time.time_ns(),
                    server_project=server_project,
                    project=job.project,
                    window=job.window,
                    state=state,
                    resume=job.resume,
                    tell=tell,
                )
                return await run.run()
    finally:
        await client.aclose()


@contextmanager
def _page_progress() -> "Iterator[Callable[[str, int, int], None]]":
    """One updating line on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _name, _pages, _spans: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as line:
        task = line.add_task("asking the server", total=None)

        def tell(name: str, pages: int, spans: int) -> None:
            text = f"{printable(name)[:_NAME_CHARS]}  page {pages}  {spans:,} spans"
            line.update(task, description=text)

        yield tell


async def _store_nothing(_batches: "Sequence[SpanBatch]") -> None:
    """Take the spans of a dry run."""


@contextmanager
def _file_progress(files: list[Path]) -> "Iterator[Callable[[FileProgress], None]]":
    """A bar on a terminal, over the bytes of all files; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    sizes = {file: file.stat().st_size if file.is_file() else 0 for file in files}
    done: dict[Path, int] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[spans]:,} spans"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sum(sizes.values()) or None, spans=0)

        def tell(progress: "FileProgress") -> None:
            # What a compressed file unpacks to is not known: it never counts for more than it is.
            most = sizes.get(progress.file, 0)
            done[progress.file] = most if progress.is_finished else min(progress.read_bytes, most)
            bar.update(
                task,
                completed=sum(done.values()),
                spans=progress.spans,
                description=printable(progress.file.name)[:_NAME_CHARS],
            )

        yield tell


def _document(summary: "ImportSummary") -> dict[str, object]:
    return {
        "files": summary.files,
        "unchanged_files": summary.unchanged_files,
        "continued_files": summary.continued_files,
        "restarted_files": summary.restarted_files,
        "accepted_spans": summary.accepted_spans,
        "rejected_spans": summary.rejected_spans,
        "outside_spans": summary.outside_spans,
        "projects": dict(sorted(summary.projects.items())),
        "skipped": dict(summary.skipped),
        "examples": summary.examples,
        "samples": summary.samples,
    }


def _print_summary(summary: "ImportSummary", *, dry_run: bool) -> None:
    verb = "would be stored" if dry_run else "stored"
    for slug, spans in sorted(summary.projects.items()):
        print(f"{slug}\t{spans} spans {verb}")
    for sample in summary.samples if dry_run else ():
        print_note(f"such as {_sample(sample)}")
    for reason, count in summary.skipped.most_common():
        print_note(f"skipped {count}: {reason} (first: {summary.examples.get(reason, '')})")
    if summary.outside_spans:
        print_note(f"{summary.outside_spans} spans began outside --since and --until")
    if summary.continued_files:
        print_note(f"{summary.continued_files} files were read from where they were stored to")
    if summary.restarted_files:
        print_note(
            f"{summary.restarted_files} files that were begun earlier were read from their start:"
            " they changed, or are one document; what was stored before counts once"
        )
    if summary.unchanged_files:
        print_note(f"{summary.unchanged_files} files are as they were: already imported")
    elif not summary.accepted_spans:
        print_note(f"no spans in {summary.files} files", hint=_other_source(summary))


def _sample(fields: "JsonObject") -> str:
    from halo_daemon.proto.span import Span

    span = Span.from_fields(fields)
    found = (span.observation_kind, span.name, fields["start_time"], span.trace_id, span.span_id)
    return "  ".join(str(one) for one in found)


def _other_source(summary: "ImportSummary") -> str:
    """What to import the files as, when they are of another source."""
    sources = {
        words[1].strip(",")
        for reason in summary.skipped
        if len(words := reason.split()) == _WORDS_OF_OTHER and words[0] == "is"
    }
    return f"halo-daemon import {sources.pop()} …" if len(sources) == 1 else ""
