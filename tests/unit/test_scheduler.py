import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from halo_daemon.config import ScheduleEntry
from halo_daemon.errors import AnalysisError, StoreError
from halo_daemon.scheduler import RunFailure, RunRequest, Scheduler

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
# A Friday, 12:00 UTC.
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9

NIGHTLY = ScheduleEntry(name="nightly", cron="0 3 * * *", timezone="UTC")
ROLLING = ScheduleEntry(name="rolling", cron="0 * * * *", timezone="UTC", since_s="last_run")


class _Notes:
    def __init__(self) -> None:
        self.last: dict[str, int] = {}

    def last_completed_unix_ns(self, schedule: str) -> int | None:
        return self.last.get(schedule)

    def set_last_completed(self, schedule: str, unix_ns: int) -> None:
        self.last[schedule] = unix_ns


class _Bench:
    """A scheduler with fakes around it; `runs` fills as runs begin."""

    def __init__(
        self,
        *entries: ScheduleEntry,
        projects: tuple[str, ...] = ("bot",),
        retry_after_s: tuple[float, ...] = (),
    ) -> None:
        self.now_unix_ns = NOW_NS
        self.notes = {project: _Notes() for project in projects}
        self.runs: asyncio.Queue[RunRequest] = asyncio.Queue()
        self.fail: Callable[[RunRequest], None] = lambda _: None
        self.gate = asyncio.Event()
        self.gate.set()
        self.projects_error: Exception | None = None
        self.running = 0
        self.most_running = 0
        self.told: list[RunFailure] = []
        self.tell_error: Exception | None = None
        self.paused: set[str] = set()
        self.scheduler = Scheduler(
            entries,
            projects=self._list_projects,
            run=self._run,
            notes_of=lambda project: self.notes[project],
            now_unix_ns=lambda: self.now_unix_ns,
            retry_after_s=retry_after_s,
            on_failure=self._tell,
            is_paused=lambda name: name in self.paused,
        )

    async def _tell(self, failure: RunFailure) -> None:
        self.told.append(failure)
        if self.tell_error is not None:
            raise self.tell_error

    def _list_projects(self) -> tuple[str, ...]:
        if self.projects_error is not None:
            raise self.projects_error
        return tuple(self.notes)

    async def _run(self, request: RunRequest) -> None:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.runs.put_nowait(request)
        await self.gate.wait()
        self.running -= 1
        self.fail(request)

    @asynccontextmanager
    async def serving(self):
        async with asyncio.timeout(60):
            task = asyncio.ensure_future(self.scheduler.serve())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])

    def ran_now(self) -> None:
        for notes in self.notes.values():
            notes.last.update({"nightly": self.now_unix_ns, "rolling": self.now_unix_ns})


async def test_a_missed_run_is_caught_up_at_start():
    """After two nights of downtime one run covers both."""
    bench = _Bench(NIGHTLY)
    bench.notes["bot"].last["nightly"] = NOW_NS - 3 * DAY_NS

    async with bench.serving():
        request = await bench.runs.get()

    assert request == RunRequest("bot", NIGHTLY, NOW_NS - 3 * DAY_NS, NOW_NS, is_catch_up=True)
    assert bench.runs.empty()


async def test_nothing_is_caught_up_when_nothing_was_missed():
    """A restart at noon does not repeat the run of the night."""
    bench = _Bench(NIGHTLY)
    bench.ran_now()

    bench.scheduler.catch_up()

    async with bench.serving():
        await bench.scheduler.due(NIGHTLY)
        request = await bench.runs.get()
    assert not request.is_catch_up


async def test_runs_go_one_at_a_time():
    """Many projects and entries that are due together run one after the other."""
    bench = _Bench(NIGHTLY, ROLLING, projects=("a", "b", "c"))

    async with bench.serving():
        seen = {((await bench.runs.get()).project) for _ in range(6)}

    assert seen == {"a", "b", "c"}
    assert bench.most_running == 1


async def test_a_project_that_still_waits_is_not_put_in_line_twice():
    """An entry that is due again while its run waits gives one run."""
    bench = _Bench(ROLLING, projects=("a", "b"))
    bench.ran_now()
    bench.gate.clear()

    async with bench.serving():
        await bench.scheduler.due(ROLLING)
        first = await bench.runs.get()
        for _ in range(5):
            await bench.scheduler.due(ROLLING)
        bench.gate.set()
        later = [(await bench.runs.get()).project for _ in range(2)]

        assert first.project == "a"
        # `a` was running, not waiting, so it is due once more.
        assert later == ["b", "a"]
        assert bench.runs.empty()


