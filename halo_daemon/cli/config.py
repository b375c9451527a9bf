"""``halo-daemon config``: check and explain the configuration without starting anything."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.addresses import why_taken
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption, load_settings
from halo_daemon.cli.output import print_json, print_table, printable
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from halo_daemon.config import Config
    from halo_daemon.config_keys import Setting


app = noun("Check and explain the configuration.")


@app.command("validate")
def validate(
    ctx: typer.Context,
    *,
    no_environment: Annotated[
        bool, typer.Option("--no-environment", help="Look at the values only, not at the machine.")
    ] = False,
    deny_warnings: Annotated[
        bool, typer.Option("--deny-warnings", help="Exit 1 when there are warnings.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Check everything that a start would check; exits 2 on any mistake."""
    loaded = load_settings(ctx, config=config, data=data)
    if not no_environment:
        _check_environment(loaded.config)
    for warning in loaded.warnings:
        typer.echo(f"warning: {printable(warning)}", err=True)
    where = loaded.path or "the defaults"
    count = len(loaded.warnings)
    print(f"ok: {where}, {count} warning{'' if count == 1 else 's'}")
    if deny_warnings and count:
        raise typer.Exit(exit_codes.FAILED)


@app.command("show")
def show(
    ctx: typer.Context,
    *,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value comes from.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print the effective values, secrets masked."""
    from halo_daemon.config_keys import flat_values

    loaded = load_settings(ctx, config=config, data=data)
    values = flat_values(loaded.config)
    origins = {key: _origin(key, loaded.origins) for key in values}
    if as_json:
        document = {"schema": "halo.config-show/v1", "values": values, "origins": origins}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    elif origin:
        print_table(
            ("KEY", "VALUE", "ORIGIN"), [(key, values[key], origins[key]) for key in values]
        )
    else:
        for key, value in values.items():
            print(f"{key}: {printable(value)}")


@app.command("explain")
def explain(
    ctx: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="A key or section, such as analysis.schedule.")
    ],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Say what a key means, what it takes, its default and its effective value."""
    from halo_daemon.config_keys import flat_values, nearest, settings, settings_at

    found = settings_at(key)
    if not found:
        known = [setting.key for setting in settings()]
        raise ConfigError(f"no key `{key}` – {nearest(key, known)}")
    # A file that is wrong is no reason not to explain what would be right.
    try:
        loaded = load_settings(ctx, config=config, data=data)
        values, origins = flat_values(loaded.config), loaded.origins
    except ConfigError as exc:
        typer.echo(f"the effective value is unknown: {printable(str(exc))}", err=True)
        values, origins = {}, {}
    print("\n\n".join(_explained(setting, values, origins) for setting in found))


@app.command("diff")
def diff(
    ctx: typer.Context,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Another file; the defaults when left out."),
    ] = None,
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print the values that differ from another file's, or from the defaults; secrets masked."""
    import os

    from halo_daemon.config import Config
    from halo_daemon.config_file import VARIABLE_PREFIX, default_data_dir, load
    from halo_daemon.config_keys import flat_values

    ours = flat_values(load_settings(ctx, config=config, data=data).config)
    # What the environment sets would be the same on both sides.
    outside = {key: text for key, text in os.environ.items() if not key.startswith(VARIABLE_PREFIX)}
    theirs = flat_values(load(other, outside) if other else Config())
    if not other:
        theirs["data.dir"] = str(default_data_dir(os.environ).expanduser())
    rows = [
        {"key": key, "value": ours.get(key), "other": theirs.get(key)}
        for key in dict.fromkeys((*ours, *theirs))
        if ours.get(key) != theirs.get(key)
    ]
    if as_json:
        print_json("halo.config-diff/v1", {"differences": rows})
        return
    columns = ("key", "value", "other")
    print_table(columns, [[row[column] or "-" for column in columns] for row in rows])


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the file, for editors."""
    from halo_daemon.config_schema import config_schema

    print(json.dumps(config_schema(), indent=2, ensure_ascii=False))


def _explained(
    setting: "Setting", values: "Mapping[str, str]", origins: "Mapping[str, str]"
) -> str:
    from halo_daemon.config_keys import settings_at

    default = "required" if setting.is_required else setting.default or "nothing"
    effective = [
        f"  effective  {printable(value)}  ({_origin(key, origins)})"
        for key, value in values.items()
        if setting.key in {found.key for found in settings_at(key)}
        and key.count(".") == setting.key.count(".")
    ]
    lines = (
        setting.key,
        f"  {setting.sentence}",
        f"  takes      {setting.kind}",
        f"  default    {default}",
        *effective,
    )
    return "\n".join(lines)


def _origin(key: str, origins: "Mapping[str, str]") -> str:
    """The place of the nearest key at or above *key* that was given."""
    while key:
        if key in origins:
            return origins[key]
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return "default"


def _check_environment(config: "Config") -> None:
    import os

    place = config.data.dir
    while not place.exists() and place != place.parent:
        place = place.parent
    problems = []
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        problems.append(f"data.dir: cannot write to {place}")
    for name, endpoint in (
        ("grpc", config.receivers.otlp.grpc.endpoint),
        ("http", config.receivers.otlp.http.endpoint),
    ):
        if reason := why_taken(endpoint):
            problems.append(f"receivers.otlp.{name}.endpoint: cannot bind {endpoint}: {reason}")
    if problems:
        raise ConfigError(
            f"{len(problems)} problems with this machine" if problems[1:] else problems[0],
            hint="change these values, or stop what holds a port; --no-environment leaves this out",
            diagnostics=tuple(problems),
        )
