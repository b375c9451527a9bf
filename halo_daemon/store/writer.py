"""
Spans to disk: the sink behind the receivers.

Theory of operation
===================

Requests come from one event loop; one thread, the committer, owns all open
shards. While it writes and syncs, arrivals collect; when it is done it takes
whatever waits as the next group: one sync for each project in it, however many
requests that is. A lone request waits for nobody, and a thousand share a sync.
There is no timer and no delay to tune.

A group is bounded, so that its first requests do not wait for all of a full queue,
which `Admission` bounds in bytes. The lines of small requests are joined for the
write, those of large ones are not copied.

A request is answered when all its projects are stored. Where one project of a
group fails, only the requests with spans of that project fail.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Thread

from halo_daemon.errors import IngestError, LimitError, ShuttingDownError, StorageUnavailableError
from halo_daemon.log import get_logger
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import Project
from halo_daemon.store.admission import Admission
from halo_daemon.store.disk import DEFAULT_MIN_FREE_BYTES, Disk, require_free
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import register_project
from halo_daemon.store.shard import ProjectShards, ShardLimits

log = get_logger()

_MAX_GROUP_BYTES = 32 * 1024**2
_JOINED_BELOW_BYTES = 64 * 1024
_SEAL_CHECK_S = 30.0


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """The bounds of one writer."""

    shard: ShardLimits = field(default_factory=ShardLimits)

    max_pending_bytes: int = 256 * 1024**2
    """`storage.max_pending`."""

    min_free_bytes: int = DEFAULT_MIN_FREE_BYTES
    """`storage.min_free`."""

    max_open_shards: int = 256
    """Shards held open; the one that was used least recently is sealed beyond it."""

    max_projects: int = 10_000
    """Projects in one data directory, so that made-up names cannot fill it with directories."""


class _Request:
    """One waiting `accept`."""

    __slots__ = ("batches", "error", "future", "size_bytes")

    def __init__(
        self, batches: Sequence[SpanBatch], size_bytes: int, future: asyncio.Future[None]
    ) -> None:
        self.batches = batches
        self.size_bytes = size_bytes
        self.future = future
        self.error: IngestError | None = None

    def resolve(self) -> None:
        """Tell the waiting task; it may have been cancelled meanwhile."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(self.error)


