"""``halo-daemon project``: what the data directory holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import formats
from halo_daemon.cli.opening import data_dir
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    UntilOption,
    YesOption,
    confirm,
)
from halo_daemon.cli.output import Shape, print_fields, print_note, print_rows, print_table
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError, HaloError

if TYPE_CHECKING:
    from halo_daemon.proto.project import Project
    from halo_daemon.store.projects import StoredProject

app = noun("Projects.")

_EVER = "1970-01-01"
_Name = Annotated[str, typer.Argument(metavar="PROJECT", help="Slug or name.")]


@app.command("list")
def list_all(
    ctx: typer.Context,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Only those that began since.")
    ] = _EVER,
    until: UntilOption = "now",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List projects by slug; with --since or --until those whose first span came then."""
    import time

    from halo_daemon.cli.opening import window_of
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import list_projects

    window = window_of(since, until)
    projects = [
        project
        for project in list_projects(DataPaths(data_dir(ctx, config, data)))
        if window.from_unix_ns <= project.created_unix_ns < window.to_unix_ns
    ]

    def table() -> None:
        now = time.time_ns()
        cells = [
            (project.slug, project.name, formats.moment(project.created_unix_ns, now_unix_ns=now))
            for project in projects
        ]
        print_table(("project", "name", "created"), cells)
        if not projects:
            print_note("no projects yet", hint="point an exporter at `halo-daemon serve`")

    rows = [_document(project) for project in projects]
    print_rows(rows, Shape(as_json, fields), table, schema="halo.projects/v1", key="projects")


@app.command("show")
def show(
    ctx: typer.Context,
    name: _Name,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="Only what was received since.")
    ] = "",
    until: UntilOption = "now",
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Show the figures and the services, tools, models and agents of a project."""
    import time

    from halo_daemon.cli.opening import open_reader, window_of
    from halo_daemon.store.maintenance import project_stats
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project

    root = data_dir(ctx, config, data)
    project = find_project(DataPaths(root), name)
    stats = project_stats(DataPaths(root).project(project.slug), now_unix_ns=time.time_ns())
    with open_reader(root, project.slug) as reader:
        overview = reader.overview(window_of(since or _EVER, until))
    # People read the zone that they live in, programs UTC.
    shown = {} if as_json else {"created": formats.local_time(project.created_unix_ns)}
    document = {
        **_document(project),
        **shown,
        **stats._asdict(),
        "traces": overview.traces,
        "spans": overview.spans,
        "error_traces": overview.error_traces,
        "input_tokens": overview.input_tokens,
        "output_tokens": overview.output_tokens,
        "services": list(overview.services),
        "models": list(overview.models),
        "tools": list(overview.tools),
        "agents": list(overview.agents),
    }
    print_fields(document, Shape(as_json, fields), schema="halo.project/v1")


@app.command("create")
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Any name; its slug is made.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make an empty project; a daemon may run meanwhile."""
    import time

    from halo_daemon.store.disk import Disk
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import register_project

    paths = DataPaths(data_dir(ctx, config, data, may_be_new=True))
    project = _named(name)
    if project.slug in paths.slugs():
        print(f"already_exists {project.slug}")
        return
    with _disk_errors(f"create project `{project.slug}`"):
        disk = Disk()
        disk.make_directory(paths.projects)
        register_project(disk, paths, project, now_unix_ns=time.time_ns())
    print(project.slug)


@app.command("rename")
def rename(
    ctx: typer.Context,
    name: _Name,
    new_name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Give a project another name, with all it holds; the daemon must be stopped."""
    from halo_daemon.auth import KeyFile
    from halo_daemon.store.disk import Disk
    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project, half_renamed, rename_project

    paths = DataPaths(data_dir(ctx, config, data))
    new = _named(new_name)
    project = half_renamed(paths, name, new) or find_project(paths, name)
    if (project.slug, project.name) == new:
        print(f"already_named {new.slug}")
        return
    with DataLock(paths), _disk_errors(f"rename project `{project.slug}`"):
        rename_project(Disk(), paths, project, new)
    print(new.slug)
    if project.slug != new.slug:
        every = KeyFile(paths.keys).keys()
        keys = [key.id for key in every if key.project == project.slug]
        told = f", and so do the keys {', '.join(keys)}" if keys else ""
        print_note(f"senders that name `{project.slug}` begin it anew{told}")


@app.command("delete")
def delete(
    ctx: typer.Context,
    name: _Name,
    *,
    yes: YesOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete a project with its traces, findings and reports; the daemon must be stopped."""
    from halo_daemon.store.disk import Disk
    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import delete_project, find_project

    paths = DataPaths(data_dir(ctx, config, data))
    project = find_project(paths, name)
    confirm(ctx, f"Delete project {project.slug} with everything in it?", yes=yes)
    with DataLock(paths), _disk_errors(f"delete project `{project.slug}`"):
        delete_project(Disk(), paths, project.slug)
    print_note(f"deleted {project.slug}")


def _named(name: str) -> "Project":
    from halo_daemon.proto.project import project_named

    try:
        return project_named(name)
    except ValueError as exc:
        raise ConfigError(f"cannot name a project: {exc}", hint="write a name") from exc


@contextmanager
def _disk_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise HaloError(f"cannot {what}: {exc.strerror or exc}") from exc


def _document(project: "StoredProject") -> dict[str, object]:
    created = project.created
    return {
        "slug": project.slug,
        "name": project.name,
        "created": created.isoformat() if created else None,
    }
