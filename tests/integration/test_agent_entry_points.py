"""The six entry points over real sockets: same events, no task, thread or socket left behind."""

import asyncio
import json
import threading
from contextlib import aclosing

import pytest

from halo_daemon.analyzer.agent.engine import (
    run_engine,
    run_engine_async,
    stream_engine,
    stream_engine_async,
    stream_engine_output,
    stream_engine_output_async,
)
from halo_daemon.analyzer.agent.engine_config import AgentConfig, EngineConfig, ModelConfig
from halo_daemon.errors import ConfigError
from halo_daemon.store.trace_files import EVERYTHING
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import error, ok, stall
from tests.unit.analyzer.agent.traces import shop_reader

SCRIPT = (
    ok("Looking.", ("get_dataset_overview", {})),
    ok("", ("final_answer", {"answer": "Fine."})),
)


@pytest.fixture
def trace_file(tmp_path):
    """A small data set on disk."""
    lines = [s.to_line() for t in shop_reader().iter_traces(EVERYTHING) for s in t.spans]
    path = tmp_path / "traces.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(line.strip() for line in lines) + b'\n{"half')
    return path


def config(server: ScriptedModelServer, **more) -> EngineConfig:
    """HALO's configuration with one model for everything."""
    model = ModelConfig(name="m-1")
    agent = AgentConfig(name="root", model=model, maximum_turns=5)
    fields = {
        "root_agent": agent,
        "subagent": agent,
        "synthesis_model": model,
        "compaction_model": model,
        "model_provider": {"base_url": server.base_url, "api_key": "k"},
        "sandbox": {"enabled": False},
    }
    return EngineConfig.model_validate(fields | more)


async def test_a_run_over_chat_and_over_responses_says_the_same(trace_file):
    """Both APIs give the same items, in the same order, with one final item."""
    told = []
    for api in ("chat", "responses"):
        with ScriptedModelServer(SCRIPT) as server:
            items = await run_engine_async(["look"], config(server, api=api), trace_file)
            server.finish()
        told.append([(i.item.role, i.item.content, i.final) for i in items])

    assert told[0] == told[1]
    assert told[0][-1] == ("assistant", "Fine.", True)
    overview = json.loads(next(content for role, content, _ in told[0] if role == "tool"))
    assert overview["result"]["total_traces"] == 8


async def test_requests_keep_their_prefix_and_their_pairs(trace_file):
    """What the provider caches is byte-stable; calls and results stay together (R9, R14)."""
    with ScriptedModelServer([SCRIPT[0]] * 3 + [SCRIPT[1]]) as server:
        await run_engine_async(["look"], config(server), trace_path=trace_file)
        server.assert_prefix_stable()
        server.assert_pairs()


async def test_streams_carry_deltas_and_items_in_sequence(trace_file):
    """`stream_engine_async` yields deltas too, `stream_engine_output_async` only items (P-05)."""
    with ScriptedModelServer(SCRIPT) as server:
        events = [e async for e in stream_engine_async(["look"], config(server), [trace_file])]
    with ScriptedModelServer(SCRIPT) as server:
        items = [i async for i in stream_engine_output_async(["look"], config(server), trace_file)]

    assert [event.sequence for event in events] == list(range(len(events)))
    assert "".join(e.text_delta for e in events if e.type == "delta") == "Looking."
    assert [e.item for e in events if e.type == "item"] == [i.item for i in items]


def test_sync_entry_points_give_the_same_items(trace_file):
    """The three blocking forms hand over what the async ones do."""
    told = []
    for run in (run_engine, stream_engine_output):
        with ScriptedModelServer(SCRIPT) as server:
            told.append([i.item for i in run(["look"], config(server), trace_file)])
    with ScriptedModelServer(SCRIPT) as server:
        told.append(
            [
                e.item
                for e in stream_engine(["look"], config(server), trace_file)
                if e.type == "item"
            ]
        )

    assert told[0] == told[1] == told[2]


async def test_leaving_an_async_stream_early_leaves_nothing_behind(trace_file):
    """Breaking out of the loop cancels the run (K-03)."""
    tasks_before = asyncio.all_tasks()
    with ScriptedModelServer([SCRIPT[0], stall()]) as server:
        async with aclosing(stream_engine_async(["look"], config(server), trace_file)) as events:
            async for event in events:
                if event.type == "item" and event.item.role == "tool":
                    break

    assert asyncio.all_tasks() == tasks_before


def test_leaving_a_sync_stream_early_leaves_nothing_behind(trace_file):
    """Closing the iterator ends its thread (K-03)."""
    with ScriptedModelServer([SCRIPT[0], stall()]) as server:
        events = stream_engine(["look"], config(server), trace_file)
        for event in events:
            if event.type == "item" and event.item.role == "tool":
                break
        events.close()

    assert all(thread.name != "halo-engine" for thread in threading.enumerate())


async def test_a_system_message_replaces_the_engines_own(trace_file):
    """A conversation with its own system text keeps it."""
    task = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "look"}]
    with ScriptedModelServer(SCRIPT) as server:
        await run_engine_async(task, config(server), trace_file)

    contents = [m["content"] for m in server.requests[0].messages if m["role"] == "system"]
    assert contents == ["You are terse."]


async def test_a_dead_provider_hands_over_what_came_before(trace_file):
    """Only bad configuration raises; a run that fails returns its items."""
    with ScriptedModelServer([SCRIPT[0], error(401, "no")]) as server:
        items = await run_engine_async(["look"], config(server), trace_file)

    assert items[-1].item.role == "tool"
    assert not any(item.final for item in items)


async def test_a_journal_resumes_a_run_over_the_wire(trace_file, tmp_path):
    """A run that died with its provider goes on where it stopped."""
    more = {"journal_dir": tmp_path, "resume_from": "run-x"}
    with ScriptedModelServer([SCRIPT[0], error(401, "no")]) as server:
        await run_engine_async(["look"], config(server, **more), trace_file)
    with ScriptedModelServer([SCRIPT[1]]) as server:
        items = await run_engine_async(["look"], config(server, **more), trace_file)
        server.finish()

    assert items[-1].item.content == "Fine."


async def test_bad_configuration_raises(tmp_path):
    """A missing file and a missing key are told before anything is sent."""
    with ScriptedModelServer([]) as server:
        with pytest.raises(ConfigError):
            await run_engine_async(["look"], config(server), tmp_path / "none.jsonl")
        with pytest.raises(ValueError, match="unheard"):
            config(server, unheard=1)


async def test_gzip_and_loose_lines_are_read(tmp_path):
    """Compressed files, foreign times, missing scope and null messages are accepted (S2, S8)."""
    import gzip  # noqa: PLC0415

    line = {
        "trace_id": "t1", "span_id": "s1", "name": "work",
        "start_time": "2026-01-01T02:00:00.5+02:00", "end_time": "2026-01-01T00:00:01Z",
        "status": {"code": "STATUS_CODE_OK", "message": None, "more": 1},
        "resource": {"attributes": {}}, "attributes": {},
    }  # fmt: skip
    path = tmp_path / "one.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(line).encode()))
    with ScriptedModelServer(SCRIPT) as server:
        items = await run_engine_async(["look"], config(server), path)

    overview = json.loads(next(i.item.content for i in items if i.item.role == "tool"))["result"]
    assert overview["earliest_start_time"] == "2026-01-01T00:00:00.500000000Z"
