"""``halo-daemon tail``: spans as they are stored."""

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import formats
from halo_daemon.cli.opening import data_dir, project_slug
from halo_daemon.cli.options import ConfigOption, DataOption
from halo_daemon.cli.output import printable

if TYPE_CHECKING:
    from halo_daemon.proto.span import Span

_NEEDS_QUOTES = re.compile(r"[\s\"=]")


class TailFormat(StrEnum):
    """How a span is printed."""

    PRETTY = "pretty"
    JSON = "json"
    LOGFMT = "logfmt"


def tail(
    ctx: typer.Context,
    *,
    project: Annotated[
        str, typer.Option("--project", metavar="NAME", help="Only of this one; of all without it.")
    ] = "",
    where: Annotated[
        str,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Only spans like status=error and (tool~search or duration>2s).",
        ),
    ] = "",
    errors: Annotated[bool, typer.Option("--errors", help="Only spans with errors.")] = False,
    output_format: Annotated[
        TailFormat, typer.Option("--format", help="One span a line in each.")
    ] = TailFormat.PRETTY,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
    interval_s: Annotated[
        float,
        typer.Option(
            "--interval", metavar="SECONDS", min=0.05, max=60.0, help="Seconds between looks."
        ),
    ] = 0.5,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="Leave after so many spans.")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print spans of one or all projects as they are stored, until Ctrl-C."""
    import time

    from halo_daemon.cli.where import parse_where
    from halo_daemon.proto.span import Span
    from halo_daemon.store.follow import Follower
    from halo_daemon.store.paths import DataPaths

    is_wanted = parse_where(where) if where else lambda _: True
    shape = TailFormat.JSON if as_json else output_format
    root = data_dir(ctx, config, data)
    slug = project_slug(root, project) if project else ""
    follower = Follower(DataPaths(root), project=slug, now_unix_ns=time.time_ns())
    printed = 0
    while True:
        for new in follower.new_lines(time.time_ns()):
            try:
                span = Span.from_line(new.line)
            except ValueError:
                continue
            has_error = span.has_error_status or span.has_derived_error
            if (errors and not has_error) or not is_wanted(span):
                continue
            print(_line(new.slug, span, shape), flush=True)
            printed += 1
            if printed == count:
                return
        time.sleep(interval_s)


def _line(slug: str, span: "Span", shape: TailFormat) -> str:
    from halo_daemon.proto.times import format_unix_ns

    if shape is TailFormat.JSON:
        return json.dumps({"project": slug, **span.fields})
    status = "error" if span.has_error_status or span.has_derived_error else "ok"
    what = span.tool_name or span.name
    started = format_unix_ns(span.start_unix_ns)
    if shape is TailFormat.PRETTY:
        length = formats.duration(span.duration_ns / 1e6) if span.is_complete else "open"
        cells = (started[:23], slug, status, span.observation_kind, what, length, span.trace_id)
        return printable("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in cells))
    pairs = {
        "time": started,
        "project": slug,
        "status": status,
        "kind": span.observation_kind,
        "name": span.name,
        "tool": span.tool_name,
        "model": span.model,
        "duration_ms": f"{span.duration_ns / 1e6:.3f}" if span.is_complete else "",
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "message": span.status_message,
    }
    return " ".join(f"{key}={_logfmt(value)}" for key, value in pairs.items() if value)


def _logfmt(value: str) -> str:
    """A value of logfmt: quoted where it must be, on one line."""
    shown = printable(value)
    return json.dumps(shown, ensure_ascii=False) if _NEEDS_QUOTES.search(shown) else shown
