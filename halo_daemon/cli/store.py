"""``halo-daemon store``: figures, checks, repair and copies of the data directory."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import exit_codes, formats
from halo_daemon.cli.opening import data_dir, project_slug
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    ProjectsOption,
    YesOption,
    confirm,
    quantity,
)
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.store.maintenance import ProjectStats

app = noun("The data directory.")


@app.command("stats")
def stats(
    ctx: typer.Context,
    *,
    project: ProjectsOption = None,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Count shards, bytes, traces and spans of each project."""
    import time

    from halo_daemon.store.maintenance import project_stats
    from halo_daemon.store.paths import DataPaths

    root = _existing(ctx, config, data)
    paths = DataPaths(root)
    slugs = [project_slug(root, name) for name in project] if project else paths.slugs()
    rows = [project_stats(paths.project(slug), now_unix_ns=time.time_ns()) for slug in slugs]
    print_rows(
        [row._asdict() for row in rows],
        Shape(as_json, fields),
        lambda: _print_stats(rows),
        schema="halo.store/v1",
        key="projects",
    )


def _print_stats(rows: "list[ProjectStats]") -> None:
    columns = (
        "project",
        "traces",
        "spans",
        "duplicates",
        "bad",
        "shards",
        "bytes",
        "index",
        "torn",
        "days",
    )
    print_table(
        columns,
        [
            (
                row.slug,
                str(row.traces),
                str(row.spans),
                str(row.duplicate_spans),
                str(row.bad_lines),
                str(row.shards),
                formats.size(row.shard_bytes),
                formats.size(row.derived_bytes),
                formats.size(row.quarantined_bytes),
                str(row.days),
            )
            for row in rows
        ],
    )
    if not rows:
        print_note("no projects yet", hint="point an exporter at `halo-daemon serve`")


