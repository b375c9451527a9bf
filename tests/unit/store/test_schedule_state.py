import pytest

from halo_daemon.errors import StoreError
from halo_daemon.store.schedule_state import ScheduleState
from halo_daemon.testing.failing_disk import FailingDisk


def test_what_was_noted_is_read_back(tmp_path):
    """Each schedule has its own note, and it outlives the object."""
    state = ScheduleState(tmp_path, "default")
    assert state.last_completed_unix_ns("nightly") is None

    state.set_last_completed("nightly", 5)
    state.set_last_completed("weekly", 7)

    again = ScheduleState(tmp_path, "default")
    assert again.last_completed_unix_ns("nightly") == 5
    assert again.last_completed_unix_ns("weekly") == 7


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"nightly":"x"}', b'{"nightly":true}'])
def test_a_damaged_note_counts_as_never(tmp_path, content):
    """One run too many is better than one too few."""
    state = ScheduleState(tmp_path, "default")
    state.set_last_completed("nightly", 5)
    next(tmp_path.rglob("schedule.json")).write_bytes(content)

    assert state.last_completed_unix_ns("nightly") is None


def test_a_failing_disk_keeps_the_old_note(tmp_path):
    """The note is replaced whole or not at all."""
    ScheduleState(tmp_path, "default").set_last_completed("nightly", 5)

    for failing in range(1, 4):
        with pytest.raises(StoreError, match="`nightly`"):
            ScheduleState(tmp_path, "default", disk=FailingDisk(failing)).set_last_completed(
                "nightly", 9
            )

    assert ScheduleState(tmp_path, "default").last_completed_unix_ns("nightly") == 5
