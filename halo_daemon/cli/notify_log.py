"""``halo-daemon notify log`` and ``redeliver``: what its targets do not have yet."""

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli.opening import settings_of
from halo_daemon.cli.options import ConfigOption, DataOption, FieldsOption, JsonOption
from halo_daemon.cli.output import Shape, print_note, print_rows, print_table, printable
from halo_daemon.errors import AmbiguousNameError, ConfigError, DeliveryError, UnknownNameError

if TYPE_CHECKING:
    from halo_daemon.config import Config
    from halo_daemon.notify.message import Message
    from halo_daemon.notify.outbox import Outbox

_COLUMNS = ("message", "target", "kind", "state", "attempts", "created", "due")
_NAMED = 5


def show_log(
    ctx: typer.Context,
    *,
    as_json: JsonOption = False,
    fields: FieldsOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """List the messages that wait and those that were given up, the oldest first."""
    from halo_daemon.deliveries import outbox_of

    outbox = outbox_of(settings_of(ctx, config, data))
    waiting, given_up = outbox.pending(), outbox.dead_letters()
    found = [*((one, "waiting") for one in waiting), *((one, "given up") for one in given_up)]
    found.sort(key=lambda pair: (pair[0].created_unix_ns, pair[0].message_id))
    rows = [_row(message, state) for message, state in found]

    def table() -> None:
        print_table(_COLUMNS, [[str(row[name] or "-") for name in _COLUMNS] for row in rows])
        if not rows:
            print_note("no message waits, and none was given up")

    print_rows(rows, Shape(as_json, fields), table, schema="halo.messages/v1", key="messages")


def redeliver(
    ctx: typer.Context,
    message: Annotated[str, typer.Argument(metavar="ID", help="Of the message, or its beginning.")],
    *,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Try a message again now that waits or was given up, under the id that it had.

    A running daemon delivers it; without one it is tried here, with whatever else is due.
    Exits 1 when the target does not accept it; it waits in the outbox then.
    """
    from halo_daemon.deliveries import courier_of, outbox_of

    settings = settings_of(ctx, config, data)
    outbox = outbox_of(settings)
    wanted = _found(outbox, message)
    _require_open(settings, outbox, wanted)
    outbox.put_again(wanted, now_unix_ns=time.time_ns())
    asyncio.run(courier_of(settings).deliver_due())
    left = _by_id(outbox).get(wanted.message_id)
    if left is None:
        print(f"{printable(wanted.target)} accepted {wanted.message_id}")
    elif not left.attempts:
        print(f"in line: {wanted.message_id}")
        print_note("the daemon delivers it; `halo-daemon notify log` shows it until then")
    else:
        raise DeliveryError(
            f"target `{wanted.target}` did not accept {wanted.message_id}",
            hint=f"halo-daemon notify test {wanted.target}",
        )


def _row(message: "Message", state: str) -> dict[str, object]:
    from halo_daemon.proto.times import format_unix_ns

    return {
        "message": message.message_id,
        "target": message.target,
        "kind": _kind(message.body),
        "state": state,
        "attempts": message.attempts,
        "created": format_unix_ns(message.created_unix_ns),
        "due": format_unix_ns(message.due_unix_ns) if state == "waiting" else None,
    }


def _kind(body: bytes) -> str | None:
    """The type of event that a body tells of; None for one that does not say."""
    import orjson

    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    kind = document.get("type") if isinstance(document, dict) else None
    return kind if isinstance(kind, str) else None


def _by_id(outbox: "Outbox") -> Mapping[str, "Message"]:
    """Every message that is kept; one that waits and was given up as well counts as waiting."""
    return {one.message_id: one for one in (*outbox.dead_letters(), *outbox.pending())}


def _found(outbox: "Outbox", prefix: str) -> "Message":
    """
    The message whose id begins so.

    Raises:
        UnknownNameError: None does.
        AmbiguousNameError: Several do.
    """
    found = [one for identity, one in _by_id(outbox).items() if identity.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(one.message_id for one in found[:_NAMED])
        raise AmbiguousNameError(
            f"cannot tell which message `{prefix[:80]}` means: {len(found)} begin so",
            hint=f"write more of the id: {names}",
        )
    raise UnknownNameError(
        f"cannot find message `{prefix[:80]}`: none waits or was given up under that id",
        hint="halo-daemon notify log",
    )


def _require_open(settings: "Config", outbox: "Outbox", message: "Message") -> None:
    """
    Refuse what would be given up again at once.

    Raises:
        ConfigError: The target is configured no more, or said that it takes nothing any more.
    """
    target = settings.notify.targets.get(message.target)
    if target is None:
        raise ConfigError(
            f"cannot deliver {message.message_id}: no target `{message.target}` is configured",
            hint="halo-daemon config explain notify.targets",
        )
    if outbox.is_disabled(message.target, target.url):
        raise ConfigError(
            f"cannot deliver {message.message_id}: target `{message.target}` said that nothing"
            " is taken at its address any more",
            hint=f"give `notify.targets.{message.target}.url` its new address",
        )
