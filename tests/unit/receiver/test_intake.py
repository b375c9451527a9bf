import asyncio

import pytest

from halo_daemon.errors import OverloadError, ShuttingDownError
from halo_daemon.receiver.intake import Intake


def _intake(*, max_requests=2, max_bytes=100):
    return Intake(max_requests=max_requests, max_bytes=max_bytes)


async def test_bytes_of_all_requests_together_are_bounded():
    """The request that would pass the bound is refused; what it held is given back."""
    intake = _intake()

    with intake.request() as first, intake.request() as second:
        first.reserve(60)
        with pytest.raises(OverloadError, match="60 of 100"):
            second.reserve(41)

    assert intake.held_bytes == 0


async def test_a_request_beyond_the_places_is_refused_before_its_body():
    """When all places are taken, a new request is refused at its head."""
    intake = _intake(max_requests=1)

    with (
        intake.request() as slot,
        slot.work(),
        pytest.raises(OverloadError, match="1 of 1"),
        intake.request(),
    ):
        pass

    assert (intake.open, intake.working) == (0, 0)


async def test_slow_uploads_take_no_places():
    """Requests whose body is still coming do not keep others out."""
    intake = _intake(max_requests=1)
    with intake.request(), intake.request(), intake.request() as fast, fast.work():
        assert intake.open == 3


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
