"""``halo-daemon schedule``: the analyses that come back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.opening import settings_of
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    load_config,
    said_before,
)
from halo_daemon.cli.output import (
    Shape,
    did_you_mean,
    print_note,
    print_rows,
    print_table,
    printable,
)
from halo_daemon.cli.usage import noun
from halo_daemon.errors import LockHeldError, UnknownNameError, UnreachableError

if TYPE_CHECKING:
    from halo_daemon.config import Config, ScheduleEntry

app = noun("Analyses on schedule.")

_COLUMNS = ("schedule", "state", "cron", "timezone", "engine", "since", "next")
_TAKEN_WITHIN_S = 10.0
_LOOK_PAUSE_S = 0.1

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `analysis.schedule` says.")]


@app.command("list")
def list_schedules(
    ctx: typer.Context,
    *,
    times: Annotated[
        int, typer.Option("--next", metavar="N", min=1, max=100, help="Times to tell of each.")
    ] = 1,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List what `analysis.schedule` says, which entries are paused, and their next times."""
    from halo_daemon.store.schedule_switches import ScheduleSwitches

    settings = load_config(ctx, config=config, data=data)
    after = datetime.now(UTC)
    switches = ScheduleSwitches(settings.data.dir)
    rows = [
        {
            **_row(entry, times, after),
            "state": "paused" if switches.is_paused(entry.name) else "active",
        }
        for entry in settings.analysis.schedule
    ]

    def table() -> None:
        print_table(
            _COLUMNS,
            [[*(str(row[name]) for name in _COLUMNS[:-1]), _joined(row["next"])] for row in rows],
        )
        if not rows:
            print_note("no schedule", hint="halo-daemon config explain analysis.schedule")

    print_rows(rows, Shape(as_json, fields), table, schema="halo.schedules/v1", key="schedules")


@app.command("run")
def run_schedule(
    ctx: typer.Context,
    name: _NameArgument,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Run an entry once now, also a paused one.

    A running daemon puts it in line, and this returns; without one it runs here. Exits 5
    when the daemon does not take it, as one that was started with --no-schedule.
    """
    from halo_daemon.store.lock import DataLock
    from halo_daemon.store.paths import DataPaths

    settings = settings_of(ctx, config, data)
    entry = _entry(settings, name)
    try:
        with DataLock(DataPaths(settings.data.dir)):
            _run_here(settings, entry, config or said_before(ctx).config, as_json=as_json)
    except LockHeldError as exc:
        _ask_daemon(settings, entry, exc, as_json=as_json)


@app.command("pause")
def pause_schedule(
    ctx: typer.Context,
    name: _NameArgument,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Let no further run of an entry begin, until it is resumed; a running daemon heeds it at once.

    The first run after the pause covers what was received meanwhile, up to eight days.
    """
    from halo_daemon.store.schedule_switches import ScheduleSwitches

    settings = settings_of(ctx, config, data)
    entry = _entry(settings, name)
    was_active = ScheduleSwitches(settings.data.dir).pause(entry.name)
    _say(entry, "paused" if was_active else "already_paused", as_json=as_json)


@app.command("resume")
def resume_schedule(
    ctx: typer.Context,
    name: _NameArgument,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Let a paused entry run at its times again."""
    from halo_daemon.store.schedule_switches import ScheduleSwitches

    settings = settings_of(ctx, config, data)
    entry = _entry(settings, name)
    was_paused = ScheduleSwitches(settings.data.dir).resume(entry.name)
    _say(entry, "resumed" if was_paused else "already_active", as_json=as_json)


def _say(entry: "ScheduleEntry", outcome: str, *, as_json: bool) -> None:
    if as_json:
        document = {"schema": "halo.schedule/v1", "schedule": entry.name, "outcome": outcome}
        print(json.dumps(document))
    else:
        print(f"{outcome.replace('in_line', 'in line')}: {entry.name}")


def _entry(settings: "Config", name: str) -> "ScheduleEntry":
    """
    The entry of that name.

    Raises:
        UnknownNameError: There is none.
    """
    entries = {entry.name: entry for entry in settings.analysis.schedule}
    if name not in entries:
        raise UnknownNameError(
            f"cannot find schedule `{name[:80]}`{did_you_mean(name, entries)}",
            hint="halo-daemon schedule list",
        )
    return entries[name]


def _run_here(
    settings: "Config", entry: "ScheduleEntry", config_path: Path | None, *, as_json: bool
) -> None:
    """
    Run the entry in children of this process.

    Raises:
        HaloError: A project's run failed; the others ran.
    """
    import asyncio

    from halo_daemon.scheduling import scheduler_of

    scheduler = scheduler_of(settings, config_path=config_path)
    errors = asyncio.run(scheduler.run_now(entry))
    rows = [
        {"project": project, "outcome": "failed" if error else "done"}
        for project, error in errors.items()
    ]
    if as_json:
        document = {"schema": "halo.schedule-run/v1", "schedule": entry.name, "projects": rows}
        print(json.dumps(document, ensure_ascii=False))
    else:
        for row in rows:
            print(f"{entry.name}\t{printable(row['project'])}\t{row['outcome']}")
    if not errors:
        print_note("no project to analyse", hint="point an exporter at `halo-daemon serve`")
    for error in errors.values():
        if error is not None:
            raise error


def _ask_daemon(
    settings: "Config", entry: "ScheduleEntry", held: LockHeldError, *, as_json: bool
) -> None:
    """
    Leave a request, and wait until the daemon took it.

    Raises:
        UnreachableError: It did not.
    """
    import time

    from halo_daemon.store.schedule_switches import ScheduleSwitches

    switches = ScheduleSwitches(settings.data.dir)
    switches.ask(entry.name)
    deadline_s = time.monotonic() + _TAKEN_WITHIN_S
    while switches.is_asked(entry.name) and time.monotonic() < deadline_s:
        time.sleep(_LOOK_PAUSE_S)
    if switches.withdraw(entry.name):
        raise UnreachableError(
            f"cannot run schedule `{entry.name}`: {held}, and took no request"
            f" within {_TAKEN_WITHIN_S:g} s",
            hint="`halo-daemon analyze` runs beside it; or start it without --no-schedule",
        )
    _say(entry, "in_line", as_json=as_json)
    print_note("the daemon runs it; its log and `halo-daemon report list` tell how it went")


def _row(entry: "ScheduleEntry", times: int, after: datetime) -> dict[str, object]:
    from halo_daemon.quantities import format_duration
    from halo_daemon.schedule_times import next_times

    since = entry.since_s if isinstance(entry.since_s, str) else format_duration(entry.since_s)
    return {
        "schedule": entry.name,
        "cron": entry.cron,
        "timezone": entry.timezone,
        "engine": entry.engine,
        "since": since,
        "projects": list(entry.projects),
        "next": [moment.isoformat() for moment in next_times(entry, times, after=after)],
    }


def _joined(moments: object) -> str:
    return ", ".join(moments) if isinstance(moments, list) and moments else "never"
