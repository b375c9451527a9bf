"""
When analyses run; the only `apscheduler` import.

Theory of operation
===================

APScheduler tells the time, nothing more: when an entry is due, its projects are
put in line. One worker takes them from the line, one after the other, so there
are never two runs at once, of one project or of any, and receiving keeps the
rest of the machine.

What a schedule has analysed so far is noted per project after each completed
run. The note alone decides what was missed: at start every project whose note is
older than the last due time is put in line at once, and a window never begins
after the end of the last completed run (`schedule_times`). A failed run leaves the note
as it is and is tried again twice, after a minute and after ten; then it waits for its
next time. Its next run covers what it should have.

An entry that a person paused is put in line as always and passed over when its turn
comes. Its notes stand still meanwhile, so the first run after the pause covers it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import NamedTuple, Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from halo_daemon.config import ScheduleEntry
from halo_daemon.errors import HaloError
from halo_daemon.log import get_logger
from halo_daemon.schedule_times import is_missed, times_after, window_start

log = get_logger()

RETRY_AFTER_S = (60.0, 600.0)
"""How long after a failure a run is tried again, and how often: a disk that was full or a
provider that was down often is not for long, and each try may cost a model's budget."""

# Timers follow a clock that stands still while the machine sleeps; a look at the wall clock
# every minute finds what became due meanwhile.
_LOOK_INTERVAL_S = 60


class Notes(Protocol):
    """
    What has been analysed so far, of one project.

    - A note survives a restart once `set_last_completed` returned.
    - Reading never fails: what cannot be read counts as "never ran".
    """

    def last_completed_unix_ns(self, schedule: str) -> int | None:
        """Up to when *schedule* has analysed; None when it never has."""

    def set_last_completed(self, schedule: str, unix_ns: int) -> None:
        """
        Note that *schedule* has analysed everything up to a moment.

        Raises:
            StoreError: The disk refused; the old note stands.
        """


class RunRequest(NamedTuple):
    """
    One analysis to make: of *project*, over ``[from_unix_ns, to_unix_ns)``.

    Attributes:
        is_catch_up: Whether it makes up for a time when the daemon did not run.
    """

    project: str
    entry: ScheduleEntry
    from_unix_ns: int
    to_unix_ns: int
    is_catch_up: bool = False


class RunFailure(NamedTuple):
    """
    A run that was not completed, the first of its tries.

    Attributes:
        began_unix_ns: When the try began.

        retry_after_s: When it is tried again; None for at its next time.
    """

    project: str
    entry: ScheduleEntry
    began_unix_ns: int
    error: str
    hint: str
    retry_after_s: float | None


class _Waiting(NamedTuple):
    project: str
    entry: ScheduleEntry
    is_catch_up: bool
    is_asked: bool = False
    """Whether a person asked for it: it runs although its entry is paused."""

    @property
    def key(self) -> tuple[str, str, bool]:
        """What is in line once at most."""
        return self.project, self.entry.name, self.is_asked


class _CronTrigger(BaseTrigger):  # type: ignore[misc]  # the library ships no types
    """Fires when an entry is due; what became due meanwhile fires once."""

    def __init__(self, entry: ScheduleEntry) -> None:
        self._entry = entry

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        after = max(previous, now) if previous else now
        return next(times_after(self._entry, after), None)


