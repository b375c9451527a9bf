"""``halo-daemon report``: reports of past runs."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.opening import data_dir
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    OutputOption,
)
from halo_daemon.cli.output import (
    Shape,
    has_display,
    print_fields,
    print_note,
    print_rows,
    print_table,
    printable,
    write_output,
)
from halo_daemon.cli.report_forms import Form, form_of, written
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.findings import Report
    from halo_daemon.store.reports import ReportStore

app = noun("Reports.")

_Report = Annotated[str, typer.Argument(metavar="R", help="Id, or its beginning, or `latest`.")]
_Project = Annotated[
    str | None, typer.Option("--project", metavar="NAME", help="The report's project.")
]
LATEST = "latest"


@app.command("list")
def list_reports(
    ctx: typer.Context,
    *,
    project: _Project = None,
    since: Annotated[str, typer.Option("--since", metavar="T", help="Only those made since.")] = "",
    until: Annotated[
        str, typer.Option("--until", metavar="T", help="Only those made before.")
    ] = "",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List reports, the newest first."""
    begin, end = _stamp(since), _stamp(until)
    rows = [
        {"project": name, "report": run}
        for name, store in _stores(ctx, project, config, data)
        for run in store.list()
        if run >= begin and (not end or run < end)
    ]

    def table() -> None:
        print_table(("project", "report"), [[row["project"], row["report"]] for row in rows])
        if not rows:
            print_note("no reports", hint="halo-daemon analyze --since 24h")

    print_rows(rows, Shape(as_json, fields), table, schema="halo.reports/v1", key="reports")


def _stamp(text: str) -> str:
    """The beginning of the ids of reports made at an instant; empty for none."""
    import time
    from datetime import UTC, datetime

    if not text:
        return ""
    unix_ns = parse_instant(text, now_unix_ns=time.time_ns())
    return f"r_{datetime.fromtimestamp(unix_ns // 10**9, UTC):%Y%m%dT%H%M%S}"


@app.command("show")
def show_report(
    ctx: typer.Context,
    report: _Report = LATEST,
    *,
    project: _Project = None,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    web: Annotated[bool, typer.Option("--web", help="Open its page instead.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print a report as a table."""
    if web:
        open_report(ctx, report, project=project, config=config, data=data)
        return
    found = _read(ctx, report, project, config=config, data=data)
    if not fields:
        write_output(written(found, Form.JSON if as_json else Form.TEXT), None)
        return
    document = json.loads(written(found, Form.JSON))
    print_fields(document, Shape(as_json, fields), schema=found.schema_version)


@app.command("export")
def export_report(
    ctx: typer.Context,
    report: _Report = LATEST,
    *,
    output_format: Annotated[
        Form | None, typer.Option("--format", help="How; else as FILE ends, else HTML.")
    ] = None,
    output: OutputOption = None,
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write a report in another form; HTML is one file that can be passed on."""
    form = output_format or form_of(output)
    found = _read(ctx, report, project, config=config, data=data)
    directory = _chosen(ctx, report, project, config=config, data=data)
    write_output(written(found, form, directory=directory), output)


@app.command("share")
def share_report(
    ctx: typer.Context,
    report: _Report = LATEST,
    *,
    output: OutputOption = None,
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write the page of a report, with the traces that it cites, into one file to pass on."""
    directory = _chosen(ctx, report, project, config=config, data=data)
    found = _read(ctx, report, project, config=config, data=data)
    target = output or Path(f"{found.project}-{directory.name}.html")
    write_output(written(found, Form.HTML, directory=directory), target)
    print(target)


@app.command("open")
def open_report(
    ctx: typer.Context,
    report: _Report = LATEST,
    *,
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Open a report's page in a browser, where there is a display; print where it is."""
    page = _chosen(ctx, report, project, config=config, data=data) / "report.html"
    print(page)
    if sys.stdout.isatty() and has_display():
        import webbrowser

        webbrowser.open(page.as_uri())


@app.command("diff")
def diff(
    ctx: typer.Context,
    older: _Report,
    newer: _Report = LATEST,
    *,
    project: _Project = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Compare two reports of a project: new, gone, worse, better."""
    from halo_daemon.analyzer.report_diff import diff_reports, render_diff

    rows = diff_reports(
        _read(ctx, older, project, config=config, data=data),
        _read(ctx, newer, project, config=config, data=data),
    )
    if as_json:
        changes = [row._asdict() for row in rows]
        print(json.dumps({"schema": "halo.report-diff/v1", "changes": changes}))
        return
    print(printable(render_diff(rows)), end="")


@app.command("baseline")
def baseline(
    ctx: typer.Context,
    report: _Report = LATEST,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why these findings are accepted.")],
    output: OutputOption = None,
    project: _Project = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Accept what a report shows: the file that `analyze --baseline` reads, for the repository."""
    from halo_daemon.analyzer.gate import baseline_of

    found = _read(ctx, report, project, config=config, data=data)
    document = baseline_of(found, reason=reason).model_dump_json(indent=2)
    write_output(document.encode() + b"\n", output)


def _stores(
    ctx: typer.Context, project: str | None, config: ConfigOption, data: DataOption
) -> "list[tuple[str, ReportStore]]":
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project, list_projects
    from halo_daemon.store.reports import ReportStore

    root = data_dir(ctx, config, data)
    paths = DataPaths(root)
    projects = [find_project(paths, project)] if project else list_projects(paths)
    return [(stored.slug, ReportStore(root, stored.slug)) for stored in projects]


def _read(
    ctx: typer.Context,
    wanted: str,
    project: str | None,
    *,
    config: ConfigOption,
    data: DataOption,
) -> "Report":
    from halo_daemon.findings import from_json

    path = _chosen(ctx, wanted, project, config=config, data=data) / "report.json"
    try:
        return from_json(path.read_bytes())
    except ValueError as exc:
        raise ConfigError(f"cannot read {path}: not a report") from exc


def _chosen(
    ctx: typer.Context,
    wanted: str,
    project: str | None,
    *,
    config: ConfigOption,
    data: DataOption,
) -> Path:
    """The directory of the one report that is meant."""
    stores = [store for _, store in _stores(ctx, project, config, data)]
    if not any(store.list() for store in stores):
        where = f"project `{project}` has" if project else "there are"
        raise ConfigError(
            f"cannot choose a report: {where} none", hint="halo-daemon analyze --since 24h"
        )
    found = [path for store in stores if (path := _directory(store, wanted)) is not None]
    if len(found) != 1:
        what = "no report" if not found else f"{len(found)} projects have a report"
        raise ConfigError(
            f"cannot choose a report: {what} `{wanted}`",
            hint="halo-daemon report list, then name the report, or add --project",
        )
    return found[0]


def _directory(store: "ReportStore", wanted: str) -> Path | None:
    if wanted == LATEST:
        return store.latest()
    matching = [run for run in store.list() if run.startswith(wanted)]
    return store.run_directory(matching[0]) if len(matching) == 1 else None
