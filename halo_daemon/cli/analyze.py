"""``halo-daemon analyze``: one run now."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    ProjectsOption,
    SinceOption,
    UntilOption,
    load_config,
)
from halo_daemon.cli.output import print_note, printable, write_output
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.analysis import FinishedRun
    from halo_daemon.config import Config
    from halo_daemon.findings import Report
    from halo_daemon.store.trace_reader import Window


class Format(StrEnum):
    """How reports are printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "md"


class By(StrEnum):
    """Which time of a span puts its trace into the window."""

    RECEIVED = "received"
    START = "start"


class Engine(StrEnum):
    """What makes findings."""

    BUILTIN = "builtin"


def analyze(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    by: Annotated[By, typer.Option("--by", help="Time that counts: of receipt or of start.")] = (
        By.RECEIVED
    ),
    project: ProjectsOption = None,
    engine: Annotated[Engine, typer.Option("--engine", help="What makes findings.")] = (
        Engine.BUILTIN
    ),
    output_format: Annotated[Format, typer.Option("--format", help="What is printed.")] = (
        Format.TEXT
    ),
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Print to FILE.")
    ] = None,
    no_notify: Annotated[bool, typer.Option("--no-notify", help="Tell no target.")] = False,
    schedule: Annotated[
        str, typer.Option("--schedule", metavar="ENTRY", help="Run on behalf of a schedule entry.")
    ] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Look for failure modes in the traces of a window and write the report.

    Works with and without a running daemon.
    """
    import time

    settings = load_config(ctx, config=config, data=data)
    window = _window(since, until, by, now_unix_ns=time.time_ns())

    from halo_daemon import log
    from halo_daemon.analysis import AnalysisRequest, analyze as run_analysis

    log.configure(level="info" if schedule else "warning", log_format=settings.telemetry.log.format)
    request = AnalysisRequest(
        window=window,
        projects=tuple(project or ()),
        engine=engine.value,
        trigger="schedule" if schedule else "manual",
        schedule=schedule,
        notify=not no_notify,
    )
    runs = run_analysis(settings, request, now_unix_ns=time.time_ns)
    if runs and request.notify and settings.notify.routes:
        _deliver(settings)
    if not runs:
        print_note(
            f"no spans in {settings.data.dir} {by.value} between {since} and {until}",
            hint="point an exporter at `halo-daemon serve`, or widen --since",
        )
    write_output(_rendered([run.report for run in runs], output_format, runs), output)


def _deliver(settings: "Config") -> None:
    """Try what the outbox holds once; a running daemon goes on with what was not accepted."""
    import asyncio

    from halo_daemon.deliveries import courier_of

    asyncio.run(courier_of(settings).deliver_due())


def _window(since: str, until: str, by: By, *, now_unix_ns: int) -> "Window":
    from halo_daemon.store.trace_reader import Window, WindowBy

    window = Window(
        from_unix_ns=parse_instant(since, now_unix_ns=now_unix_ns),
        to_unix_ns=parse_instant(until, now_unix_ns=now_unix_ns),
        by=WindowBy.RECEIVED if by is By.RECEIVED else WindowBy.START,
    )
    if window.from_unix_ns >= window.to_unix_ns:
        raise ConfigError(
            f"the window is empty: --since {since} is not before --until {until}",
            hint="swap them, or leave --until out",
        )
    return window


def _rendered(
    reports: "Sequence[Report]", output_format: Format, runs: "Sequence[FinishedRun]"
) -> bytes:
    """Render the reports: one JSON object for one project, a list of them otherwise."""
    from halo_daemon.analyzer.render_markdown import render_markdown
    from halo_daemon.analyzer.render_text import render_text
    from halo_daemon.findings import to_json

    if output_format is Format.JSON:
        documents = [to_json(report).strip() for report in reports]
        return (documents[0] if len(documents) == 1 else b"[" + b",".join(documents) + b"]") + b"\n"
    if output_format is Format.MARKDOWN:
        return "\n".join(render_markdown(report) for report in reports).encode()
    texts = [
        f"{render_text(run.report)}\nreport: {run.directory / 'report.html'}\n" for run in runs
    ]
    return printable("\n".join(texts)).encode()
