import asyncio

import pytest

from halo_daemon.errors import OverloadError, ShuttingDownError
from halo_daemon.receiver.intake import Intake


def _intake(*, max_requests=2, max_bytes=100, patience_s=0.0):
    return Intake(max_requests=max_requests, max_bytes=max_bytes, patience_s=patience_s)


async def test_bytes_of_all_requests_together_are_bounded():
    """The request that would pass the bound is refused; what it held is given back."""
    intake = _intake()

    with intake.request() as first, intake.request() as second:
        first.reserve(60)
        with pytest.raises(OverloadError, match="60 of 100"):
            second.reserve(41)

    assert intake.held_bytes == 0


async def test_a_request_beyond_the_places_is_refused_when_none_comes_free():
    """When all places are taken and its patience is over, a request is refused."""
    intake = _intake(max_requests=1)

    with intake.request() as slot, intake.request() as late:
        async with slot.work():
            with pytest.raises(OverloadError, match="1 of 1"):
                async with late.work():
                    pass

    assert (intake.open, intake.waiting, intake.working) == (0, 0, 0)


async def test_a_burst_waits_for_its_places():
    """Requests that find no place get one as others leave, and none is refused."""
    intake = _intake(max_requests=2, patience_s=10.0)
    most = 0

    async def one():
        nonlocal most
        with intake.request() as slot:
            async with slot.work():
                most = max(most, intake.working)
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(one())

    assert most == 2
    assert (intake.open, intake.working) == (0, 0)


async def test_beyond_the_waiting_ones_a_request_is_refused_at_its_head():
    """As many may wait as may work; the next one is refused before its body is read."""
    intake = _intake(max_requests=1, patience_s=10.0)

    async def wait_for_a_place(slot):
        async with slot.work():
            pass

    with intake.request() as first, intake.request() as second:
        async with first.work():
            waiting = asyncio.create_task(wait_for_a_place(second))
            await asyncio.sleep(0)
            with pytest.raises(OverloadError, match="1 waiting"), intake.request():
                pass
        await waiting


async def test_slow_uploads_take_no_places():
    """Requests whose body is still coming do not keep others out."""
    intake = _intake(max_requests=1)
    with intake.request(), intake.request(), intake.request() as fast:
        async with fast.work():
            assert (intake.open, intake.working) == (3, 1)


async def test_a_closed_intake_refuses_and_drains():
    """After closing, new requests are refused and those in work can be waited for."""
    intake = _intake()
    with intake.request():
        intake.close()
        with pytest.raises(ShuttingDownError), intake.request():
            pass
        waiting = asyncio.create_task(intake.drained())
        await asyncio.sleep(0)
        assert not waiting.done()

    await waiting
    assert intake.is_closed
