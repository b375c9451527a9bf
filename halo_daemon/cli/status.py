"""``halo-daemon status``: is the daemon alive, or ready."""

import json
from typing import Annotated

import typer

from halo_daemon.cli.options import ConfigOption, DataOption, JsonOption, load_config

EXIT_UNREACHABLE = 5


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
    import http.client

    endpoint = load_config(ctx, config=config, data=data).receivers.otlp.http.endpoint
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)  # noqa: S104 -- a client's view of it
    connection = http.client.HTTPConnection(host, endpoint.port, timeout=3)
    try:
        connection.request("GET", "/readyz" if ready else "/healthz")
        code = connection.getresponse().status
    except OSError as exc:
        code, detail = 0, str(exc)
    else:
        detail = ""
    finally:
        connection.close()
    state = {0: "unreachable", 200: "ready" if ready else "alive"}.get(code, "not ready")
    where = f"{host}:{endpoint.port}"
    if as_json:
        document = {"schema": "halo.status/v1", "state": state, "endpoint": where, "detail": detail}
        print(json.dumps(document))
    else:
        print(f"{state} at {where}" + (f": {detail}" if detail else ""))
    if code != http.client.OK:
        raise typer.Exit(EXIT_UNREACHABLE)
