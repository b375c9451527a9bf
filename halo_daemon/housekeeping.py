"""The data directory kept in order while the daemon runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from halo_daemon.background import in_background
from halo_daemon.config import Config
from halo_daemon.errors import HaloError
from halo_daemon.log import get_logger
from halo_daemon.own_command import run_command
from halo_daemon.store.paths import DataPaths

log = get_logger()

_FIRST_AFTER_S = 60.0
_WALL_S = 3600.0


@asynccontextmanager
async def housekeeping(config: Config, *, config_path: Path | None) -> AsyncIterator[None]:
    """
    Compress, prune and index every `storage.tidy_every`, in a child process.

    Goes on while the block runs; a pass that fails is logged, and the next one tries again.
    """
    arguments = ["--data", str(config.data.dir)]
    paths = DataPaths(config.data.dir)
    is_cut_short = any(paths.project(slug).pruning.exists() for slug in paths.slugs())
    # Some traces are there in part until a deletion that was cut short is finished.
    first_after_s = 0.0 if is_cut_short else min(_FIRST_AFTER_S, config.storage.tidy_every_s)
    if config_path is not None:
        arguments += ["--config", str(config_path)]

    async def tidy() -> None:
        await asyncio.sleep(first_after_s)
        await _serve(arguments, every_s=config.storage.tidy_every_s)

    async with in_background(tidy, name="housekeeping"):
        yield


async def _serve(arguments: list[str], *, every_s: float) -> None:
    while True:
        try:
            await run_command(
                ("store", "tidy", "--below-daemon"),
                arguments,
                wall_s=_WALL_S,
                setting="tidying pass",
            )
        except HaloError as exc:
            log.error("housekeeping_failed", error=str(exc), hint=exc.hint)  # noqa: TRY400 -- expected
        await asyncio.sleep(every_s)
