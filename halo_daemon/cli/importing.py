"""``halo-daemon import``: traces from other tools' files."""

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.opening import settings_of
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption
from halo_daemon.cli.output import print_json, print_note, printable
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.exchange.import_batches import ImportSummary, StartWindow
    from halo_daemon.exchange.imports import FileProgress, Import
    from halo_daemon.proto.batch import SpanBatch
    from halo_daemon.proto.json_value import JsonObject

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

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
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="otlp, halo, langfuse, phoenix, langsmith, mlflow, openai-agents, claude-code,"
            " codex, atif, or auto to go by each file's content.",
        ),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and directories; - for stdin. Coding agents' own by default."),
    ] = None,
    *,
    project: Annotated[
        str,
        typer.Option("--project", metavar="NAME", help="Where all spans go; else by their source."),
    ] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Only spans that began since: 7d, a date, …")
    ] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="T", help="Only spans that began before.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read, count, show three spans; store nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier import stopped.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on reading what is appended, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Bring in traces from files, with or without a running daemon; twice changes nothing."""
    import asyncio

    settings = settings_of(ctx, config, data)
    paths = files or _default_places(source)
    if not paths:
        raise ConfigError(f"cannot import {source}: no file was named", hint="name files, or -")
    if follow and dry_run:
        raise ConfigError("--follow does not go with --dry-run", hint="leave one out")
    job = ImportJob(
        settings=settings,
        source=source,
        project=project,
        window=_window(since, until),
        dry_run=dry_run,
        resume=resume,
    )
    summary = asyncio.run(import_files(job, paths, follow=follow))
    if as_json:
        print_json("halo.import/v1", {**_document(summary), "dry_run": dry_run})
    else:
        _print_summary(summary, dry_run=dry_run)
    if follow:
        raise typer.Exit(EXIT_INTERRUPTED)
    if summary.has_failed:
        raise typer.Exit(EXIT_FAILED)


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


@asynccontextmanager
async def importing(job: ImportJob) -> "AsyncIterator[Import]":
    """The import that *job* asks for, storing unless it is a dry run."""
    import time

    from halo_daemon.exchange.import_state import ImportState
    from halo_daemon.exchange.imports import Import
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.writer import SpanWriter, WriterLimits

    if job.dry_run:
        yield Import(
            source=job.source, accept=_store_nothing, project=job.project, window=job.window
        )
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
    try:
        yield Import(
            source=job.source,
            accept=writer.accept,
            project=job.project,
            window=job.window,
            state=ImportState(DataPaths(root).imports),
            resume=job.resume,
        )
    finally:
        await writer.aclose()


async def import_files(job: ImportJob, paths: list[Path], *, follow: bool) -> "ImportSummary":
    """Import the files below *paths*; with *follow* until Ctrl-C."""
    import asyncio

    from halo_daemon.exchange.imports import files_below

    files = files_below(paths)
    async with importing(job) as run:
        with _progress(files) as run.tell:
            if not follow:
                return await run.run(files)
            # Ctrl-C cancels it: what was stored until then is the result.
            with contextlib.suppress(asyncio.CancelledError):
                await run.follow(files, lambda: asyncio.sleep(_FOLLOW_S))
        return run.summary


async def _store_nothing(_batches: "Sequence[SpanBatch]") -> None:
    """Take the spans of a dry run."""


@contextmanager
def _progress(files: list[Path]) -> "Iterator[Callable[[FileProgress], None]]":
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
