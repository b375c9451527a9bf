"""``halo-daemon schedule``: the analyses that come back."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.options import ConfigOption, DataOption, FieldsOption, JsonOption, load_config
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table
from halo_daemon.cli.usage import noun

if TYPE_CHECKING:
    from halo_daemon.config import ScheduleEntry

app = noun("Analyses on schedule.")

_COLUMNS = ("schedule", "cron", "timezone", "engine", "since", "next")


@app.command("list")
def list_schedules(
    ctx: typer.Context,
    *,
    times: Annotated[
        int, typer.Option("--next", min=1, max=100, help="Times to tell of each.")
    ] = 1,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List what `analysis.schedule` says, with the next times of each entry."""
    settings = load_config(ctx, config=config, data=data)
    after = datetime.now(UTC)
    rows = [_row(entry, times, after) for entry in settings.analysis.schedule]

    def table() -> None:
        print_table(
            _COLUMNS,
            [[*(str(row[name]) for name in _COLUMNS[:-1]), _joined(row["next"])] for row in rows],
        )
        if not rows:
            print_note("no schedule", hint="halo-daemon config explain analysis.schedule")

    print_rows(rows, Shape(as_json, fields), table, schema="halo.schedules/v1", key="schedules")


def _row(entry: "ScheduleEntry", times: int, after: datetime) -> dict[str, object]:
    from halo_daemon.quantities import format_duration
    from halo_daemon.scheduler import next_times

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
