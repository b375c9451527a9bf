"""``halo-daemon import`` and ``export``: traces from and for other tools."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.opening import (
    ProjectOption,
    data_dir,
    open_reader,
    project_slug,
    whole_trace_id,
    window_of,
)
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    JsonOption,
    SinceOption,
    UntilOption,
)
from halo_daemon.cli.output import print_note, printable, write_output
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.exchange.imports import FileProgress, ImportSummary
    from halo_daemon.proto.trace import Trace
    from halo_daemon.store.reader import LocalTraceReader

export_app = typer.Typer(
    help="Write traces for other tools.", no_args_is_help=True, rich_markup_mode=None
)

_WORKER = 9_000
"""Names the shards of imports, which may run beside a daemon and its workers."""

_DEFAULT_PLACES = {
    "claude-code": Path("~/.claude/projects"),
    "codex": Path("~/.codex/sessions"),
}
_OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE.")
]
_TraceOption = Annotated[
    str, typer.Option("--trace", metavar="ID", help="Only this trace; id or its beginning.")
]


def import_traces(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="otlp, halo, phoenix, langfuse, openai-agents, claude-code, codex or atif."
        ),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and directories; - for stdin. Coding agents' own by default."),
    ] = None,
    *,
    project: ProjectOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and count only.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an earlier import of a file stopped.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Bring in traces from files, with or without a running daemon; twice changes nothing."""
    import asyncio
    import json

    root = data_dir(ctx, config, data)
    default = _DEFAULT_PLACES.get(source)
    paths = files or ([default.expanduser()] if default else [])
    if not paths:
        raise ConfigError(f"cannot import {source}: no file was named", hint="name files, or -")
    root.mkdir(parents=True, exist_ok=True)
    summary = asyncio.run(
        _import(root, source, paths, project=project, dry_run=dry_run, resume=resume)
    )
    document = {
        "schema": "halo.import/v1",
        "files": summary.files,
        "accepted_spans": summary.accepted_spans,
        "rejected_spans": summary.rejected_spans,
        "projects": dict(summary.projects),
        "skipped": dict(summary.skipped),
        "dry_run": dry_run,
    }
    if as_json:
        print(json.dumps(document))
        return
    _print_summary(summary, dry_run=dry_run)


@export_app.command("halo")
def export_halo(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    trace: _TraceOption = "",
    output: _OutputOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """HALO JSONL: one file, whole traces, each span once."""
    from halo_daemon.exchange.exports import halo_lines

    root = data_dir(ctx, config, data)
    slug = project_slug(root, project)
    with open_reader(root, slug) as reader:
        _write(halo_lines(_chosen(reader, root, slug, trace, since, until)), output)


@export_app.command("otlp-json")
def export_otlp_json(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    trace: _TraceOption = "",
    output: _OutputOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """OTLP/JSON: one export request a line; importing it gives the same spans."""
    from halo_daemon.exchange.exports import otlp_json_lines

    root = data_dir(ctx, config, data)
    slug = project_slug(root, project)
    with open_reader(root, slug) as reader:
        _write(otlp_json_lines(_chosen(reader, root, slug, trace, since, until)), output)


@export_app.command("chrome-trace")
def export_chrome_trace(
    ctx: typer.Context,
    trace_id: Annotated[str, typer.Argument(metavar="TRACE", help="Id, or its beginning.")],
    *,
    project: ProjectOption = "",
    raw: Annotated[bool, typer.Option("--raw", help="With inputs and outputs.")] = False,
    output: _OutputOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """One trace for chrome://tracing, Perfetto or speedscope."""
    from halo_daemon.exchange.exports import chrome_trace

    root = data_dir(ctx, config, data)
    slug = project_slug(root, project)
    with open_reader(root, slug) as reader:
        trace = reader.load_trace(whole_trace_id(root, slug, trace_id))
    assert trace is not None, "its id was just found"
    write_output(chrome_trace(trace, with_values=raw), output)


async def _import(
    root: Path, source: str, paths: list[Path], *, project: str, dry_run: bool, resume: bool
) -> "ImportSummary":
    import time
    from collections.abc import Sequence

    from halo_daemon.exchange.imports import Import, ImportState, files_below
    from halo_daemon.proto.batch import SpanBatch
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.writer import SpanWriter

    async def accept_nothing(_batches: Sequence[SpanBatch]) -> None:
        """Store nothing."""

    files = files_below(paths)
    if dry_run:
        return await Import(source=source, accept=accept_nothing, project=project).run(files)
    writer = SpanWriter(
        root, worker=_WORKER, now_unix_ns=time.time_ns, now_monotonic_s=time.monotonic
    )
    try:
        return await Import(
            source=source,
            accept=writer.accept,
            project=project,
            state=ImportState(DataPaths(root).imports),
            resume=resume,
            tell=_print_progress if sys.stderr.isatty() else lambda _: None,
        ).run(files)
    finally:
        await writer.aclose()
        if sys.stderr.isatty():
            print(file=sys.stderr)


def _print_progress(progress: "FileProgress") -> None:
    name = printable(progress.file.name)
    print(
        f"\r\033[K{name}: {progress.records} records, {progress.spans} spans",
        end="",
        file=sys.stderr,
        flush=True,
    )


def _print_summary(summary: "ImportSummary", *, dry_run: bool) -> None:
    verb = "would be stored" if dry_run else "stored"
    for slug, spans in sorted(summary.projects.items()):
        print(f"{slug}\t{spans} spans {verb}")
    for reason, count in summary.skipped.most_common():
        first = summary.examples.get(reason, "")
        print_note(f"skipped {count}: {reason} (first: {first})")
    if not summary.accepted_spans:
        print_note(f"no spans in {summary.files} files")


def _chosen(reader: "LocalTraceReader", root: Path, slug: str, *which: str) -> "Iterable[Trace]":
    trace_id, since, until = which
    if not trace_id:
        return reader.iter_traces(window_of(since, until))
    trace = reader.load_trace(whole_trace_id(root, slug, trace_id))
    return [trace] if trace is not None else []


def _write(lines: Iterable[bytes], output: Path | None) -> None:
    """Write a stream to *output*, whole or not at all, or to stdout."""
    if output is None:
        for line in lines:
            sys.stdout.buffer.write(line)
        return
    temporary = output.with_name(f".{output.name}.partial")
    try:
        with temporary.open("wb") as file:
            file.writelines(lines)
        temporary.replace(output)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {output}: {exc.strerror}") from exc
