"""The sandbox: what it computes, what it refuses, what survives."""

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings, strategies as st

pytest.importorskip("pydantic_monty", reason="the [sandbox] extra is not installed")

from halo_daemon.analyzer.agent.budget import Budget, Ledger
from halo_daemon.analyzer.agent.host_functions import host_functions
from halo_daemon.analyzer.agent.inner_model import InnerModel
from halo_daemon.analyzer.agent.journal import Journal
from halo_daemon.analyzer.agent.messages import Role
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.requester import Requester
from halo_daemon.analyzer.agent.sandbox import (
    HostFunctions,
    Sandboxes,
    SandboxSettings,
    why_unavailable,
)
from halo_daemon.analyzer.agent.toolbox import RedactionCount
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.testing.scripted_chat import ScriptedChatModel, say
from tests.unit.analyzer.agent.traces import shop_reader, source_of

SETTINGS = SandboxSettings(memory_mb=32, seconds=0.3)


@pytest.fixture
async def session():
    """A session with one host function."""
    sandboxes = Sandboxes(SETTINGS)
    opened = sandboxes.open_session(
        HostFunctions({"count": lambda *a, **k: {"args": list(a), **k}})
    )
    yield opened
    opened.close()
    sandboxes.close()


async def test_variables_survive_from_call_to_call(session):
    """A session is one interpreter (X1)."""
    await session.run("x = 40")

    assert (await session.run("print('so'); x + 2"))["stdout"] == "so\n42\n"


async def test_host_functions_are_called_with_plain_values(session):
    """The code reads through functions, as if they were its own (X2)."""
    answer = await session.run("print(count(1, b=2)['b'])")

    assert (answer["stdout"], answer["exit_code"]) == ("2\n", 0)
    assert answer["available_functions"] == ["count"]


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('/tmp/made-by-sandbox', 'w')",
        "import os\nprint(os.environ['PATH'])",
        "import os\nos.system('ls')",
        "import os\nos.fork()",
        "import subprocess",
        "import socket",
        "import ctypes",
        "import halo_daemon",
        "__import__('os').system('ls')",
        "from pathlib import Path\nPath('/etc/passwd').read_text()",
        "().__class__.__base__.__subclasses__()",
        "import urllib.request",
        "count.__globals__",
        "count.__self__.__class__",
    ],
)
async def test_everything_outside_is_denied(session, code):
    """Files, environment, processes, network and host objects are out of reach (S-03)."""
    answer = await session.run(code)

    assert answer["exit_code"] == 1
    assert "root:" not in answer["stdout"]


@pytest.mark.parametrize(
    ("code", "timed_out"),
    [
        ("while True: pass", True),
        ("x = []\nwhile True:\n    x.append('a' * 1000)", False),
        ("'a' * 10**10", False),
        ("def f(): return f()\nf()", False),
    ],
)
async def test_a_limit_stops_the_code_and_the_run_goes_on(session, code, timed_out):
    """Endless loops and memory bombs cost their session, nothing else (S-03)."""
    answer = await session.run(code)
    after = await session.run("1 + 1")

    assert answer["exit_code"] == 1
    # On a busy machine the time of a memory bomb may be up before its memory is.
    assert answer["timed_out"] or not timed_out
    assert after["stdout"] == "2\n"


async def test_output_is_bounded(session):
    """Ten million lines become a bounded text with a mark (S-03)."""
    answer = await session.run("print('y' * 200_000)")

    assert len(answer["stdout"]) < 65_000
    assert "cut: 200001 characters" in answer["stdout"]


async def test_the_event_loop_is_free_while_code_runs(session):
    """Other tasks run while the sandbox computes."""
    running = asyncio.ensure_future(session.run("while True: pass"))
    beats = 0
    while not running.done():
        beats += 1
        await asyncio.sleep(0.01)

    assert beats > 5


def test_a_switch_turns_it_off():
    """Switched off is told as such (X6)."""
    assert "sandbox.enabled" in why_unavailable(SandboxSettings(enabled=False))
    assert why_unavailable(SETTINGS) == ""


async def test_sessions_that_compute_are_bounded():
    """No more sessions than allowed compute at once; the others wait their turn (X3)."""
    sandboxes = Sandboxes(SandboxSettings(memory_mb=32, seconds=5.0, max_sessions=2))
    inside = most = 0
    lock = threading.Lock()

    def work() -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.05)
        with lock:
            inside -= 1
        return 1

    sessions = [sandboxes.open_session(HostFunctions({"work": work})) for _ in range(5)]
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(session.run("work()")) for session in sessions]
    for session in sessions:
        session.close()
    sandboxes.close()

    assert [task.result()["stdout"] for task in running] == ["1\n"] * 5
    assert most == 2


NO_NETWORK = """
import asyncio, socket
def refuse(*_, **__):
    raise OSError("no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from halo_daemon.analyzer.agent.sandbox import HostFunctions, Sandboxes, SandboxSettings
async def main():
    boxes = Sandboxes(SandboxSettings())
    session = boxes.open_session(HostFunctions({}))
    print((await session.run("sum(range(10))"))["stdout"])
    session.close()
    boxes.close()
asyncio.run(main())
"""


