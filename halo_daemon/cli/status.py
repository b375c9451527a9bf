"""``halo-daemon status``: is the daemon alive, or ready."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption, load_config

if TYPE_CHECKING:
    from halo_daemon.config import Config

_OK = 200
_TIMEOUT_S = 3.0


def status(
    ctx: typer.Context,
    *,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask whether it takes spans, not only whether it lives.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Ask the running daemon how it is; exits 5 when it does not answer."""
    settings = load_config(ctx, config=config, data=data)
    code, detail = _ask(settings, "/readyz" if ready else "/healthz")
    endpoint = settings.receivers.otlp.http.endpoint
    where = f"{endpoint.host}:{endpoint.port}"
    state = {0: "unreachable", _OK: "ready" if ready else "alive"}.get(code, "not ready")
    if as_json:
        document = {"schema": "halo.status/v1", "state": state, "endpoint": where, "detail": detail}
        print(json.dumps(document))
    else:
        print(f"{state} at {where}" + (f": {detail}" if detail else ""))
    if code != _OK:
        raise typer.Exit(exit_codes.UNREACHABLE)


def _ask(config: "Config", path: str) -> tuple[int, str]:
    """The status that *path* is answered with, or 0 and the reason when it is not."""
    from halo_daemon.cli.own_endpoint import connection_to

    try:
        connection = connection_to(config, timeout_s=_TIMEOUT_S)
    except OSError as exc:
        return 0, exc.strerror or str(exc)
    try:
        connection.request("GET", path)
        return connection.getresponse().status, ""
    except OSError as exc:
        return 0, exc.strerror or str(exc)
    finally:
        connection.close()