@pytest.mark.parametrize("error", [AnalysisError("no report"), RuntimeError("a bug")])
async def test_a_failing_run_does_not_end_the_schedule(error):
    """The next project runs, and the failed one is not noted as done."""
    bench = _Bench(NIGHTLY, projects=("bad", "good"))

    def fail(request: RunRequest) -> None:
        if request.project == "bad":
            raise error

    bench.fail = fail
    async with bench.serving():
        await bench.runs.get()
        await bench.runs.get()
        # A third run begins, so the first two are over.
        await bench.scheduler.due(ROLLING)
        await bench.runs.get()

    assert bench.notes["good"].last["nightly"] == NOW_NS
    assert "nightly" not in bench.notes["bad"].last


@pytest.mark.parametrize(
    ("failures", "runs", "is_done"),
    [
        pytest.param(1, 2, True, id="the second try succeeds"),
        pytest.param(2, 3, True, id="the third try succeeds"),
        pytest.param(9, 3, False, id="it waits for its next time"),
    ],
)
async def test_a_failed_run_is_tried_again_twice(failures, runs, is_done):
    """Two more tries and no fourth; what succeeds is noted, with the window of the first."""
    bench = _Bench(NIGHTLY, retry_after_s=(0.0, 0.0))
    seen: list[RunRequest] = []

    def fail(request: RunRequest) -> None:
        seen.append(request)
        if len(seen) <= failures:
            raise AnalysisError("no report")

    bench.fail = fail
    async with bench.serving():
        for _ in range(runs):
            await bench.runs.get()
        # Another run begins and ends only after whatever else was due.
        await bench.scheduler.due(ROLLING)
        last = await bench.runs.get()

    assert last.entry == ROLLING
    assert {request.from_unix_ns for request in seen[:runs]} == {seen[0].from_unix_ns}
    assert ("nightly" in bench.notes["bot"].last) == is_done


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("error", [AnalysisError, RuntimeError])
async def test_a_failure_is_told_once_however_often_it_is_tried(retries, error):
    """The first try that fails is told of, with its reason and the next try; the next night anew."""
    bench = _Bench(NIGHTLY, retry_after_s=(0.0,) * retries)

    def fail(request: RunRequest) -> None:
        if request.entry == NIGHTLY:
            raise error("no report")

    bench.fail = fail
    bench.tell_error = StoreError("the outbox is gone")
    async with bench.serving():
        for night in range(2):
            if night:
                await bench.scheduler.due(NIGHTLY)
            for _ in range(1 + retries):
                await bench.runs.get()
            await bench.scheduler.due(ROLLING)
            await bench.runs.get()

    first, second = bench.told
    assert "no report" in first.error
    assert (first.project, first.entry, first.began_unix_ns) == ("bot", NIGHTLY, NOW_NS)
    assert first.retry_after_s == (0.0 if retries else None)
    assert second == first


async def test_unreadable_projects_do_not_end_the_schedule():
    """A data directory that cannot be listed is tried again at the next due time."""
    bench = _Bench(NIGHTLY)
    bench.projects_error = StoreError("gone")

    async with bench.serving():
        await asyncio.sleep(0)
        bench.projects_error = None
        await bench.scheduler.due(NIGHTLY)
        request = await bench.runs.get()

    assert (request.project, request.is_catch_up) == ("bot", False)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("*",), ["a-bot", "b-bot", "coder"]),
        (("*-bot",), ["a-bot", "b-bot"]),
        (("coder", "x"), ["coder"]),
    ],
)
async def test_an_entry_runs_for_the_projects_that_its_patterns_name(patterns, expected):
    """Patterns choose projects by slug."""
    entry = ScheduleEntry(name="nightly", projects=patterns)
    bench = _Bench(entry, projects=("a-bot", "b-bot", "coder"))

    async with bench.serving():
        seen = [(await bench.runs.get()).project for _ in expected]

    assert seen == expected


