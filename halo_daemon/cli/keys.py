"""``halo-daemon project keys``: who may send spans, and to which project."""

from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.opening import require_named_data
from halo_daemon.cli.options import ConfigOption, DataOption, FieldsOption, JsonOption, load_config
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table
from halo_daemon.cli.usage import noun
from halo_daemon.errors import UnknownNameError

if TYPE_CHECKING:
    from halo_daemon.auth import KeyFile

app = noun("Make, list and revoke ingest keys.")

ProjectOption = Annotated[
    str | None,
    typer.Option("--project", metavar="NAME", help="The one project; any when left out."),
]
KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")]


@app.command("create")
def create(
    ctx: typer.Context,
    *,
    project: ProjectOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Make a key and print it, this once; a running daemon takes it at once."""
    from halo_daemon.auth import ANY_PROJECT, make_key
    from halo_daemon.proto.project import slugify

    key_file = _key_file(ctx, config, data)
    new = make_key(slugify(project) if project else ANY_PROJECT)
    key_file.add(new.key)
    print(new.text)
    print_note(
        f"key {new.key.id} for project {new.key.project}; it is shown once",
        hint=f'OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer {new.text}"',
    )


@app.command("list")
def list_keys(
    ctx: typer.Context,
    *,
    project: Annotated[
        str | None, typer.Option("--project", metavar="NAME", help="Only keys of this project.")
    ] = None,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List the keys, in order of creation; what a sender presents is not kept."""
    from halo_daemon.proto.project import slugify

    require_named_data(ctx, data)
    wanted = slugify(project) if project else None
    known = _key_file(ctx, config, data).keys()
    keys = [key for key in known if wanted is None or key.project == wanted]

    def table() -> None:
        print_table(("id", "project"), [(key.id, key.project) for key in keys])
        if not keys:
            print_note("no keys", hint="halo-daemon project keys create")

    rows = [{"id": key.id, "project": key.project} for key in keys]
    print_rows(rows, Shape(as_json, fields), table, schema="halo.keys/v1", key="keys")


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    key_id: KeyArgument,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Forget a key; a running daemon refuses it from its next request on."""
    if not _key_file(ctx, config, data).revoke(key_id):
        raise UnknownNameError(
            f"cannot find key `{key_id[:80]}`", hint="halo-daemon project keys list"
        )


def _key_file(ctx: typer.Context, config: ConfigOption, data: DataOption) -> "KeyFile":
    from halo_daemon.auth import KeyFile
    from halo_daemon.store.paths import DataPaths

    settings = load_config(ctx, config=config, data=data)
    return KeyFile(DataPaths(settings.data.dir).keys)
