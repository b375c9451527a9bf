"""
The command line: parse, call, print, exit status.

Modules of this package import only what `--help` needs at the top; what a
command works with is imported when it is called, so that help stays fast.
"""

import sys
from typing import Annotated

import typer

from halo_daemon.cli import (
    about,
    analyze,
    ask,
    canary,
    config as config_command,
    demo,
    doctor,
    exporting,
    finding,
    importing,
    init,
    keys,
    mcp,
    notify,
    notify_log,
    project,
    report,
    reproject,
    run,
    schedule,
    send,
    serve,
    status,
    store,
    tail,
    tidy,
    trace,
    trace_lint,
)
from halo_daemon.cli.border import Commands, border
from halo_daemon.cli.options import ConfigOption, DataOption, GlobalOptions
from halo_daemon.cli.terminal import (
    ColorWhen,
    Wordiness,
    hoist_global_options,
    make_streams_safe,
    use_color,
    use_utc,
    use_wordiness,
)
from halo_daemon.memory import collect_seldom

app = typer.Typer(
    name="halo-daemon",
    cls=Commands,
    help="OTLP receiver and failure analyzer for LLM agents.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, requested: bool) -> None:
    if requested:
        about.version()
        raise typer.Exit


@app.callback()
def _global_options(
    ctx: typer.Context,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
    color: Annotated[
        ColorWhen, typer.Option("--color", help="When to colour; here or after the verb.")
    ] = ColorWhen.AUTO,
    utc: Annotated[
        bool, typer.Option("--utc", help="Show and read times in UTC; here or after the verb.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Data and errors only; here or after the verb.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("-v", "--verbose", help="Say more on stderr; here or after the verb."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Never ask; here or after the verb.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda value: _print_version(requested=value),
            is_eager=True,
            help="Print the version and leave.",
        ),
    ] = False,
) -> None:
    use_color(color)
    if utc:
        use_utc()
    if quiet or verbose:
        use_wordiness(Wordiness.VERBOSE if verbose else Wordiness.QUIET)
    ctx.obj = GlobalOptions(config=config, data=data, yes=yes)


app.command("init")(init.init)
app.command("serve")(serve.serve)
app.command("send")(send.send)
app.command("analyze")(analyze.analyze)
app.command("ask")(ask.ask)
app.command("demo")(demo.demo)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("canary")(canary.canary)
app.command("tail")(tail.tail)
app.command("reproject")(reproject.reproject)
app.command("import")(importing.import_traces)
app.add_typer(exporting.export_app, name="export")
app.add_typer(project.app, name="project")
app.add_typer(trace.app, name="trace")
app.add_typer(finding.app, name="finding")
app.add_typer(report.app, name="report")
app.add_typer(run.app, name="run")
app.add_typer(schedule.app, name="schedule")
app.add_typer(notify.app, name="notify")
app.add_typer(store.app, name="store")
app.add_typer(config_command.app, name="config")
app.command("mcp")(mcp.mcp)
app.command("completion")(about.completion)
app.command("version")(about.version)
project.app.add_typer(keys.app, name="keys")
notify.app.command("log")(notify_log.show_log)
notify.app.command("redeliver")(notify_log.redeliver)
store.app.command("tidy")(tidy.tidy)
trace.app.command("lint")(trace_lint.lint_traces)


def main() -> None:
    """
    Run the command line.

    Exits 0 when done, 1 when failed, 2 when the usage or the configuration is
    wrong, 130 when interrupted; `analyze` has further codes.
    """
    make_streams_safe()
    collect_seldom()
    arguments = hoist_global_options(sys.argv[1:])
    with border(as_json="--json" in arguments):
        app(arguments, prog_name="halo-daemon")
