"""When scheduled runs last completed, so that a restart knows what it missed."""

from pathlib import Path
from typing import cast

import orjson

from halo_daemon.errors import StoreError
from halo_daemon.log import get_logger
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.store.disk import Disk, write_atomically
from halo_daemon.store.paths import DataPaths

log = get_logger()


class ScheduleState:
    """
    The last completed run of each schedule of one project.

    Whoever holds the lock of the data directory writes it; it has none of its own.
    """

    def __init__(self, root: Path, project: str, *, disk: Disk | None = None) -> None:
        self._path = DataPaths(root).project(project).schedule
        self._disk = disk or Disk()

    def last_completed_unix_ns(self, schedule: str) -> int | None:
        """
        Up to when *schedule* has analysed, in Unix nanoseconds; None when it never ran.

        A damaged file counts as "never ran": one run too many is better than one too few.
        """
        value = self._read().get(schedule)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def set_last_completed(self, schedule: str, unix_ns: int) -> None:
        """
        Note that *schedule* has analysed everything up to a moment.

        Raises:
            StoreError: The disk refused; the old note stands.
        """
        fields = self._read()
        fields[schedule] = unix_ns
        try:
            self._disk.make_directory(self._path.parent)
            write_atomically(self._disk, self._path, orjson.dumps(fields) + b"\n")
        except OSError as exc:
            raise StoreError(
                f"cannot note the run of schedule `{schedule}` in {self._path}: {exc}",
                hint="check free space and permissions of the data directory",
            ) from exc

    def _read(self) -> JsonObject:
        try:
            fields = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            log.warning("schedule_state_lost", path=str(self._path), error=str(exc))
            return {}
        return cast("JsonObject", fields) if isinstance(fields, dict) else {}
