"""
All derived files of one project, brought up to date and kept open.

`catch_up` is called before every answer. It looks at the shards' lengths, which
costs microseconds when nothing changed, and indexes what is new under the
project's index lock, so that a daemon and commands beside it take turns. The
lock is released after every block: nobody waits for another's whole build, but for
the copy of what traces of several days have new (`merged_index`), one transaction.

Any doubt about a derived file ends here: it is deleted and built again, once;
a second failure in a row is an error of the disk and raised as `StoreError`.
Where the data directory may not be written, derived files go elsewhere (`scratch`).
"""

import fcntl
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TypeVar
from weakref import WeakSet

from halo_daemon.errors import StoreError
from halo_daemon.log import get_logger
from halo_daemon.store.catalog import Catalog
from halo_daemon.store.database import (
    ODD_VALUES,
    IndexErrors,
    is_damage,
    is_sound,
    remove_database,
)
from halo_daemon.store.day_index import DayIndex
from halo_daemon.store.merged_index import MergedIndex
from halo_daemon.store.paths import DayPaths, ProjectPaths, day_of
from halo_daemon.store.scratch import in_scratch, is_refused
from halo_daemon.store.span_index import SpanIndex

log = get_logger()

T = TypeVar("T")

_DAY_NS = 86_400 * 10**9