class Scheduler:
    """
    Runs analyses when they are due, one at a time.

    One event loop owns it; there is no lock because nothing awaits between the
    look at who is waiting and the change of it.

    Args:
        entries: The schedule; empty for none.

        projects: Slugs of the projects there are, asked anew each time an entry is due.

        run: Makes one analysis; raises when it was not completed.

        notes_of: The notes of one project.

        now_unix_ns: The wall clock.

        retry_after_s: Waits before a failed run is tried again.

        on_failure: Told of a run that failed, not of its further tries.

        is_paused: Whether the entry of a name is paused; asked anew before each run.
    """

    def __init__(
        self,
        entries: Sequence[ScheduleEntry],
        *,
        projects: Callable[[], Sequence[str]],
        run: Callable[[RunRequest], Awaitable[None]],
        notes_of: Callable[[str], Notes],
        now_unix_ns: Callable[[], int],
        retry_after_s: Sequence[float] = RETRY_AFTER_S,
        on_failure: Callable[[RunFailure], Awaitable[None]] | None = None,
        is_paused: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._entries = tuple(entries)
        self._retry_after_s = tuple(retry_after_s)
        self._on_failure = on_failure
        self._is_paused = is_paused
        self._failures: Counter[tuple[str, str]] = Counter()
        self._retries: set[asyncio.TimerHandle] = set()
        self._projects = projects
        self._run = run
        self._notes_of = notes_of
        self._now_unix_ns = now_unix_ns
        self._line: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._in_line: set[tuple[str, str, bool]] = set()

    async def serve(self) -> None:
        """
        Run what was missed, then what becomes due, until cancelled.

        A failing run is logged and never ends the schedule. Cancelling cancels the
        run at hand; it is made up for at the next start.
        """
        try:
            with self._timers():
                self.catch_up()
                while True:
                    waiting = await self._line.get()
                    self._in_line.discard(waiting.key)
                    if self._may_run(waiting):
                        await self._run_one(waiting)
        finally:
            for retry in self._retries:
                retry.cancel()
            self._retries.clear()

    def catch_up(self) -> None:
        """Put every project in line that an entry was due for since its last completed run."""
        now_unix_ns = self._now_unix_ns()
        for entry in self._entries:
            missed = [
                project
                for project in self._projects_of(entry)
                if is_missed(
                    entry,
                    last_unix_ns=self._notes_of(project).last_completed_unix_ns(entry.name),
                    now_unix_ns=now_unix_ns,
                )
            ]
            self._put_in_line(entry, missed, is_catch_up=True)

    async def due(self, entry: ScheduleEntry) -> None:
        """Put the projects of *entry* in line; those that still wait are not put there twice."""
        self._put_in_line(entry, self._projects_of(entry), is_catch_up=False)

    def ask(self, name: str) -> None:
        """Put the projects of the entry *name* in line, also while it is paused."""
        for entry in self._entries:
            if entry.name == name:
                self._put_in_line(entry, self._projects_of(entry), is_catch_up=False, is_asked=True)
                return
        log.warning("schedule_unknown", schedule=name, hint="restart to read the configuration")

    async def run_now(self, entry: ScheduleEntry) -> dict[str, HaloError | None]:
        """
        Run *entry* once, outside `serve`: each project's error, None where a report was made.

        Nothing is tried again and nobody is told: whoever called sees what failed.
        """
        errors: dict[str, HaloError | None] = {}
        for project in self._projects_of(entry):
            try:
                await self._make(_Waiting(project, entry, is_catch_up=False), self._now_unix_ns())
            except HaloError as exc:
                errors[project] = exc
            else:
                errors[project] = None
        return errors

    def _may_run(self, waiting: _Waiting) -> bool:
        if waiting.is_asked or not self._is_paused(waiting.entry.name):
            return True
        # A try that is not made ends the series; the next failure is told of anew.
        del self._failures[waiting.project, waiting.entry.name]
        log.info("schedule_paused", project=waiting.project, schedule=waiting.entry.name)
        return False

    def _projects_of(self, entry: ScheduleEntry) -> list[str]:
        try:
            projects = self._projects()
        except (HaloError, OSError) as exc:
            log.error("projects_unreadable", schedule=entry.name, error=str(exc))  # noqa: TRY400 -- expected
            return []
        return [
            project
            for project in projects
            if any(fnmatchcase(project, pattern) for pattern in entry.projects)
        ]

    def _put_in_line(
        self,
        entry: ScheduleEntry,
        projects: Sequence[str],
        *,
        is_catch_up: bool,
        is_asked: bool = False,
    ) -> None:
        for project in projects:
            waiting = _Waiting(project, entry, is_catch_up, is_asked)
            if waiting.key not in self._in_line:
                self._in_line.add(waiting.key)
                self._line.put_nowait(waiting)

    async def _run_one(self, waiting: _Waiting) -> None:
        project, entry, is_catch_up, _ = waiting
        context = log.bind(project=project, schedule=entry.name, catch_up=is_catch_up)
        began_unix_ns = self._now_unix_ns()
        try:
            await self._make(waiting, began_unix_ns)
        except HaloError as exc:
            failure = self._failed(waiting, began_unix_ns, str(exc), exc.hint)
            context.error(
                "scheduled_run_failed",
                error=failure.error,
                hint=failure.hint,
                retry_after_s=failure.retry_after_s,
            )
        except Exception as exc:  # noqa: BLE001 -- one run must not end the schedule
            error = f"{type(exc).__name__}: {exc}"
            failure = self._failed(waiting, began_unix_ns, error, "see the daemon's log")
            context.exception("scheduled_run_failed", retry_after_s=failure.retry_after_s)
        else:
            del self._failures[project, entry.name]
            duration_ms = (self._now_unix_ns() - began_unix_ns) // 1_000_000
            context.info("scheduled_run_completed", duration_ms=duration_ms)
            return
        await self._tell(failure)

    async def _make(self, waiting: _Waiting, now_unix_ns: int) -> None:
        project, entry, is_catch_up, _ = waiting
        notes = self._notes_of(project)
        last_unix_ns = notes.last_completed_unix_ns(entry.name)
        start = window_start(entry, last_unix_ns=last_unix_ns, now_unix_ns=now_unix_ns)
        await self._run(RunRequest(project, entry, start, now_unix_ns, is_catch_up))
        await asyncio.to_thread(notes.set_last_completed, entry.name, now_unix_ns)

    def _failed(self, waiting: _Waiting, began_unix_ns: int, error: str, hint: str) -> RunFailure:
        return RunFailure(
            waiting.project, waiting.entry, began_unix_ns, error, hint, self._try_again(waiting)
        )

    async def _tell(self, failure: RunFailure) -> None:
        """Tell of a failure, unless it is a further try of a run whose failure was told."""
        is_first = self._failures[failure.project, failure.entry.name] == 1
        if self._on_failure is None or not (is_first or not self._retry_after_s):
            return
        try:
            await self._on_failure(failure)
        except HaloError as exc:
            log.error("failure_not_told", error=str(exc), hint=exc.hint)  # noqa: TRY400 -- expected

    def _try_again(self, failed: _Waiting) -> float | None:
        """Put a failed run in line again later; returns when, in seconds, or None for never."""
        key = (failed.project, failed.entry.name)
        if self._failures[key] >= len(self._retry_after_s):
            # Its next time begins the count anew.
            del self._failures[key]
            return None
        after_s = self._retry_after_s[self._failures[key]]
        self._failures[key] += 1

        def again() -> None:
            self._retries.discard(handle)
            self._put_in_line(
                failed.entry, [failed.project], is_catch_up=True, is_asked=failed.is_asked
            )

        handle = asyncio.get_running_loop().call_later(after_s, again)
        self._retries.add(handle)
        return after_s

    @contextmanager
    def _timers(self) -> Iterator[None]:
        timers = AsyncIOScheduler(timezone=UTC)
        for entry in self._entries:
            timers.add_job(
                self.due,
                _CronTrigger(entry),
                args=[entry],
                id=entry.name,
                # A run that is late by any time is still wanted, once.
                misfire_grace_time=None,
                coalesce=True,
            )
        timers.add_job(_look_at_the_clock, "interval", seconds=_LOOK_INTERVAL_S)
        timers.start()
        try:
            yield
        finally:
            timers.shutdown(wait=False)


async def _look_at_the_clock() -> None:
    """Do nothing: that the timers woke up is all that is wanted."""
