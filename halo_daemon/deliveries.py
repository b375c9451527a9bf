"""Notifications on their way: the courier wired to the configured targets."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import SystemRandom

from halo_daemon.config import Config
from halo_daemon.notify.courier import Courier
from halo_daemon.notify.outbox import Outbox
from halo_daemon.notify.targets import notifiers_of
from halo_daemon.store.paths import DataPaths


def outbox_of(config: Config) -> Outbox:
    """Build the outbox of the data directory."""
    return Outbox(DataPaths(config.data.dir).outbox)


def courier_of(config: Config) -> Courier:
    """Build a courier over the outbox of the data directory."""
    return Courier(
        outbox_of(config),
        notifiers_of(config.notify.targets, now_unix_ns=time.time_ns),
        addresses={name: target.url for name, target in config.notify.targets.items()},
        now_unix_ns=time.time_ns,
        rng=SystemRandom(),
    )


@asynccontextmanager
async def deliveries(config: Config) -> AsyncIterator[None]:
    """
    Deliver what the outbox holds while the block runs.

    What is not accepted when the block ends stays in the outbox for the next start.
    """
    task = asyncio.create_task(courier_of(config).serve(), name="courier")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
