"""What people say of schedule entries survives, and says whether it changed anything."""

import pytest

from halo_daemon.errors import StoreError
from halo_daemon.store.disk import Disk
from halo_daemon.store.schedule_switches import ScheduleSwitches


def test_a_pause_is_seen_by_others_until_it_ends(tmp_path):
    """Every reader of the directory sees it; saying it twice changes nothing."""
    ours, theirs = ScheduleSwitches(tmp_path), ScheduleSwitches(tmp_path)

    assert not theirs.is_paused("nightly")
    assert [ours.pause("nightly"), ours.pause("nightly")] == [True, False]
    assert theirs.is_paused("nightly")
    assert not theirs.is_paused("hourly")
    assert [ours.resume("nightly"), ours.resume("nightly")] == [True, False]
    assert not theirs.is_paused("nightly")


def test_a_request_is_taken_once(tmp_path):
    """Asked twice is taken once; what was taken cannot be withdrawn, what waits can."""
    switches = ScheduleSwitches(tmp_path)

    assert switches.take_requests() == []
    for name in ("b", "a.b", "b"):
        switches.ask(name)
    switches.pause("c")

    assert switches.is_asked("b")
    assert switches.take_requests() == ["a.b", "b"]
    assert switches.take_requests() == []
    assert not switches.withdraw("b")
    switches.ask("b")
    assert switches.withdraw("b")
    assert switches.is_paused("c")


class _Refusing(Disk):
    def sync_directory(self, path):
        raise OSError(28, "No space left on device", str(path))


def test_a_disk_that_refuses_is_told(tmp_path):
    """A pause that may not outlive a crash is not reported as made."""
    with pytest.raises(StoreError, match=r"cannot switch a schedule in .*No space left"):
        ScheduleSwitches(tmp_path / "new", disk=_Refusing()).pause("nightly")
