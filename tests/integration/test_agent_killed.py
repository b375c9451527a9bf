"""A run whose process is killed at each of its requests comes to the end it would have had."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from halo_daemon.analyzer.agent.journal import read_journal
from halo_daemon.cli import ask
from halo_daemon.store.trace_files import EVERYTHING
from halo_daemon.testing.scripted_model import RecordedRequest, ScriptedModelServer, Step
from halo_daemon.testing.scripted_replies import stall
from tests.integration.served_analyst import served_analyst
from tests.unit.analyzer.agent.traces import shop_reader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

CODE = (
    "import typer; from halo_daemon.cli import ask; app = typer.Typer();"
    "app.command('ask')(ask.ask); app.command('x')(lambda: None); app()"
)
WAIT_S = 60.0


def silent_from(number: int) -> Callable[[RecordedRequest], Step]:
    """The analyst for so many requests, silence after them."""
    return lambda request: stall() if request.number >= number else served_analyst(request)


class Asker:
    """Asks about one file of traces, as a process or in this one."""

    def __init__(self, directory: Path) -> None:
        self.traces = directory / "traces.jsonl"
        spans = [span for trace in shop_reader(4).iter_traces(EVERYTHING) for span in trace.spans]
        self.traces.write_bytes(b"".join(span.to_line() for span in spans))
        self.app = typer.Typer()
        self.app.command("ask")(ask.ask)
        self.app.command("x")(lambda: None)

    def killed_at(self, number: int, data: Path) -> None:
        """A process that gets SIGKILL while its request of that number, from 0, is under way."""
        with ScriptedModelServer(silent_from(number)) as server:
            command = [sys.executable, "-c", CODE, *self._arguments(server, data)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            until_s = time.monotonic() + WAIT_S
            while len(server.requests) <= number and time.monotonic() < until_s:
                time.sleep(0.01)
            process.kill()
            _, errors = process.communicate(timeout=WAIT_S)
        assert process.returncode == -9, errors

    def answer(self, data: Path, *more: str) -> tuple[str, int]:
        """What a run to its end says, and how many requests it took."""
        with ScriptedModelServer(served_analyst) as server:
            result = CliRunner().invoke(self.app, [*self._arguments(server, data), *more])
        assert result.exit_code == 0, result.output
        return result.stdout, len(server.requests)

    def _arguments(self, server: ScriptedModelServer, data: Path) -> list[str]:
        where = ["--base-url", server.base_url, "--api-key", "sk-test-1", "--data", str(data)]
        return ["ask", str(self.traces), "-p", "what fails?", *where]


def ended(data: Path) -> tuple[list[object], dict[str, object]]:
    """Answers of the tool that records findings, and how the run ended."""
    [journal] = data.rglob("journal.jsonl")
    records = list(read_journal(journal))
    recorded = {
        call["id"]
        for record in records
        if record["type"] == "response"
        for call in record["message"].get("tool_calls", ())
        if call["function"]["name"] == "record_finding"
    }
    found = [
        json.loads(record["answer"])
        for record in records
        if record["type"] == "tool_result" and record["call_id"] in recorded
    ]
    return found, {key: records[-1][key] for key in ("type", "status", "turns")}


def test_a_process_killed_at_any_request_ends_like_one_that_was_not(tmp_path):
    """kill -9 at each request in turn: same findings, answer and turns; no answer is asked for twice."""
    asker = Asker(tmp_path)
    expected, requests = asker.answer(tmp_path / "whole")
    undisturbed = ended(tmp_path / "whole")

    for number in range(requests):
        data = tmp_path / f"killed-{number}"
        asker.killed_at(number, data)
        [journal] = data.rglob("journal.jsonl")
        said, asked_again = asker.answer(data, "--resume", journal.parent.name)

        assert said == expected
        assert ended(data) == undisturbed
        assert asked_again == requests - number
    assert undisturbed[0]
    assert undisturbed[1]["status"] == "complete"
