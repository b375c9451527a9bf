import os

import pytest

from halo_daemon.errors import LockHeldError, StoreError
from halo_daemon.store.lock import DataLock
from halo_daemon.store.paths import DataPaths


def test_a_second_writer_is_refused_by_name(tmp_path):
    """The message names the process that holds the directory; releasing lets the next one in."""
    with (
        DataLock(DataPaths(tmp_path)),
        pytest.raises(LockHeldError, match=f"pid {os.getpid()} on .* has it open"),
    ):
        DataLock(DataPaths(tmp_path))

    DataLock(DataPaths(tmp_path)).release()


def test_releasing_twice_is_fine(tmp_path):
    """The lock may be released on more than one path of a shutdown."""
    lock = DataLock(DataPaths(tmp_path))
    lock.release()
    lock.release()


def test_a_directory_that_cannot_be_made_is_told(tmp_path):
    """A file where the directory should be is an error with a hint."""
    (tmp_path / "data").write_text("")

    with pytest.raises(StoreError, match="cannot lock") as caught:
        DataLock(DataPaths(tmp_path / "data"))

    assert caught.value.hint
