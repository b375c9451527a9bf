"""
A renaming of project `shop` to `Bot` that is killed at one chosen call to the disk.

    python -m tests.anomaly.rename_process ROOT CALL
"""

import sys
from pathlib import Path

from halo_daemon.proto.project import Project
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import find_project, rename_project
from tests.anomaly.reproject_process import KillingDisk

if __name__ == "__main__":
    paths = DataPaths(Path(sys.argv[1]))
    disk = KillingDisk(int(sys.argv[2]))
    rename_project(disk, paths, find_project(paths, "shop"), Project("bot", "Bot"))
