"""``halo-daemon reproject``: stored spans read again by a newer mapping of conventions."""

from contextlib import nullcontext
from typing import Annotated

import typer

from halo_daemon.cli.opening import data_dir, project_slug
from halo_daemon.cli.options import ConfigOption, DataOption, ProjectsOption
from halo_daemon.cli.output import print_note


def reproject(
    ctx: typer.Context,
    *,
    project: ProjectsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Apply this version's mapping of conventions to stored spans; the daemon must be stopped.

    Raw attributes are kept and nothing is lost; a second run changes nothing.
    """
    import time

    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.reproject import reproject as reproject_project

    root = data_dir(ctx, config, data)
    paths = DataPaths(root)
    slugs = [project_slug(root, name) for name in project] if project else paths.slugs()
    # Looking changes nothing, so a daemon may go on.
    with nullcontext() if dry_run else DataLock(paths):
        for slug in slugs:
            done = reproject_project(
                paths.project(slug), now_unix_ns=time.time_ns(), dry_run=dry_run
            )
            verb = "would be written anew" if dry_run else "written anew"
            print_note(f"{slug}: {done.spans} spans read differently, {done.shards} shards {verb}")