class ProjectIndex:
    """
    The indexes of a project's days and its catalog.

    Not safe to use from two threads at a time; the reader takes turns.
    """

    def __init__(self, paths: ProjectPaths, *, now_unix_ns: Callable[[], int]) -> None:
        self.paths = paths
        self._now_unix_ns = now_unix_ns
        self._days: dict[str, DayIndex] = {}
        self._places: tuple[DayPaths, ...] = ()
        self._place_of: dict[str, DayPaths] = {}
        self._catalog: Catalog | None = None
        self._shared: dict[bytes, list[str]] = {}
        self._shared_count = 0
        self._merged: MergedIndex | None = None
        self._told: WeakSet[DayIndex] = WeakSet()
        self._knows_shared = False

    def close(self) -> None:
        """Close every file; the next call opens them again."""
        while self._days:
            self._days.popitem()[1].close()
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None
        self._close_merged()
        self._shared, self._shared_count = {}, 0

    @property
    def days(self) -> list[DayIndex]:
        """The days, oldest first, as of the last `catch_up`."""
        return [self._days[day] for day in sorted(self._days)]

    @property
    def parts(self) -> list[SpanIndex]:
        """Indexes that together answer for every trace, each trace by one of them."""
        return [*self.days, *self.merged]

    @property
    def merged(self) -> list[MergedIndex]:
        """The index of traces of several days, where there are such."""
        return [] if self._merged is None else [self._merged]

    @property
    def shared(self) -> Collection[bytes]:
        """Traces that no day answers for, as of the last `catch_up`; never changed in place."""
        return self._shared.keys()

    def open_part(self, name: str) -> SpanIndex | None:
        """The one of `parts` with this `SpanIndex.day`; None when it is gone."""
        return self._days.get(name) if name else self._merged

    def holder(self, trace_id: bytes) -> SpanIndex | None:
        """The one of `parts` that answers for a trace, if there is such a trace."""
        assert self._catalog is not None, "catch_up first"
        if trace_id in self._shared:
            return self._merged
        for day in self._catalog.days_of(trace_id):
            if day in self._days:
                return self._days[day]
        return None

    def catch_up(self) -> None:
        """
        Index everything that was stored before this call.

        Raises:
            StoreError: The derived files cannot be written or read, even anew.
        """
        self.answer(lambda: None)

    def answer(self, question: Callable[[], T]) -> T:
        """
        Catch up, then ask; damaged derived files are built again, and it is asked once more.

        Raises:
            StoreError: The derived files cannot be written or read, even anew.
        """
        try:
            try:
                return self._mended_answer(question)
            except (*IndexErrors, OSError) as exc:
                if self.paths.derived is not None or not is_refused(exc, self.paths):
                    raise
                self.close()
                self.paths = in_scratch(self.paths)
            return self._mended_answer(question)
        except (*IndexErrors, OSError) as exc:
            raise StoreError(
                f"cannot index project `{self.paths.slug}` in {self.paths.directory}: {exc}",
                hint="the index is written beside the spans, or to TMPDIR where that is refused:"
                " check free space and permissions",
            ) from exc

    def _mended_answer(self, question: Callable[[], T]) -> T:
        try:
            self._catch_up()
            return question()
        except IndexErrors as exc:
            if not is_damage(exc):
                raise
            self._report("project", exc)
        except ODD_VALUES as exc:
            if self._is_sound():
                raise
            self._report("project", exc)
        self._remove_damaged()
        self._catch_up()
        return question()

    def ask(self, question: Callable[[], T]) -> T:
        """
        Ask what was indexed by the last `catch_up`; what is not open or damaged is made good.

        Raises:
            StoreError: The derived files cannot be written or read, even anew.
        """
        if self._catalog is None:
            return self.answer(question)
        try:
            return question()
        except (*IndexErrors, *ODD_VALUES):
            return self.answer(question)

    def _catch_up(self) -> None:
        self._refresh_catalog()
        places = self.paths.days()
        if places is not self._places:
            self._places, self._place_of = places, {place.day: place for place in places}
        self._forget_days(self._place_of.keys())
        # A shard takes spans of its own UTC day only; one day of margin is for a clock
        # that was set back.
        growing_from = day_of(self._now_unix_ns() - _DAY_NS)
        for day, place in self._place_of.items():
            self._catch_up_day(day, place, may_grow=day >= growing_from)
        if self._merged is not None and not self._merged.is_current_file:
            self._knows_shared = False
        # Entries come with new spans, and this object has seen no others.
        if not self._knows_shared:
            self._merge_shared()
            self._knows_shared = True

    def _is_sound(self) -> bool:
        opened = [part.connection for part in self.parts]
        if self._catalog is not None:
            opened.append(self._catalog.connection)
        return all(map(is_sound, opened))

    def _remove_damaged(self) -> None:
        """Throw away what SQLite finds damaged, or everything when it finds nothing."""
        damaged = [part.day for part in self.parts if not is_sound(part.connection)]
        catalog_is_sound = self._catalog is not None and is_sound(self._catalog.connection)
        if not damaged and catalog_is_sound:
            damaged, catalog_is_sound = list(self._days), False
        for day in damaged:
            self.rebuild(day)
        if not catalog_is_sound:
            self.close()
            with self._locked():
                remove_database(self.paths.catalog)

    def rebuild(self, day: str) -> None:
        """
        Throw the index of *day* away, or, for ``""``, that of traces of several days.

        The next `catch_up` builds it again.
        """
        open_index = self._days.pop(day, None)
        if open_index is not None:
            open_index.close()
        with self._locked():
            if day:
                remove_database(self.paths.day(day).index)
            else:
                self._close_merged()
                remove_database(self.paths.merged)

    def _refresh_catalog(self) -> None:
        if self._catalog is not None and self._catalog.is_current_file:
            return
        self.close()
        if not self.paths.directory.is_dir():
            raise StoreError(f"cannot read project `{self.paths.slug}`: it has no directory")
        with self._locked():
            try:
                self._catalog = Catalog(self.paths)
            except IndexErrors as exc:
                if not is_damage(exc):
                    raise
                self._report("catalog", exc)
                remove_database(self.paths.catalog)
                self._catalog = Catalog(self.paths)

    def _forget_days(self, present: Collection[str]) -> None:
        for day in [day for day in self._days if day not in present]:
            self._days.pop(day).close()
            self._knows_shared = False

    def _catch_up_day(self, day: str, place: DayPaths, *, may_grow: bool) -> None:
        try:
            index = self._days.get(day)
            if index is None or not index.is_unchanged(may_grow=may_grow):
                self._index_day(day, place)
        except IndexErrors as exc:
            if not place.directory.is_dir():
                self._forget_days(self._days.keys() - {day})
                return
            if not is_damage(exc):
                raise
            self._report(day, exc)
            self.rebuild(day)
            self._index_day(day, place)

    def _index_day(self, day: str, place: DayPaths) -> None:
        self._knows_shared = False
        index = self._days.get(day)
        if index is not None and not index.is_current_file:
            self._days.pop(day).close()
            index = None
        if index is None:
            with self._locked():
                index = self._days[day] = DayIndex(place)
        self._index_new(index)

    def _index_new(self, index: DayIndex) -> None:
        assert self._catalog is not None
        catalog = self._catalog
        with self._locked():
            missing = index.traces_after(catalog.entered(index.file))
            catalog.enter(index.day, missing, file=index.file)
        goal = index.reach()
        has_more = True
        while has_more:
            # One block a turn: others with the same need do the next one.
            with self._locked():
                has_more = index.index_block(
                    goal, lambda new: catalog.enter(index.day, new, file=index.file)
                )

    def _merge_shared(self) -> None:
        try:
            self._try_merge_shared()
        except IndexErrors as exc:
            if not is_damage(exc):
                raise
            self._report("traces of several days", exc)
            self.rebuild("")
            self._try_merge_shared()

    def _try_merge_shared(self) -> None:
        assert self._catalog is not None
        # Whoever adds an entry holds the lock: no row of a shared trace is passed over.
        with self._locked():
            self._refresh_shared(self._catalog)
            if self._merged is not None and not self._merged.is_current_file:
                self._close_merged()
            if not self._shared:
                self._close_merged()
                return
            if self._merged is None:
                self._merged = MergedIndex(self.paths)
            self._merged.take(self.days, self._shared.keys())

    def _refresh_shared(self, catalog: Catalog) -> None:
        count = catalog.shared_count()
        if count != self._shared_count:
            self._shared, self._shared_count = catalog.shared(), count
            self._told.clear()
        untold = [index for index in self._days.values() if index not in self._told]
        if not untold:
            return
        of_day: dict[str, list[bytes]] = {}
        for trace_id, days in self._shared.items():
            for day in days:
                of_day.setdefault(day, []).append(trace_id)
        for index in untold:
            index.set_shared(of_day.get(index.day, ()))
            self._told.add(index)

    def _close_merged(self) -> None:
        # Whatever closes it, what is shared has an answer again only after the next merge.
        self._knows_shared = False
        if self._merged is not None:
            self._merged.close()
            self._merged = None

    def _report(self, what: str, exc: Exception) -> None:
        log.warning("index_rebuilt", project=self.paths.slug, what=what, reason=str(exc))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """
        Take the project's turn at writing derived files.

        There is no time limit: the kernel releases the lock of a holder that dies,
        and one that lives holds it for one block, or one copy of shared traces.
        """
        fd = os.open(self.paths.index_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
