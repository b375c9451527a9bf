"""``halo-daemon mcp``: findings and traces for a coding agent."""

from importlib.util import find_spec
from typing import Annotated

import typer

from halo_daemon.cli.opening import settings_of
from halo_daemon.cli.options import ConfigOption, DataOption, quantity
from halo_daemon.errors import ConfigError


def mcp(
    ctx: typer.Context,
    *,
    project: Annotated[
        str, typer.Option("--project", metavar="NAME", help="Offer this project alone.")
    ] = "",
    since: Annotated[
        str, typer.Option("--since", metavar="T", help="How far back traces are looked at.")
    ] = "7d",
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Offer to acknowledge and resolve findings.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Serve findings and traces to a coding agent: Model Context Protocol on stdin and stdout.

    A coding agent starts it by itself, once told the command. It works with and without a
    running daemon, and writes nothing unless --allow-writes is given.
    """
    import asyncio

    from halo_daemon.quantities import parse_duration_s

    if find_spec("mcp") is None:
        raise ConfigError(
            "cannot serve the Model Context Protocol: the package `mcp` is not installed",
            hint="pip install 'halo-daemon[mcp]'",
        )
    settings = settings_of(ctx, config, data)
    window_s = quantity(parse_duration_s, since, "--since")

    from halo_daemon.coding_agent import CodingAgentTools, Offer
    from halo_daemon.mcp_server import serve_stdio

    offer = Offer(settings, window_s, project, allow_writes)
    with CodingAgentTools(offer) as tools:
        asyncio.run(serve_stdio(tools))
