"""Parts of the daemon that go on by themselves, beside the receivers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from halo_daemon.log import get_logger

log = get_logger()

RESTART_PAUSE_S = 60.0


@asynccontextmanager
async def in_background(
    work: Callable[[], Awaitable[None]], *, name: str, restart_pause_s: float = RESTART_PAUSE_S
) -> AsyncIterator[None]:
    """
    Keep *work* going while the block runs; leaving the block cancels it and waits.

    An error that *work* did not foresee is logged, and it begins anew after a pause:
    a daemon whose nightly reports stop in silence is worse than one that logs.

    Args:
        work: Never returns by itself.

        name: What the log calls it.

        restart_pause_s: Seconds from an error to the next start.
    """
    task = asyncio.create_task(_keep_going(work, name, restart_pause_s), name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep_going(
    work: Callable[[], Awaitable[None]], name: str, restart_pause_s: float
) -> None:
    while True:
        try:
            await work()
        except Exception:
            # The border of a task that nobody awaits.
            log.exception("part_failed", part=name, restart_after_s=restart_pause_s)
        await asyncio.sleep(restart_pause_s)
