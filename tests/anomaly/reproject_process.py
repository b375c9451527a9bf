"""
A run of `reproject` that is killed at one chosen call to the disk.

    python -m tests.anomaly.reproject_process ROOT CALL
"""

import os
import signal
import sys
from pathlib import Path

from halo_daemon.store.paths import DataPaths
from halo_daemon.store.reproject import reproject
from halo_daemon.testing.failing_disk import FailingDisk


class KillingDisk(FailingDisk):
    """Kills its process instead of failing."""

    def _count(self, call: str) -> None:
        try:
            super()._count(call)
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    reproject(
        DataPaths(Path(sys.argv[1])).project("p"),
        now_unix_ns=2**62,
        disk=KillingDisk(int(sys.argv[2])),
    )
