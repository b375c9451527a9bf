"""``halo-daemon export``: traces for other tools."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from halo_daemon.cli.exchange_options import (
    DirectoryOption,
    ProvenOutputOption,
    TraceOption,
    UnmaskedOption,
)
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
    OutputOption,
    SinceOption,
    UntilOption,
)
from halo_daemon.cli.output import is_device, print_note, write_file, write_output, write_stdout
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.proto.trace import Trace
    from halo_daemon.store.trace_reader import Window

export_app = noun("Write traces for other tools.")


@export_app.command("halo")
def export_halo(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    trace: TraceOption = "",
    unmasked: UnmaskedOption = False,
    output: ProvenOutputOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """HALO JSONL: one file, whole traces, each span once."""
    from halo_daemon.exchange.exports import halo_lines

    chosen = _choose(data_dir(ctx, config, data), project, trace, since=since, until=until)
    _write_lines(lambda traces: halo_lines(traces, unmasked=unmasked), chosen, "halo", output)


@export_app.command("otlp-json")
def export_otlp_json(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    trace: TraceOption = "",
    unmasked: UnmaskedOption = False,
    output: ProvenOutputOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """OTLP/JSON: one export request a line; importing it gives the same spans."""
    from halo_daemon.exchange.exports import otlp_json_lines

    chosen = _choose(data_dir(ctx, config, data), project, trace, since=since, until=until)
    _write_lines(
        lambda traces: otlp_json_lines(traces, unmasked=unmasked), chosen, "otlp-json", output
    )


@export_app.command("parquet")
def export_parquet(
    ctx: typer.Context,
    *,
    output: DirectoryOption,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    project: ProjectOption = "",
    trace: TraceOption = "",
    unmasked: UnmaskedOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Parquet: one row a span, by project and day; needs the extra `parquet`."""
    from halo_daemon.exchange.export_parquet import require_pyarrow, write_parquet

    require_pyarrow()
    chosen = _choose(data_dir(ctx, config, data), project, trace, since=since, until=until)
    counted = _Counted(chosen)
    write_parquet(counted, chosen.slug, output, unmasked=unmasked)
    write_output(counted.provenance("parquet"), output / "_provenance.json")
    print_note(f"{counted.traces} traces, {counted.spans} spans in {output}")


@export_app.command("chrome-trace")
def export_chrome_trace(
    ctx: typer.Context,
    trace_id: Annotated[str, typer.Argument(metavar="TRACE", help="Id, or its beginning.")],
    *,
    project: ProjectOption = "",
    raw: Annotated[bool, typer.Option("--raw", help="With inputs and outputs.")] = False,
    output: OutputOption = None,
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
    if trace.cut is not None:
        # One document: it cannot go on, and a viewer could not open it.
        print_note(f"the last {trace.cut.spans} spans do not fit and are left out")
    write_output(chrome_trace(trace, with_values=raw), output)


class _Chosen(NamedTuple):
    """What is to be exported."""

    root: Path
    slug: str
    trace_id: str
    """``""`` for all of the window."""
    window: "Window"


def _choose(root: Path, project: str, trace: str, *, since: str, until: str) -> _Chosen:
    slug = project_slug(root, project)
    trace_id = whole_trace_id(root, slug, trace) if trace else ""
    return _Chosen(root, slug, trace_id, window_of(since, until))


class _Counted:
    """The traces that were chosen, counted as they go by."""

    def __init__(self, chosen: _Chosen) -> None:
        self._chosen = chosen
        self.traces = 0
        self.spans = 0

    def __iter__(self) -> "Iterator[Trace]":
        from halo_daemon.store.trace_reader import parts_of

        with open_reader(self._chosen.root, self._chosen.slug) as reader:
            if self._chosen.trace_id:
                found = reader.load_trace(self._chosen.trace_id)
                traces: Iterable[Trace] = [found] if found is not None else []
            else:
                traces = reader.iter_traces(self._chosen.window)
            for trace in traces:
                self.traces += 1
                for part in parts_of(reader.load_trace, trace):
                    self.spans += len(part.spans)
                    yield part

    def provenance(self, form: str) -> bytes:
        """Where an export comes from, as a document."""
        import json

        from halo_daemon import __version__
        from halo_daemon.proto.times import format_unix_ns

        window = self._chosen.window
        document = {
            "schema": "halo.export/v1",
            "generator": f"halo-daemon {__version__}",
            "format": form,
            "project": self._chosen.slug,
            "trace": self._chosen.trace_id or None,
            "received_from": None if self._chosen.trace_id else format_unix_ns(window.from_unix_ns),
            "received_to": None if self._chosen.trace_id else format_unix_ns(window.to_unix_ns),
            "traces": self.traces,
            "spans": self.spans,
        }
        return json.dumps(document, indent=2).encode() + b"\n"


def _write_lines(
    lines_of: "Callable[[Iterable[Trace]], Iterator[bytes]]",
    chosen: _Chosen,
    form: str,
    output: Path | None,
) -> None:
    """Write a stream to *output*, whole or not at all, or to stdout."""
    counted = _Counted(chosen)
    if output is None:
        write_stdout(lines_of(counted))
    else:
        if output.is_dir():
            raise ConfigError(f"cannot write {output}: it is a directory", hint="name a file")
        write_file(lines_of(counted), output)
        # The lines are for programs that know nothing else: it stands beside them.
        if not is_device(output):
            file = output.resolve()
            write_file([counted.provenance(form)], file.with_name(f"{file.name}.provenance.json"))
    if not counted.spans:
        print_note("no traces in the window", hint="widen it with --since")