async def test_a_cancelled_run_is_not_noted_as_done():
    """Stopping the daemon in the middle of a run leaves it to be made up for."""
    bench = _Bench(NIGHTLY)
    bench.gate.clear()

    async with bench.serving():
        await bench.runs.get()

    assert bench.notes["bot"].last == {}


async def test_the_timers_fire_when_an_entry_is_due(monkeypatch):
    """The library's timer puts projects in line; a due time in the past fires at once."""
    timers: list[AsyncIOScheduler] = []
    start = AsyncIOScheduler.start

    def watched_start(scheduler):
        timers.append(scheduler)
        start(scheduler)

    monkeypatch.setattr(AsyncIOScheduler, "start", watched_start)
    bench = _Bench(NIGHTLY)
    bench.ran_now()

    async with bench.serving():
        await asyncio.sleep(0)
        timers[0].modify_job("nightly", next_run_time=datetime.now(UTC) - timedelta(days=2))
        request = await bench.runs.get()
        next_due = timers[0].get_job("nightly").next_run_time

    assert (request.project, request.is_catch_up) == ("bot", False)
    assert next_due > datetime.now(UTC)


async def test_a_paused_entry_runs_neither_when_due_nor_to_catch_up():
    """Other entries go on, and the note of the paused one stands still for its next run."""
    bench = _Bench(NIGHTLY, ROLLING)
    bench.paused.add("nightly")

    async with bench.serving():
        await bench.scheduler.due(NIGHTLY)
        await bench.scheduler.due(ROLLING)
        requests = [await bench.runs.get()]
        bench.paused.clear()
        await bench.scheduler.due(NIGHTLY)
        requests.append(await bench.runs.get())

    assert [request.entry for request in requests] == [ROLLING, NIGHTLY]
    assert bench.runs.empty()


async def test_a_pause_is_heeded_by_runs_that_wait_already():
    """Of two projects in line, the second is passed over when the pause comes during the first."""
    bench = _Bench(NIGHTLY, ROLLING, projects=("a", "b"))
    bench.ran_now()
    bench.gate.clear()

    async with bench.serving():
        await bench.scheduler.due(NIGHTLY)
        assert (await bench.runs.get()).project == "a"
        bench.paused.add("nightly")
        bench.gate.set()
        await bench.scheduler.due(ROLLING)
        assert (await bench.runs.get()).entry == ROLLING


async def test_whoever_asks_gets_a_run_also_of_a_paused_entry():
    """Asking twice while it waits gives one run; an unknown name gives none and ends nothing."""
    bench = _Bench(NIGHTLY, ROLLING)
    bench.ran_now()
    bench.paused.add("nightly")

    async with bench.serving():
        bench.scheduler.ask("none")
        bench.scheduler.ask("nightly")
        bench.scheduler.ask("nightly")
        assert (await bench.runs.get()).entry == NIGHTLY
        await bench.scheduler.due(ROLLING)
        assert (await bench.runs.get()).entry == ROLLING


async def test_an_asked_run_of_a_paused_entry_that_failed_is_tried_again():
    """The next try that a failure announces is made, although the entry is paused."""
    bench = _Bench(NIGHTLY, retry_after_s=(0.0,))
    bench.ran_now()
    bench.paused.add("nightly")

    def fail(_: RunRequest) -> None:
        bench.fail = lambda _: None
        raise AnalysisError("no report")

    bench.fail = fail
    async with bench.serving():
        bench.scheduler.ask("nightly")
        runs = [await bench.runs.get(), await bench.runs.get()]

    assert [run.entry for run in runs] == [NIGHTLY, NIGHTLY]
    assert [failure.retry_after_s for failure in bench.told] == [0.0]


async def test_a_run_without_the_daemon_tells_what_became_of_each_project():
    """The failed one keeps its note and nobody else is told; the other is noted as done."""
    bench = _Bench(NIGHTLY, projects=("bad", "good"))

    def fail(request: RunRequest) -> None:
        if request.project == "bad":
            raise AnalysisError("no report")

    bench.fail = fail
    errors = await bench.scheduler.run_now(NIGHTLY)

    assert str(errors["bad"]) == "no report"
    assert errors["good"] is None
    assert bench.notes["bad"].last == {}
    assert bench.notes["good"].last == {"nightly": NOW_NS}
    assert bench.told == []
