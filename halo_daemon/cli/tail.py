"""``halo-daemon tail``: spans as they are stored."""

import json
from typing import Annotated

import typer

from halo_daemon.cli import formats
from halo_daemon.cli.opening import ProjectOption, data_dir, project_slug
from halo_daemon.cli.options import ConfigOption, DataOption
from halo_daemon.cli.output import printable


def tail(
    ctx: typer.Context,
    *,
    project: ProjectOption = "",
    errors: Annotated[bool, typer.Option("--errors", help="Only spans with errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the stored lines.")] = False,
    interval_s: Annotated[
        float, typer.Option("--interval", min=0.05, max=60.0, help="Seconds between looks.")
    ] = 0.5,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Leave after so many spans.")
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print spans of one or all projects as they are stored, until Ctrl-C."""
    import time

    from halo_daemon.proto.span import Span
    from halo_daemon.proto.times import format_unix_ns
    from halo_daemon.store.follow import Follower
    from halo_daemon.store.paths import DataPaths

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
            if errors and not has_error:
                continue
            if as_json:
                print(json.dumps({"project": new.slug, **span.fields}), flush=True)
            else:
                parts = (
                    format_unix_ns(span.start_unix_ns)[:23],
                    new.slug,
                    "error" if has_error else "ok",
                    span.observation_kind,
                    span.tool_name or span.name,
                    formats.duration(span.duration_ns / 1e6),
                    span.trace_id,
                )
                print(printable("\t".join(parts)), flush=True)
            printed += 1
            if printed == count:
                return
        time.sleep(interval_s)
