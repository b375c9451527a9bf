"""The sandbox: what it computes, what it refuses, what survives."""

import asyncio

import pytest

pytest.importorskip("pydantic_monty", reason="the [sandbox] extra is not installed")

from halo_daemon.analyzer.agent.sandbox import Sandboxes, SandboxSettings, why_unavailable

SETTINGS = SandboxSettings(memory_mb=32, seconds=0.3)


@pytest.fixture
async def session():
    """A session with one host function."""
    sandboxes = Sandboxes(SETTINGS)
    opened = sandboxes.open_session({"count": lambda *a, **k: {"args": list(a), **k}})
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

    assert (answer["exit_code"], answer["timed_out"]) == (1, timed_out)
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
