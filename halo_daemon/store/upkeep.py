"""What a running daemon does for its data directory now and then."""

from collections.abc import Callable
from dataclasses import dataclass

from halo_daemon.errors import StoreError
from halo_daemon.log import get_logger
from halo_daemon.store.compress import compress_sealed
from halo_daemon.store.leftovers import prune_quarantine
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.project_index import ProjectIndex
from halo_daemon.store.retention import Retention, finish_prune, prune

log = get_logger()

RetentionOf = Callable[[str], Retention]
"""What is kept of the project with this slug."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """
    Indexing, pruning and compressing, in this order, one project after the other.

    Runs in the process that holds the data directory's lock, in a thread of its
    own; writers and readers go on meanwhile. What fails is logged and tried again
    with the next call.
    """

    paths: DataPaths

    compress_after_s: float | None = 86_400.0
    """`storage.compress_after`; None compresses nothing."""

    retention_of: RetentionOf = lambda _slug: Retention()

    def run(self, now_unix_ns: int) -> None:
        """Do everything that is due."""
        for slug in self.paths.slugs():
            try:
                self._tend(slug, now_unix_ns)
            except (StoreError, OSError) as exc:
                log.warning("upkeep_failed", project=slug, error=str(exc))
        if self.compress_after_s is not None:
            done = compress_sealed(
                self.paths, older_than_s=self.compress_after_s, now_unix_ns=now_unix_ns
            )
            if done.shards:
                log.info("shards_compressed", **done._asdict())

    def _tend(self, slug: str, now_unix_ns: int) -> None:
        project = self.paths.project(slug)
        finish_prune(project, now_unix_ns=now_unix_ns)
        retention = self.retention_of(slug)
        if retention != Retention():
            gone = prune(project, retention, now_unix_ns=now_unix_ns)
            if gone.traces:
                log.info("traces_pruned", project=slug, **gone._asdict())
        torn = prune_quarantine(project, max_age_s=retention.max_age_s, now_unix_ns=now_unix_ns)
        if torn.pieces:
            log.info("quarantine_pruned", project=slug, **torn._asdict())
        index = ProjectIndex(project, now_unix_ns=lambda: now_unix_ns)
        try:
            index.catch_up()
        finally:
            index.close()