class SpanWriter:
    """
    A `SpanSink` that stores spans in the shards of a data directory.

    The caller holds the directory's `DataLock`, or is a worker of the process
    that does. All requests come from one event loop.

    Args:
        root: The data directory; created when missing.

        worker: Number of this process among the receiver's workers; names its shards.

        limits: Bounds of queue, shards and free disk.

        now_unix_ns: Wall clock, for times of receipt and names.

        now_monotonic_s: Monotonic clock, for the age of shards.

        disk: System calls; tests make them fail.
    """

    def __init__(
        self,
        root: Path,
        *,
        worker: int,
        now_unix_ns: Callable[[], int],
        now_monotonic_s: Callable[[], float],
        limits: WriterLimits = WriterLimits(),
        disk: Disk | None = None,
    ) -> None:
        self._paths = DataPaths(root)
        self._worker = worker
        self._limits = limits
        self._now_unix_ns = now_unix_ns
        self._now_monotonic_s = now_monotonic_s
        self._disk = disk or Disk()
        self._admission = Admission(limits.max_pending_bytes)
        self._shards: OrderedDict[str, ProjectShards] = OrderedDict()
        self._waiting: deque[_Request] = deque()
        self._wake = Condition()
        self._is_closing = False
        self._next_seal_check_s = 0.0
        self._thread: Thread | None = None

    @property
    def pending_bytes(self) -> int:
        """Bytes accepted from receivers and not yet on disk."""
        return self._admission.pending_bytes

    async def accept(self, batches: Sequence[SpanBatch]) -> None:
        """
        Store the batches of one request; see `SpanSink.accept`.

        Cancelling the call does not undo it: what waits is still written.
        """
        if self._is_closing:
            raise ShuttingDownError("cannot store spans: the daemon is stopping")
        if not batches:
            return
        size_bytes = sum(len(batch.lines) for batch in batches)
        self._admission.reserve(size_bytes)
        request = _Request(batches, size_bytes, asyncio.get_running_loop().create_future())
        with self._wake:
            self._waiting.append(request)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="halo-committer", daemon=True)
                self._thread.start()
            self._wake.notify()
        await request.future

    async def aclose(self) -> None:
        """Store what waits, seal every shard, and take nothing more; idempotent."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
            _resolve(group)
            # While some projects are busy, the shards of quiet ones come of age too.
            self._seal_due()
        for shards in self._shards.values():
            shards.seal()

    def _next_group(self) -> list[_Request]:
        """Wait for requests; an empty list means that the writer is closed and drained."""
        with self._wake:
            while not self._waiting:
                if self._is_closing:
                    return []
                if not self._wake.wait(_SEAL_CHECK_S):
                    self._seal_due()
            group = [self._waiting.popleft()]
            size_bytes = group[0].size_bytes
            while self._waiting and size_bytes + self._waiting[0].size_bytes <= _MAX_GROUP_BYTES:
                size_bytes += self._waiting[0].size_bytes
                group.append(self._waiting.popleft())
        return group

    def _commit(self, group: list[_Request]) -> None:
        by_slug: dict[str, list[SpanBatch]] = {}
        for request in group:
            for batch in request.batches:
                by_slug.setdefault(batch.project.slug, []).append(batch)
        failed: dict[str, IngestError] = {}
        for slug, batches in by_slug.items():
            try:
                self._store(batches[0].project, _joined(batches))
            except IngestError as exc:
                failed[slug] = exc
            except Exception as exc:
                # The border of the thread: senders must get an answer, whatever went wrong.
                log.exception("committer_failed", project=slug)
                failed[slug] = StorageUnavailableError(f"cannot store project `{slug}`: {exc}")
        for request in group:
            self._admission.release(request.size_bytes)
            request.error = next(
                (
                    failed[slug]
                    for batch in request.batches
                    if (slug := batch.project.slug) in failed
                ),
                None,
            )

    def _store(self, project: Project, group: list[bytes | bytearray]) -> None:
        now_unix_ns = self._now_unix_ns()
        try:
            shards = self._shards_of(project, now_unix_ns)
            require_free(self._disk, self._paths.root, min_free_bytes=self._limits.min_free_bytes)
            shards.append(group, now_unix_ns=now_unix_ns, now_monotonic_s=self._now_monotonic_s())
        except OSError as exc:
            size_bytes = sum(map(len, group))
            log.error("store_failed", project=project.slug, bytes=size_bytes, error=str(exc))  # noqa: TRY400 -- the cause is the disk, not the code
            raise StorageUnavailableError(
                f"cannot store {size_bytes} bytes of project `{project.slug}`: {exc}",
                hint="check the disk of the data directory; senders retry by themselves",
            ) from exc

    def _shards_of(self, project: Project, now_unix_ns: int) -> ProjectShards:
        shards = self._shards.get(project.slug)
        # Registered again when somebody deleted the project under the running daemon.
        if shards is None or not self._paths.project(project.slug).project_json.is_file():
            self._register(project, now_unix_ns)
        if shards is None:
            shards = ProjectShards(
                self._disk,
                self._paths.project(project.slug),
                worker=self._worker,
                limits=self._limits.shard,
            )
            self._shards[project.slug] = shards
            while len(self._shards) > self._limits.max_open_shards:
                self._shards.popitem(last=False)[1].seal()
        self._shards.move_to_end(project.slug)
        return shards

    def _register(self, project: Project, now_unix_ns: int) -> None:
        self._disk.make_directory(self._paths.projects)
        if not self._paths.project(project.slug).directory.is_dir():
            projects = len(self._paths.slugs())
            if projects >= self._limits.max_projects:
                raise LimitError(
                    f"cannot create project `{project.slug}`: {projects} of "
                    f"{self._limits.max_projects} projects exist",
                    hint="name a project that exists, or remove projects that are not used",
                )
        register_project(self._disk, self._paths, project, now_unix_ns=now_unix_ns)

    def _seal_due(self) -> None:
        now_monotonic_s = self._now_monotonic_s()
        if now_monotonic_s < self._next_seal_check_s:
            return
        self._next_seal_check_s = now_monotonic_s + _SEAL_CHECK_S
        for shards in self._shards.values():
            shards.seal_if_due(now_unix_ns=self._now_unix_ns(), now_monotonic_s=now_monotonic_s)


def _joined(batches: list[SpanBatch]) -> list[bytes | bytearray]:
    """The lines of *batches* in order, small ones joined."""
    joined: list[bytes | bytearray] = []
    small: list[bytes | bytearray] = []
    for batch in batches:
        if len(batch.lines) < _JOINED_BELOW_BYTES:
            small.append(batch.lines)
            continue
        if small:
            joined.append(b"".join(small))
            small = []
        joined.append(batch.lines)
    return [*joined, b"".join(small)] if small else joined


def _resolve(group: list[_Request]) -> None:
    loop = group[0].future.get_loop()

    def resolve_all() -> None:
        for request in group:
            request.resolve()

    try:
        loop.call_soon_threadsafe(resolve_all)
    except RuntimeError:
        # The loop has ended, so nobody waits; the spans are stored all the same.
        log.info("answers_unwanted", requests=len(group))
