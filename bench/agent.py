"""
What the agent itself costs: its overhead per turn, and many sub-agents at once.

    python -m bench.agent [--spans 200000] [--turns 30]

Overhead is the time of a turn that is neither the model nor a tool: requests
built, hashed and journalled, answers redacted and fitted, events told.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.messages import Message, Role
from halo_daemon.analyzer.agent.model import ModelReply, ModelRequest
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import RoleModel, Run, RunModels, RunSettings
from halo_daemon.analyzer.agent.trace_arguments import OverviewArguments
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.analyzer.agent.tree import TreeSettings
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window, WindowBy
from halo_daemon.store.writer import SpanWriter
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call, calls
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

WINDOW = Window(0, 2**63 - 1, WindowBy.START)
SPANS_PER_TRACE = 20
FINISH = call("final_answer", answer="Done.")


def lines(spans: int) -> Iterator[bytes]:
    """Canonical lines of about 1 KB, twenty to a trace."""
    text = "The order was looked up and the customer was told about it. " * 10
    for number in range(1, spans + 1):
        yield make_line(
            trace_id=trace_id_of(number // SPANS_PER_TRACE + 1),
            span_id=span_id_of(number),
            name="lookup",
            observation_kind="TOOL",
            start_unix_ns=START_UNIX_NS + number,
            attributes={"input.value": text, "output.value": f"{number} {text}"},
        )


async def fill(root: Path, spans: int) -> None:
    """Write *spans* into a store."""
    writer = SpanWriter(root, worker=0, now_unix_ns=time.time_ns, now_monotonic_s=time.monotonic)
    batch: list[bytes] = []
    project = project_named("bench")
    for line in lines(spans):
        batch.append(line)
        if len(batch) == 5_000:
            await writer.accept([SpanBatch(project, b"".join(batch), len(batch))])
            batch = []
    await writer.aclose()


class Stopwatch(ScriptedChatModel):
    """A model that notes when it is asked and when it has answered."""

    asked_s: list[float]
    answered_s: list[float]

    async def complete(self, request: ModelRequest, *, on_text) -> ModelReply:
        """Answer at once, between two looks at the clock."""
        self.asked_s.append(time.perf_counter())
        reply = await super().complete(request, on_text=on_text)
        self.answered_s.append(time.perf_counter())
        return reply


Stopwatch.asked_s, Stopwatch.answered_s = [], []


async def overhead(
    reader: LocalTraceReader, queries: LocalQueries, turns: int, directory: Path
) -> list[float]:
    """Milliseconds of each turn that our own code took, tools left out."""
    ids = [trace_id_of(n) for n in range(1, turns + 2)]

    def policy(request: ModelRequest) -> ModelReply:
        done = sum(m.role is Role.TOOL for m in request.messages)
        return FINISH if done >= turns else call("view_trace", trace_id=ids[done])

    source = TraceSource(reader, WINDOW, queries)
    tools = TraceTools(source, QueryLog())
    queries.query_traces(WINDOW, TraceQuery(limit=1))
    started_s = time.perf_counter()
    traces = tools.overview(OverviewArguments())["total_traces"]
    took_ms = (time.perf_counter() - started_s) * 1000
    print(f"first look           {took_ms:.0f} ms for {traces} traces, the index caught up")
    model = Stopwatch(policy)
    settings = RunSettings(
        tree=TreeSettings(root_turns=turns + 1), sandbox=SandboxSettings(enabled=False)
    )
    role = RoleModel(model, "gpt-5")
    run = Run("b", RunModels.all_by(role), source, settings, journal_path=directory / "j.jsonl")
    await run.go([])
    tools_ms = _tool_times_ms(directory / "j.jsonl")
    gaps = zip(model.answered_s, model.asked_s[1:], tools_ms, strict=False)
    return [(asked - answered) * 1000 - tool_ms for answered, asked, tool_ms in gaps]


def _tool_times_ms(path: Path) -> list[float]:
    records = map(json.loads, path.read_bytes().splitlines())
    return [record["duration_ms"] for record in records if record["type"] == "tool_result"]


async def parallel(reader: LocalTraceReader, queries: LocalQueries) -> tuple[float, float]:
    """Seconds for fifty sub-agents at once, and the longest pause of the event loop."""

    def policy(request: ModelRequest) -> ModelReply:
        task = next(m.content for m in request.messages if m.role is Role.USER)
        if any(m.role is Role.TOOL for m in request.messages):
            return FINISH
        if task == "root":
            return calls(*[("call_subagent", {"input": f"branch {n}"}) for n in range(5)])
        if task.startswith("branch"):
            first = int(task.split()[1]) * 10 + 1
            return calls(*[("call_subagent", {"input": str(first + n)}) for n in range(10)])
        return call("view_trace", trace_id=trace_id_of(int(task)))

    settings = RunSettings(
        tree=TreeSettings(maximum_parallel_subagents=50),
        budget=Budget(subagents=55),
        sandbox=SandboxSettings(enabled=False),
    )
    role = RoleModel(ScriptedChatModel(policy), "gpt-5")
    source = TraceSource(reader, WINDOW, queries)
    run = Run("p", RunModels.all_by(role), source, settings)
    beat = asyncio.ensure_future(heartbeat())
    started_s = time.perf_counter()
    end = await run.go([Message(Role.USER, "root")])
    took_s = time.perf_counter() - started_s
    beat.cancel()
    assert end.ledger.spent.subagents == 55
    return took_s, max(PAUSES_S, default=0.0)


PAUSES_S: list[float] = []


async def heartbeat() -> None:
    """Note how late the event loop is, every 5 ms."""
    while True:
        before_s = time.perf_counter()
        await asyncio.sleep(0.005)
        PAUSES_S.append(time.perf_counter() - before_s - 0.005)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        asyncio.run(fill(root, asked.spans))
        reader = LocalTraceReader(root, "bench", settle_s=0, now_unix_ns=time.time_ns)
        queries = LocalQueries(
            root, "bench", now_unix_ns=time.time_ns, now_monotonic_s=time.monotonic
        )
        turn_ms = asyncio.run(overhead(reader, queries, asked.turns, root))
        took_s, pause_s = asyncio.run(parallel(reader, queries))
        reader.close()
        queries.close()
    print(
        f"overhead per turn    median {statistics.median(turn_ms):.1f} ms, max {max(turn_ms):.1f} ms"
    )
    print(f"55 sub-agents        {took_s:.2f} s, longest pause of the loop {pause_s * 1000:.0f} ms")


if __name__ == "__main__":
    main()
