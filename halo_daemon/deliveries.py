"""Notifications on their way: the courier wired to the configured targets."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from random import SystemRandom

from halo_daemon.background import in_background
from halo_daemon.config import Config
from halo_daemon.errors import OutboxFullError
from halo_daemon.log import get_logger
from halo_daemon.notify.courier import Courier, queue_event
from halo_daemon.notify.events import Event
from halo_daemon.notify.outbox import Outbox
from halo_daemon.notify.targets import notifiers_of
from halo_daemon.store.paths import DataPaths

log = get_logger()


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


def tell(config: Config, events: Iterable[Event], *, now_unix_ns: int) -> None:
    """
    Put events in the outbox for the targets that they are routed to.

    A full outbox costs the events that found no place, never what they tell of.

    Raises:
        StoreError: The disk refused; some events may be in the outbox.
    """
    outbox = outbox_of(config)
    refused: list[OutboxFullError] = []
    for event in events:
        try:
            queue_event(event, config.notify, outbox, now_unix_ns=now_unix_ns)
        except OutboxFullError as exc:
            refused.append(exc)
    if refused:
        first = refused[0]
        log.error("events_dropped", events=len(refused), error=str(first), hint=first.hint)


@asynccontextmanager
async def deliveries(config: Config) -> AsyncIterator[None]:
    """
    Deliver what the outbox holds while the block runs.

    What is not accepted when the block ends stays in the outbox for the next start.
    """
    async with in_background(courier_of(config).serve, name="deliveries"):
        yield
