"""The data directory kept in order while the daemon runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog

from halo_daemon.config import Config
from halo_daemon.errors import HaloError
from halo_daemon.own_command import run_command

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_FIRST_AFTER_S = 60.0
_INTERVAL_S = 3600.0
_WALL_S = 3600.0


@asynccontextmanager
async def housekeeping(config: Config, *, config_path: Path | None) -> AsyncIterator[None]:
    """
    Compress, prune and index once an hour, in a child process, while the block runs.

    A pass that fails is logged and tried again an hour later.
    """
    arguments = ["--data", str(config.data.dir)]
    if config_path is not None:
        arguments += ["--config", str(config_path)]
    task = asyncio.create_task(_serve(arguments), name="housekeeping")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _serve(arguments: list[str]) -> None:
    await asyncio.sleep(_FIRST_AFTER_S)
    while True:
        try:
            await run_command(("store", "tidy"), arguments, wall_s=_WALL_S, setting="hourly pass")
        except HaloError as exc:
            log.error("housekeeping_failed", error=str(exc), hint=exc.hint)  # noqa: TRY400 -- expected
        await asyncio.sleep(_INTERVAL_S)
