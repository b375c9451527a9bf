import asyncio

import pytest
from structlog.testing import capture_logs

from halo_daemon.background import in_background


async def test_a_part_that_fails_is_logged_and_begins_anew():
    """An error nobody foresaw stops no part of the daemon for longer than the pause."""
    starts = []
    third = asyncio.Event()

    async def work() -> None:
        starts.append(len(starts))
        if len(starts) == 3:
            third.set()
            await asyncio.Event().wait()
        raise KeyError("unforeseen")

    with capture_logs() as logs:
        async with in_background(work, name="courier", restart_pause_s=0.0):
            await third.wait()

    assert starts == [0, 1, 2]
    assert [(each["event"], each["part"]) for each in logs] == [("part_failed", "courier")] * 2


async def test_leaving_waits_until_the_work_has_ended():
    """What the work cleans up is done before the next part stops."""
    started, cleaned = asyncio.Event(), []

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async with in_background(work, name="housekeeping"):
        await started.wait()

    assert cleaned == [True]


async def test_an_error_in_the_block_is_the_one_that_is_raised():
    """The part beside it never hides what ended the daemon."""

    async def work() -> None:
        await asyncio.Event().wait()

    async def die() -> None:
        raise OSError("the listener died")

    with pytest.raises(OSError, match="the listener died"):
        async with in_background(work, name="housekeeping"):
            await die()
