"""``halo-daemon serve``: receivers, scheduler, deliveries."""

import os
from typing import Annotated

import typer

from halo_daemon.cli.options import ConfigOption, DataOption, load_config


def serve(
    ctx: typer.Context,
    *,
    grpc: Annotated[
        str | None, typer.Option("--grpc", metavar="HOST:PORT", help="Address for OTLP/gRPC.")
    ] = None,
    http: Annotated[
        str | None, typer.Option("--http", metavar="HOST:PORT", help="Address for OTLP/HTTP.")
    ] = None,
    insecure_no_auth: Annotated[
        bool, typer.Option("--insecure-no-auth", help="Ask nobody for a key, whoever reaches us.")
    ] = False,
    no_schedule: Annotated[
        bool, typer.Option("--no-schedule", help="Receive only; run no analyses.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Receive spans until SIGTERM or Ctrl-C, and analyse them on schedule."""
    flags = {
        "receivers.otlp.grpc.endpoint": grpc,
        "receivers.otlp.http.endpoint": http,
        "receivers.auth.mode": "none" if insecure_no_auth else None,
    }
    settings = load_config(
        ctx,
        config=config,
        data=data,
        overrides={key: value for key, value in flags.items() if value is not None},
    )
    # gRPC reads it when it is imported, and would note each child that is started; ours are
    # started anew, never forked.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from halo_daemon import daemon, log

    log.configure(level=settings.telemetry.log.level, log_format=settings.telemetry.log.format)
    config_path = config or (ctx.obj.config if ctx.obj else None)
    raise typer.Exit(daemon.run(settings, schedule=not no_schedule, config_path=config_path))
