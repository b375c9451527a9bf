"""One project of a local data directory, open for questions."""

from collections.abc import Callable
from pathlib import Path
from threading import RLock

from halo_daemon.store.paths import DataPaths
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.projects import find_project
from halo_daemon.store.shard_files import ShardFiles


class LocalProject:
    """
    The index and the shards of a project, for those who answer questions from them.

    Threads take turns; for parallel questions give each its own object.

    Args:
        root: The data directory.

        project: Slug or name of the project.

        now_unix_ns: Wall clock, to know which days may still grow.

    Attributes:
        project: The project that was found.

    Raises:
        UnknownProjectError: There is no such project.
    """

    def __init__(self, root: Path, project: str, *, now_unix_ns: Callable[[], int]) -> None:
        paths = DataPaths(root)
        self.project = find_project(paths, project)
        place = paths.project(self.project.slug)
        self._index = ProjectIndex(place, now_unix_ns=now_unix_ns)
        self._files = ShardFiles(place.spans)
        self._lock = RLock()

    def close(self) -> None:
        """Close every file; a later call opens them again."""
        with self._lock:
            self._index.close()
            self._files.close()