def test_it_works_with_the_network_cut(tmp_path):
    """Nothing is fetched at first use (X4)."""
    run = subprocess.run(
        [sys.executable, "-c", NO_NETWORK],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/nowhere", "HOME": str(tmp_path), "http_proxy": "http://127.0.0.1:9"},
    )

    assert run.stdout.strip() == "45", run.stderr
    assert [*tmp_path.iterdir()] == []


@asynccontextmanager
async def session_with_traces(model=None):
    """A session with the trace tools and a model behind `llm_query`."""
    model = model or ScriptedChatModel(lambda r: say(f"read {len(r.messages[-1].content)}"))
    ledger = Ledger(Budget(requests=6), time.monotonic)
    inner = InnerModel(Requester(model, ledger, Journal(None)), "root-1")
    traces = TraceTools(source_of(shop_reader()), QueryLog())
    sandboxes = Sandboxes(SandboxSettings(memory_mb=64, seconds=10.0))
    functions = host_functions(
        traces.tools(), inner, budget_bytes=20_000, redacted=RedactionCount()
    )
    session = sandboxes.open_session(functions)
    yield session, model, ledger
    session.close()
    sandboxes.close()


@pytest.fixture
async def reading():
    """A session with the trace tools, its model and its ledger."""
    async with session_with_traces() as made:
        yield made


async def test_code_reads_traces_and_asks_the_model(reading):
    """Tools are functions; questions to the model are paid from the run's budget (X1, X2)."""
    session, model, ledger = reading

    answer = await session.run(
        "page = query_traces(limit=3)\n"
        "ids = [row['trace_id'] for row in page['traces']]\n"
        "print(len(ids), len(view_trace(ids[0])['spans']))\n"
        "print(llm_query('what is this?', 'txt-7731')[:4], len(llm_query_batched(['a', 'b'], 'x')))"
    )

    assert answer["stdout"] == "3 4\nread 2\n", answer
    assert ledger.spent.requests == len(model.seen) == 3
    assert {m.role for r in model.seen for m in r.messages if "txt-7731" in m.content} <= {
        Role.TOOL
    }


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("llm_query_batched(['q'] * 33)", "at most 32"),
        ("llm_query_batched('not a list')", "at most 32"),
        ("llm_query('q' * 20_001)", "20001"),
        ("llm_query('q', 'x' * 400_001)", "400001"),
        ("llm_query(5)", "two strings"),
        ("query_traces(filters={'regex_pattern': 'x' * 200_001})", "200000 characters"),
        ("for n in range(9): llm_query(str(n))", "requests"),
    ],
)
async def test_what_code_asks_for_is_bounded(reading, code, said):
    """Too much, too long, another type, and more than the budget: told inside the code (X5)."""
    session, _, ledger = reading

    answer = await session.run(code)

    assert answer["exit_code"] == 1
    assert said in answer["stderr"]
    assert ledger.spent.requests <= 6


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


NAMES = st.sampled_from(["query_traces", "view_trace", "search_trace", "aggregate", "query_spans"])


@settings(max_examples=4, deadline=None)
@given(st.lists(st.tuples(NAMES, st.lists(VALUES, max_size=3)), min_size=8, max_size=12))
def test_functions_take_any_value_without_harm(wanted):
    """Whatever code passes, it gets a plain value or an error; the session goes on (X5)."""

    async def call_all() -> None:
        async with session_with_traces() as (session, _, _):
            for name, values in wanted:
                answer = await session.run(f"{name}(*{values!r})")

                assert answer["exit_code"] in {0, 1}
                assert not answer["timed_out"]
            assert (await session.run("1 + 1"))["stdout"] == "2\n"

    asyncio.run(call_all())


async def test_closing_a_session_ends_what_its_code_waits_for():
    """A question that is never answered keeps no thread once the run is over (K-01)."""
    asked = asyncio.Event()

    class Hanging(ScriptedChatModel):
        async def complete(self, request, *, on_text):
            del request, on_text
            asked.set()
            await asyncio.Event().wait()

    async with session_with_traces(Hanging([])) as (session, _, _):
        running = asyncio.ensure_future(session.run("llm_query('what?')"))
        await asked.wait()
        session.close()

        assert (await running)["exit_code"] == 1


async def test_a_session_that_closes_while_code_begins_to_ask_ends_too():
    """Closing at the very moment of a question, or before it, leaves no thread waiting (K-01)."""
    sessions = []

    class Closing(ScriptedChatModel):
        async def complete(self, request, *, on_text):
            del request, on_text
            sessions[0].close()
            await asyncio.Event().wait()

    async with session_with_traces(Closing([])) as (session, _, _):
        sessions.append(session)
        code = "try:\n    llm_query('what?')\nexcept BaseException: pass\nllm_query('again?')"

        assert (await session.run(code))["exit_code"] == 1
