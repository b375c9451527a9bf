"""``halo-daemon project``: what the data directory holds."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import formats
from halo_daemon.cli.opening import data_dir
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption
from halo_daemon.cli.output import print_note, print_table, printable
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.store.projects import StoredProject

app = typer.Typer(help="Projects.", no_args_is_help=True, rich_markup_mode=None)

_Name = Annotated[str, typer.Argument(metavar="PROJECT", help="Slug or name.")]


@app.command("list")
def list_all(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List projects by slug."""
    import time

    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import list_projects

    projects = list_projects(DataPaths(data_dir(ctx, config, data)))
    if as_json:
        rows = [_document(project) for project in projects]
        print(json.dumps({"schema": "halo.projects/v1", "projects": rows}))
        return
    now = time.time_ns()
    print_table(
        ("project", "name", "created"),
        [
            (project.slug, project.name, formats.moment(project.created_unix_ns, now_unix_ns=now))
            for project in projects
        ],
    )
    if not projects:
        print_note("no projects yet", hint="point an exporter at `halo-daemon serve`")


@app.command("show")
def show(
    ctx: typer.Context,
    name: _Name,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show the figures and the services, tools, models and agents of a project."""
    import time

    from halo_daemon.cli.opening import open_reader
    from halo_daemon.store.maintenance import project_stats
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project
    from halo_daemon.store.trace_reader import Window

    root = data_dir(ctx, config, data)
    project = find_project(DataPaths(root), name)
    stats = project_stats(DataPaths(root).project(project.slug), now_unix_ns=time.time_ns())
    with open_reader(root, project.slug) as reader:
        overview = reader.overview(Window(0, 2**63 - 1))
    document = {
        **_document(project),
        **stats._asdict(),
        "error_traces": overview.error_traces,
        "input_tokens": overview.input_tokens,
        "output_tokens": overview.output_tokens,
        "services": list(overview.services),
        "models": list(overview.models),
        "tools": list(overview.tools),
        "agents": list(overview.agents),
    }
    if as_json:
        print(json.dumps({"schema": "halo.project/v1", **document}))
        return
    for key, value in document.items():
        text = ", ".join(value) if isinstance(value, list) else str(value)
        print(printable(f"{key:18} {text}"))


@app.command("delete")
def delete(
    ctx: typer.Context,
    name: _Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete a project with its traces, findings and reports; the daemon must be stopped."""
    import shutil
    import sys

    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project

    paths = DataPaths(data_dir(ctx, config, data))
    project = find_project(paths, name)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(
                f"cannot delete project `{project.slug}` unasked", hint="add --yes to delete it"
            )
        typer.confirm(f"Delete {project.slug} with everything in it?", abort=True)
    with DataLock(paths):
        shutil.rmtree(paths.project(project.slug).directory)
    print_note(f"deleted {project.slug}")


def _document(project: "StoredProject") -> dict[str, object]:
    created = project.created
    return {
        "slug": project.slug,
        "name": project.name,
        "created": created.isoformat() if created else None,
    }
