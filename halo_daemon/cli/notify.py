"""``halo-daemon notify``: the targets of notifications and the routes to them."""

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    FieldsOption,
    JsonOption,
    load_config,
)
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table, printable
from halo_daemon.cli.usage import noun
from halo_daemon.errors import ConfigError, DeliveryError, UnknownNameError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.notify.message import Outcome

app = noun("Notifications.")

_COLUMNS = ("target", "type", "state", "waiting", "given_up", "url")
_ROUTED = ("kind", "severity", "project")

_TargetArgument = Annotated[str, typer.Argument(metavar="NAME", help="As `notify.targets` says.")]


@app.command("list")
def list_targets(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List the targets, with what waits for each in the outbox."""
    settings = load_config(ctx, config=config, data=data)
    rows = _rows(settings)

    def table() -> None:
        print_table(_COLUMNS, [[str(row[name]) for name in _COLUMNS] for row in rows])
        if not rows:
            print_note("no targets", hint="halo-daemon config explain notify.targets")

    print_rows(rows, Shape(as_json, fields), table, schema="halo.notify-targets/v1", key="targets")


@app.command("test")
def try_target(
    ctx: typer.Context,
    name: _TargetArgument,
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Send a test message to a target, past routes and outbox; exits 1 when it is not accepted."""
    from halo_daemon.notify.message import Verdict

    settings = load_config(ctx, config=config, data=data)
    if name not in settings.notify.targets:
        known = ", ".join(settings.notify.targets)
        raise UnknownNameError(
            f"cannot test target `{name[:80]}`: there is no such target",
            hint=f"one of {known}" if known else "halo-daemon config explain notify.targets",
        )
    outcome = asyncio.run(_deliver(settings, name))
    if outcome.verdict is not Verdict.ACCEPTED:
        raise DeliveryError(
            f"target `{name}` did not accept a test message: {outcome.reason}",
            hint=f"check `notify.targets.{name}`",
        )
    print(f"{name} accepted a test message")


@app.command("routes")
def show_routes(
    ctx: typer.Context,
    facts: Annotated[
        list[str],
        typer.Argument(metavar="KEY=VALUE...", help="kind, severity and project of an event."),
    ],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Tell which targets an event like kind=new severity=high project=bot would go to."""
    from halo_daemon.notify.events import Event
    from halo_daemon.notify.routes import targets_for

    settings = load_config(ctx, config=config, data=data)
    found = _facts(facts)
    event = Event(
        kind=found.get("kind", "new"),  # type: ignore[arg-type]  # checked just now
        key="",
        body=b"",
        project=found.get("project", ""),
        severity=found.get("severity"),  # type: ignore[arg-type]  # ditto
    )
    names = targets_for(event, settings.notify.routes)
    for name in names:
        print(printable(name))
    if not names:
        print_note("no route takes it", hint="halo-daemon config explain notify.routes")


def _facts(words: list[str]) -> dict[str, str]:
    """
    What is said of the event.

    Raises:
        ConfigError: A word is no fact, or its value is none that events have.
    """
    from halo_daemon.config_notify import EventKind
    from halo_daemon.findings import Severity

    known = {"kind": get_args(EventKind), "severity": get_args(Severity)}
    facts: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in _ROUTED:
            raise ConfigError(
                f"cannot read `{word[:80]}`: not one of {', '.join(_ROUTED)} with a value",
                hint="write kind=new severity=high project=support-bot",
            )
        if key in known and value not in known[key]:
            raise ConfigError(
                f"cannot route {key} `{value[:80]}`: there is none",
                hint=f"one of {', '.join(known[key])}",
            )
        facts[key] = value
    return facts


def _rows(settings: "Config") -> list[dict[str, object]]:
    from halo_daemon.config_checks import shown_url
    from halo_daemon.deliveries import outbox_of
    from halo_daemon.store.paths import DataPaths

    has_outbox = DataPaths(settings.data.dir).outbox.is_dir()
    outbox = outbox_of(settings)
    waiting = [message.target for message in outbox.pending()] if has_outbox else []
    given_up = [message.target for message in outbox.dead_letters()] if has_outbox else []
    return [
        {
            "target": name,
            "type": target.type,
            "state": "disabled"
            if has_outbox and outbox.is_disabled(name, target.url)
            else "enabled",
            "waiting": waiting.count(name),
            "given_up": given_up.count(name),
            "url": shown_url(target.url),
        }
        for name, target in settings.notify.targets.items()
    ]


async def _deliver(settings: "Config", name: str) -> "Outcome":
    from halo_daemon.notify.events import document
    from halo_daemon.notify.message import Message
    from halo_daemon.notify.targets import notifiers_of
    from halo_daemon.proto.times import format_unix_ns

    now_unix_ns = time.time_ns()
    message = Message(
        message_id=f"msg_{secrets.token_hex(12)}",
        target=name,
        body=document("test", format_unix_ns(now_unix_ns), {"target": name}),
        created_unix_ns=now_unix_ns,
        due_unix_ns=now_unix_ns,
    )
    notifier = notifiers_of(settings.notify.targets, now_unix_ns=time.time_ns)[name]
    return await notifier.deliver(message)
