from pathlib import Path

import pytest

from halo_daemon.errors import StorageUnavailableError
from halo_daemon.store.disk import Disk, require_free

MIB = 2**20


class _Disk(Disk):
    """A file system of a given size."""

    def __init__(self, *, free, total):
        self._free, self._total = free, total

    def free_bytes(self, _path):
        """What is left."""
        return self._free

    def total_bytes(self, _path):
        """What there is."""
        return self._total


@pytest.mark.parametrize(
    ("free", "total", "is_refused"),
    [
        pytest.param(300 * MIB, 100_000 * MIB, False, id="room"),
        pytest.param(200 * MIB, 100_000 * MIB, True, id="large-and-nearly-full"),
        pytest.param(60 * MIB, 64 * MIB, False, id="small-and-empty"),
        pytest.param(3 * MIB, 64 * MIB, True, id="small-and-nearly-full"),
    ],
)
def test_a_little_of_every_disk_stays_free(free, total, is_refused):
    """A large disk keeps the configured space free, a small one a twentieth of itself."""
    disk = _Disk(free=free, total=total)

    try:
        require_free(disk, Path("/data"), min_free_bytes=256 * MIB)
    except StorageUnavailableError as exc:
        refused = "storage.min_free" in str(exc)
    else:
        refused = False

    assert refused is is_refused