@app.command("verify")
def verify(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Read every line and compare it with its checksum; exits 1 when something is damaged."""
    import time

    from halo_daemon.store.maintenance import DamageKind, verify as verify_project
    from halo_daemon.store.paths import DataPaths

    paths = DataPaths(_existing(ctx, config, data))
    found = [
        damage
        for slug in paths.slugs()
        for damage in verify_project(paths.project(slug), now_unix_ns=time.time_ns())
    ]

    def table() -> None:
        print_table(
            ("kind", "file", "offset", "bytes"),
            [
                (damage.kind.value, str(damage.path), str(damage.offset), str(damage.length))
                for damage in found
            ],
        )

    rows = [{**damage._asdict(), "path": str(damage.path)} for damage in found]
    print_rows(rows, Shape(as_json, fields), table, schema="halo.damage/v1", key="damage")
    harmless = {DamageKind.TORN_TAIL, DamageKind.QUARANTINED}
    if any(damage.kind not in harmless for damage in found):
        raise typer.Exit(exit_codes.FAILED)
    print_note("every line is as it was stored")


@app.command("repair")
def repair(ctx: typer.Context, *, config: ConfigOption = None, data: DataOption = None) -> None:
    """Set torn tails aside, mend tables and build every index again; the daemon must be stopped."""
    import time

    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.maintenance import reindex as reindex_project
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.recovery import mend_tables, recover

    paths = DataPaths(_existing(ctx, config, data))
    with DataLock(paths):
        tails, tables = recover(paths), mend_tables(paths)
        for tail in tails:
            print_note(f"{tail.cut_bytes} bytes of {tail.shard.name} moved to {tail.quarantined}")
        for shard in tables:
            print_note(f"table of {shard.name} written anew from its frames")
        for slug in paths.slugs():
            reindex_project(paths.project(slug), now_unix_ns=time.time_ns())
    is_whole = not tails and not tables
    print_note("no shard was damaged; indexes built again" if is_whole else "repaired")


@app.command("reindex")
def reindex(ctx: typer.Context, *, config: ConfigOption = None, data: DataOption = None) -> None:
    """Throw every index away and build it again; a daemon may run meanwhile."""
    import time

    from halo_daemon.analyzer.figures import plural
    from halo_daemon.store.maintenance import reindex as reindex_project
    from halo_daemon.store.paths import DataPaths

    paths = DataPaths(_existing(ctx, config, data))
    for slug in paths.slugs():
        days = reindex_project(paths.project(slug), now_unix_ns=time.time_ns())
        print_note(f"{slug}: {plural(days, 'day')} indexed")


@app.command("compact")
def compact(
    ctx: typer.Context,
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="T", help="Since a shard's last write.")
    ] = "24h",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Compress sealed shards; a daemon may run meanwhile."""
    import time

    from halo_daemon.quantities import parse_duration_s
    from halo_daemon.store.compress import compress_sealed
    from halo_daemon.store.paths import DataPaths

    done = compress_sealed(
        DataPaths(_existing(ctx, config, data)),
        older_than_s=quantity(parse_duration_s, older_than, "--older-than"),
        now_unix_ns=time.time_ns(),
    )
    saved = formats.size(done.plain_bytes - done.compressed_bytes)
    print_note(f"{done.shards} shards compressed, {saved} saved")


@app.command("prune")
def prune(
    ctx: typer.Context,
    *,
    max_age: Annotated[
        str, typer.Option("--max-age", metavar="T", help="Keep traces received since.")
    ] = "",
    max_size: Annotated[
        str, typer.Option("--max-size", metavar="SIZE", help="Keep so many bytes of lines.")
    ] = "",
    max_traces: Annotated[
        int | None, typer.Option("--max-traces", metavar="N", min=0, help="Keep so many traces.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Delete the oldest traces of each project, whole ones only; the daemon must be stopped."""
    import time

    from halo_daemon.quantities import parse_duration_s, parse_size_bytes
    from halo_daemon.store.leftovers import prune_quarantine
    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.retention import Retention, prune as prune_project

    retention = Retention(
        max_age_s=quantity(parse_duration_s, max_age, "--max-age") if max_age else None,
        max_bytes=quantity(parse_size_bytes, max_size, "--max-size") if max_size else None,
        max_traces=max_traces,
    )
    if retention == Retention():
        raise ConfigError("cannot prune without a limit", hint="say --max-age 30d, for example")
    paths = DataPaths(_existing(ctx, config, data))
    if not dry_run:
        confirm(ctx, "Delete the oldest traces?", yes=yes, otherwise=", or look with --dry-run")
    # Looking changes nothing, so a daemon may go on.
    with nullcontext() if dry_run else DataLock(paths):
        for slug in paths.slugs():
            gone = prune_project(
                paths.project(slug), retention, now_unix_ns=time.time_ns(), dry_run=dry_run
            )
            torn = prune_quarantine(
                paths.project(slug),
                max_age_s=retention.max_age_s,
                now_unix_ns=time.time_ns(),
                dry_run=dry_run,
            )
            verb = "would go" if dry_run else "deleted"
            print_note(f"{slug}: {gone.traces} traces, {formats.size(gone.line_bytes)} {verb}")
            if torn.pieces:
                size = formats.size(torn.piece_bytes)
                print_note(f"{slug}: {torn.pieces} torn tails, {size} {verb}")


@app.command("backup")
def backup(
    ctx: typer.Context,
    target: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Copy the data directory, without what can be built again; a daemon may run meanwhile."""
    from halo_daemon.store.copies import backup as back_up
    from halo_daemon.store.paths import DataPaths

    copied = back_up(DataPaths(_existing(ctx, config, data)), target)
    print_note(f"{formats.size(copied)} copied to {target}")


@app.command("restore")
def restore(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="DIR", help="What `backup` wrote.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Fill an empty data directory from a backup."""
    from halo_daemon.store.copies import restore as restore_from
    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths

    paths = DataPaths(data_dir(ctx, config, data, may_be_new=True))
    with DataLock(paths):
        copied = restore_from(source, paths)
    print_note(f"{formats.size(copied)} restored to {paths.root}")


def _existing(ctx: typer.Context, config: Path | None, data: Path | None) -> Path:
    root = data_dir(ctx, config, data)
    if not root.is_dir():
        raise ConfigError(
            f"there is no data directory {root}", hint="name one with --data, or run `serve` first"
        )
    return root
