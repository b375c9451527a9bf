"""Runs on schedule: the scheduler wired to analyses in child processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from halo_daemon.background import in_background
from halo_daemon.config import Config
from halo_daemon.own_command import run_command
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.scheduler import RunFailure, RunRequest, Scheduler
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.schedule_state import ScheduleState
from halo_daemon.store.schedule_switches import ScheduleSwitches

_REQUEST_POLL_S = 1.0


@asynccontextmanager
async def scheduled_analyses(config: Config, *, config_path: Path | None) -> AsyncIterator[None]:
    """
    Run the configured analyses while the block runs, and those that people ask for.

    Child processes read *config_path*, which is None where no file was named.
    Leaving the block stops the run at hand; it is made up for at the next start.
    """
    scheduler = scheduler_of(config, config_path=config_path)
    switches = ScheduleSwitches(config.data.dir)

    async def take_requests() -> None:
        while True:
            for name in await asyncio.to_thread(switches.take_requests):
                scheduler.ask(name)
            await asyncio.sleep(_REQUEST_POLL_S)

    async with (
        in_background(scheduler.serve, name="scheduler"),
        in_background(take_requests, name="schedule_requests"),
    ):
        yield


def scheduler_of(config: Config, *, config_path: Path | None) -> Scheduler:
    """Build the scheduler whose runs are child processes, which read *config_path*."""
    root = config.data.dir
    config_arguments = ["--config", str(config_path)] if config_path else []

    async def run(request: RunRequest) -> None:
        arguments = [
            *("--project", request.project),
            *("--since", format_unix_ns(request.from_unix_ns)),
            *("--until", format_unix_ns(request.to_unix_ns)),
            *("--engine", request.entry.engine),
            *("--schedule", request.entry.name),
            *("--data", str(root)),
            *config_arguments,
        ]
        await run_command(
            ("analyze",),
            arguments,
            wall_s=config.analysis.budget.wall_s,
            setting="analysis.budget.wall",
        )

    async def tell_of(failure: RunFailure) -> None:
        # Seldom needed, and what events are made of takes some megabytes.
        from halo_daemon.deliveries import tell  # noqa: PLC0415 -- see above
        from halo_daemon.notify.events import FailedRun, run_failed  # noqa: PLC0415 -- see above

        event = run_failed(
            FailedRun(
                project=failure.project,
                schedule=failure.entry.name,
                engine=failure.entry.engine,
                at=format_unix_ns(failure.began_unix_ns),
                error=failure.error,
                hint=failure.hint,
                retry_after_s=failure.retry_after_s,
            )
        )
        await asyncio.to_thread(tell, config, [event], now_unix_ns=time.time_ns())

    return Scheduler(
        config.analysis.schedule,
        projects=DataPaths(root).slugs,
        run=run,
        notes_of=lambda project: ScheduleState(root, project),
        now_unix_ns=time.time_ns,
        on_failure=tell_of,
        is_paused=ScheduleSwitches(root).is_paused,
    )
