"""``halo-daemon export``: traces for other tools."""

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
    SinceOption,
    UntilOption,
)
from halo_daemon.cli.output import write_output
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.proto.trace import Trace
    from halo_daemon.store.reader import LocalTraceReader

export_app = typer.Typer(
    help="Write traces for other tools.", no_args_is_help=True, rich_markup_mode=None
)

_OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to FILE.")
]
_TraceOption = Annotated[
    str, typer.Option("--trace", metavar="ID", help="Only this trace; id or its beginning.")
]


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
