"""A run that is stopped ends at once, wherever it is, and leaves its report and its journal."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.clock import Clock
from halo_daemon.analyzer.agent.compaction import CompactionSettings
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.explain import ExplainSettings, explain
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import RunSettings
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.findings import Report
from halo_daemon.store.trace_files import EVERYTHING
from halo_daemon.testing.memory_queries import MemoryQueries
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import ok, stall
from halo_daemon.testing.spans import trace_id_of
from tests.unit.analyzer.agent.traces import report_of, shop_reader


class Nothing(ToolArguments):
    """Wait."""


@dataclass
class Place:
    """Where a run hangs, and how it is told that it does."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def hang(self, *_: object) -> dict:
        """Never return."""
        self.reached.set()
        await asyncio.Event().wait()
        return {}


class HangingModel(ScriptedChatModel):
    """A scripted model that hangs where the script says so."""

    place: Place

    async def complete(self, request, *, on_text):
        """Answer, or hang instead of the text `hang`."""
        turn = self.script(request)
        if turn == "hang":
            await self.place.hang()
        if isinstance(turn, ModelError):
            raise turn
        on_text(turn.message.content)
        return turn


def in_a_stream(request):
    """The first answer never comes."""
    del request
    return "hang"


def in_a_tool(request):
    """A tool never answers."""
    del request
    return call("wait_for_ever")


def in_a_wait(request):
    """The provider asks for a wait."""
    del request
    return ModelError("busy", action=Action.RETRY, reason="rate_limited", retry_after_s=0.01)


def in_compaction(request):
    """The summary of older turns never comes."""
    if request.messages[0].content.startswith("You shorten"):
        return "hang"
    return call(
        "view_trace", trace_id=trace_id_of(sum(bool(m.tool_calls) for m in request.messages))
    )


PLACES = [in_a_stream, in_a_tool, in_a_wait, in_compaction]


async def stopped(
    policy: Callable, journal_path: Path, *, seconds: float | None, asked: bool
) -> Report:
    """The report of a run that hangs by *policy*, and is stopped by a deadline or by request."""
    place = Place()
    model = HangingModel(policy)
    model.place = place

    async def sleep(_: float) -> None:
        await place.hang()

    stop = asyncio.Event()
    reader = shop_reader(injected=" and so on" * 600)
    run = RunSettings(
        budget=Budget(seconds=seconds),
        compaction=CompactionSettings(compact_at=0.01, target=0.001, keep_turns=1),
        sandbox=SandboxSettings(enabled=False),
        clock=Clock(sleep=sleep),
    )
    settings = ExplainSettings(
        "m",
        run=run,
        max_output_tokens=100,
        more_tools=(Tool("wait_for_ever", Nothing, place.hang),),
    )
    rules = report_of(reader)
    going = asyncio.ensure_future(
        explain(
            rules,
            reader,
            model,
            queries=MemoryQueries(reader),
            settings=settings,
            journal_path=journal_path,
            stop=stop,
        )
    )
    hanging = asyncio.ensure_future(place.reached.wait())
    await asyncio.wait({going, hanging}, return_when=asyncio.FIRST_COMPLETED)
    assert hanging.done(), "the run ended before it hung"
    if asked:
        stop.set()
    return await going


def last_record(path: Path) -> dict:
    """How the journal ends."""
    return json.loads(path.read_bytes().splitlines()[-1])


@pytest.mark.parametrize("policy", PLACES)
async def test_a_run_told_to_stop_stops_wherever_it_is(policy, tmp_path):
    """In a stream, a tool, a wait or a compaction: partial report, whole journal (K-01)."""
    tasks_before = asyncio.all_tasks()
    path = tmp_path / "journal.jsonl"

    report = await stopped(policy, path, seconds=None, asked=True)

    assert (report.engine.status, report.engine.reason) == ("partial", "cancelled")
    assert report.findings == report_of(shop_reader(injected=" and so on" * 600)).findings
    assert (last_record(path)["type"], last_record(path)["reason"]) == ("run_end", "cancelled")
    assert asyncio.all_tasks() == tasks_before


@pytest.mark.parametrize("policy", PLACES)
async def test_a_deadline_ends_a_run_wherever_it_is(policy, tmp_path):
    """The wall clock cuts a stream, a tool, a wait and a compaction alike (K-02, B-09)."""
    tasks_before = asyncio.all_tasks()
    path = tmp_path / "journal.jsonl"

    report = await stopped(policy, path, seconds=3.0, asked=False)

    assert (report.engine.status, report.engine.reason) == ("partial", "seconds")
    assert (last_record(path)["type"], last_record(path)["reason"]) == ("run_end", "seconds")
    assert asyncio.all_tasks() == tasks_before


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_second_signal_ends_the_process_at_once(tmp_path):
    """The journal stays readable, and the run can be resumed (K-04)."""
    path = tmp_path / "traces.jsonl"
    spans = [span for trace in shop_reader().iter_traces(EVERYTHING) for span in trace.spans]
    path.write_bytes(b"".join(span.to_line() for span in spans))
    with ScriptedModelServer((ok("", ("get_dataset_overview", {})), stall())) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "halo_daemon", "ask", str(path), "-p", "what fails?",
             "--base-url", server.base_url, "--api-key", "k", "--data", str(tmp_path / "data")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ},
        )  # fmt: skip
        while len(server.requests) < 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=300)

    [journal] = (tmp_path / "data").rglob("journal.jsonl")
    records = [json.loads(line) for line in journal.read_bytes().splitlines()]
    assert process.returncode in {130, -signal.SIGTERM}
    assert records[0]["type"] == "run_start"
