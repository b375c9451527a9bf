import pytest

from halo_daemon.errors import OverloadError
from halo_daemon.store.admission import Admission


def test_what_is_released_can_be_reserved_again():
    """Room comes back with `release`."""
    admission = Admission(10)
    admission.reserve(10)
    admission.release(10)

    admission.reserve(10)

    assert admission.pending_bytes == 10


def test_the_bound_refuses_and_reserves_nothing():
    """A refused reservation leaves the count as it was."""
    admission = Admission(10)
    admission.reserve(6)

    with pytest.raises(OverloadError, match="cannot queue 5 bytes: 6 of 10"):
        admission.reserve(5)

    assert admission.pending_bytes == 6


def test_one_large_request_passes_when_nothing_waits():
    """A request over the whole bound is not refused for ever."""
    admission = Admission(10)

    admission.reserve(11)

    assert admission.pending_bytes == 11
