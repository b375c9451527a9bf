"""`ask` and `run` on the command line, over a scripted server."""

import asyncio
import json
import signal
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

from halo_daemon.cli import ask, run
from halo_daemon.errors import ConfigError, DeliveryError
from halo_daemon.proto.batch import SpanBatch
from halo_daemon.proto.project import project_named
from halo_daemon.store.trace_files import EVERYTHING
from halo_daemon.store.writer import SpanWriter
from halo_daemon.testing.canonical_line import check_line
from halo_daemon.testing.daemon import DaemonProcess
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import error, ok, stall
from halo_daemon.testing.webhook_server import Answer, WebhookServer
from tests.unit.analyzer.agent.traces import shop_reader

SCRIPT = (
    ok("Looking.", ("get_dataset_overview", {})),
    ok("", ("final_answer", {"answer": "Fine."})),
)


@pytest.fixture
def app() -> typer.Typer:
    """The two commands alone."""
    made = typer.Typer()
    made.command("ask")(ask.ask)
    made.add_typer(run.app, name="run")
    return made


@pytest.fixture
def trace_file(tmp_path):
    """A small data set on disk."""
    path = tmp_path / "traces.jsonl"
    spans = [span for trace in shop_reader().iter_traces(EVERYTHING) for span in trace.spans]
    path.write_bytes(b"".join(span.to_line() for span in spans))
    return path


def invoke(app, tmp_path, *arguments):
    """One command with its data in a temporary directory."""
    return CliRunner().invoke(app, [*map(str, arguments), "--data", str(tmp_path / "data")])


def asked(app, tmp_path, trace_file, server, *more):
    """`ask` about the trace file."""
    return invoke(app, tmp_path, "ask", trace_file, "-p", "what fails?", "--base-url",
                  server.base_url, "--api-key", "sk-test-1", *more)  # fmt: skip


def test_the_answer_is_on_stdout(app, tmp_path, trace_file):
    """Only the answer is data; progress is not."""
    with ScriptedModelServer(SCRIPT) as server:
        result = asked(app, tmp_path, trace_file, server)

    assert (result.exit_code, result.stdout) == (0, "Fine.\n")
    assert "get_dataset_overview" in result.stderr
    assert server.requests[0].fields["messages"][2]["tool_calls"]


def test_json_is_one_event_a_line(app, tmp_path, trace_file):
    """Every line is an event, numbered, the end last."""
    with ScriptedModelServer(SCRIPT) as server:
        result = asked(app, tmp_path, trace_file, server, "--json")

    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["sequence"] for event in events] == list(range(len(events)))
    assert events[-1] == {
        "sequence": len(events) - 1,
        "type": "end",
        "status": "complete",
        "reason": None,
        "detail": "",
        "hint": "",
    }


@pytest.mark.parametrize(
    ("script", "flags", "code"),
    [
        ((error(401, "no"),), (), 1),
        ((SCRIPT[0],) * 2, ("--max-turns", "2"), 4),
        ((), ("--budget-tokens", "10"), 4),
    ],
)
def test_the_exit_status_says_how_it_ended(app, tmp_path, trace_file, script, flags, code):
    """1 when the model failed, 4 when a budget ended the run."""
    with ScriptedModelServer(script) as server:
        result = asked(app, tmp_path, trace_file, server, *flags)

    assert result.exit_code == code


def test_a_stored_project_is_asked_about(app, tmp_path):
    """Stored traces are read through the index; rules' findings come first (DESIGN of a run)."""

    async def fill() -> None:
        writer = SpanWriter(
            tmp_path / "data", worker=0, now_unix_ns=time.time_ns, now_monotonic_s=time.monotonic
        )
        lines = [s.to_line() for t in shop_reader().iter_traces(EVERYTHING) for s in t.spans]
        await writer.accept([SpanBatch(project_named("shop"), b"".join(lines), len(lines))])
        await writer.aclose()

    asyncio.run(fill())
    script = (
        ok("", ("query_spans", {"leaf_errors_only": True}), ("aggregate", {"group_by": ["tool_name"]}),
           ("search_trace", {"trace_id": f"{2:032x}", "regex_pattern": "seat map"})),
        SCRIPT[1],
    )  # fmt: skip
    with ScriptedModelServer(script) as server:
        result = invoke(app, tmp_path, "ask", "--project", "shop", "-p", "what fails?",
                        "--base-url", server.base_url, "--api-key", "k")  # fmt: skip

    answers = {
        m["tool_call_id"]: json.loads(m["content"])["result"]
        for m in server.requests[1].messages
        if m["role"] == "tool"
    }
    assert (result.exit_code, result.stdout) == (0, "Fine.\n")
    assert answers["digest-0"]["total"] >= 1
    assert (answers["call_0"]["total"], answers["call_0"]["affected_traces"]) == (4, 4)
    assert answers["call_1"]["groups_total"] == 2
    assert answers["call_2"]["match_count"] >= 1


def test_runs_can_be_listed_shown_and_replayed(app, tmp_path, trace_file):
    """A run is found again; its replay asks no model and ends the same."""
    with ScriptedModelServer(SCRIPT) as server:
        asked(app, tmp_path, trace_file, server)
    listed = invoke(app, tmp_path, "run", "list", "--json")
    [row] = json.loads(listed.stdout)["runs"]

    shown = invoke(app, tmp_path, "run", "show", row["run"])
    logs = invoke(app, tmp_path, "run", "logs", row["run"], "-f")
    again = invoke(app, tmp_path, "run", "replay", row["run"])

    assert (row["status"], row["question"]) == ("complete", "what fails?")
    assert "Fine." in shown.stdout
    assert logs.stdout.splitlines()[-1].split()[1] == "run_end"
    assert (again.exit_code, again.stdout) == (0, "Fine.\n")


def test_a_run_can_be_exported_as_spans(app, tmp_path, trace_file):
    """Agent, answers and tool calls become canonical spans that receivers can tell apart."""
    with ScriptedModelServer(SCRIPT) as server:
        asked(app, tmp_path, trace_file, server)
    [row] = json.loads(invoke(app, tmp_path, "run", "list", "--json").stdout)["runs"]

    result = invoke(app, tmp_path, "run", "export", row["run"])

    spans = [check_line(f"{line}\n".encode()) for line in result.stdout.splitlines()]
    kinds = [span["attributes"]["inference.observation_kind"] for span in spans]
    assert kinds == ["LLM", "TOOL", "LLM", "TOOL", "AGENT"]
    assert all(span["resource"]["attributes"]["halo.self"] for span in spans)
    assert {span["parent_span_id"] for span in spans[:-1]} == {spans[-1]["span_id"]}


def test_a_run_can_be_sent_to_an_endpoint_that_is_no_halo_daemon(app, tmp_path, trace_file):
    """The endpoint gets every span once, with the header; a refusal is an error that says so."""
    with ScriptedModelServer(SCRIPT) as server:
        asked(app, tmp_path, trace_file, server)
    [row] = json.loads(invoke(app, tmp_path, "run", "list", "--json").stdout)["runs"]
    export = ("run", "export", row["run"], "-H", "X-Team: agents", "--endpoint")

    async def sent_to(answer):
        server = WebhookServer(answers=[answer])
        async with server.listening():
            address = f"http://127.0.0.1:{server.port}"
            result = await asyncio.to_thread(invoke, app, tmp_path, *export, address)
        return result, server

    taken, server = asyncio.run(sent_to(Answer(200, body=b"{}")))
    refused, _ = asyncio.run(sent_to(Answer(503)))

    assert taken.stdout == "sent 5 spans, 0 of them refused\n"
    [request] = server.received
    assert request.request_line.split()[:2] == ["POST", "/v1/traces"]
    assert request.headers["x-team"] == "agents"
    sent = json.loads(request.body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [span["spanId"] for span in sent] == [
        json.loads(line)["span_id"]
        for line in invoke(app, tmp_path, "run", "export", row["run"]).stdout.splitlines()
    ]
    assert isinstance(refused.exception, DeliveryError)
    assert "HTTP 503" in str(refused.exception)


@pytest.mark.slow
def test_own_spans_never_come_into_a_halo_daemon(app, tmp_path, trace_file):
    """A daemon refuses each of them, and stores nothing."""
    with ScriptedModelServer(SCRIPT) as server:
        asked(app, tmp_path, trace_file, server)
    [row] = json.loads(invoke(app, tmp_path, "run", "list", "--json").stdout)["runs"]

    with DaemonProcess(tmp_path / "received") as daemon:
        address = f"http://{daemon.http}"
        result = invoke(app, tmp_path, "run", "export", row["run"], "--endpoint", address)

    assert result.stdout == "sent 5 spans, 5 of them refused\n"
    assert not list((tmp_path / "received").rglob("spans/*/*.jsonl"))


def test_no_key_is_kept(app, tmp_path, trace_file):
    """Nothing that a run leaves behind holds the key."""
    with ScriptedModelServer(SCRIPT) as server:
        asked(app, tmp_path, trace_file, server)

    kept = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert kept
    assert all(b"sk-test-1" not in text for text in kept)


def test_a_stopped_run_is_resumed(app, tmp_path, trace_file):
    """`--resume` goes on where the provider failed."""
    with ScriptedModelServer((SCRIPT[0], error(401, "no"))) as server:
        asked(app, tmp_path, trace_file, server)
    [row] = json.loads(invoke(app, tmp_path, "run", "list", "--json").stdout)["runs"]
    with ScriptedModelServer((SCRIPT[1],)) as server:
        result = asked(app, tmp_path, trace_file, server, "--resume", row["run"])
        server.finish()

    assert (result.exit_code, result.stdout) == (0, "Fine.\n")


def test_a_run_is_retried_as_it_was_asked(app, tmp_path, trace_file, monkeypatch):
    """`run retry` needs no question and no flags; a run that came to its end stays as it is."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-1")
    with ScriptedModelServer((SCRIPT[0], error(401, "no"))) as server:
        stopped = asked(app, tmp_path, trace_file, server)
        port = server.base_url
    [row] = json.loads(invoke(app, tmp_path, "run", "list", "--json").stdout)["runs"]
    kept = tmp_path / "data" / "agent-runs" / row["run"] / "asked.json"
    with ScriptedModelServer((SCRIPT[1],)) as server:
        kept.write_text(kept.read_text().replace(port, server.base_url))
        result = invoke(app, tmp_path, "run", "retry", row["run"])
        again = invoke(app, tmp_path, "run", "retry", row["run"])
        server.finish()

    assert "auth" in stopped.stderr
    assert (result.exit_code, result.stdout) == (0, "Fine.\n")
    assert "already_ended" in again.stderr


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (
            (error(404, "no such model", kind="model_not_found"),),
            "cannot find gpt-5.4-mini at http",
        ),
        ((error(401, "Incorrect API key"),), "Incorrect API key"),
    ],
)
def test_why_a_run_stopped_is_told(app, tmp_path, trace_file, script, told):
    """The reason's word, the provider's words and what to do about it are on stderr."""
    with ScriptedModelServer(script) as server:
        result = asked(app, tmp_path, trace_file, server)

    [row] = json.loads(invoke(app, tmp_path, "run", "list", "--json").stdout)["runs"]
    assert told in result.stderr
    assert told in row["detail"]


def test_a_dry_run_sends_nothing(app, tmp_path, trace_file):
    """The plan is printed, no request is made."""
    with ScriptedModelServer(()) as server:
        result = asked(app, tmp_path, trace_file, server, "--dry-run")

    assert "first request" in result.stdout
    assert server.requests == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "price unknown: no budget limits the cost"),
        (("--budget-tokens", "9000000"), "price unknown: the token budget binds"),
        (("--price", "0.25,2.00"), "priced"),
    ],
)
def test_a_dry_run_says_what_limits_the_cost(app, tmp_path, trace_file, options, told):
    """Tokens limit it where no price is known, and nothing does where they are not limited."""
    with ScriptedModelServer(()) as server:
        result = asked(app, tmp_path, trace_file, server, "--dry-run", *options)

    assert told in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "-p", "x"),
        ("ask", "t.jsonl", "--project", "p", "-p", "x"),
        ("ask", "t.jsonl", "-p", "x", "-H", "nonsense"),
        ("ask", "t.jsonl", "-p", "x", "--price", "cheap"),
        ("ask", "t.jsonl", "-p", "x", "--api", "soap"),
        ("ask", "t.jsonl", "-p", "x", "--api-key", "k", "--base-url", "localhost"),
        ("ask", "t.jsonl", "-p", "x", "--resume", "run-none"),
        ("run", "show", "none"),
    ],
)
def test_bad_usage_is_told(app, tmp_path, arguments):
    """Each mistake is a configuration error before anything is sent."""
    result = invoke(app, tmp_path, *arguments)

    assert isinstance(result.exception, ConfigError)


CODE = (
    "import typer; from halo_daemon.cli import ask; app = typer.Typer();"
    "app.command('ask')(ask.ask); app.command('x')(lambda: None); app()"
)


def signalled(server, trace_file, data, number: int) -> int:
    """Exit status of a run that gets a signal while its second answer hangs."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "ask", str(trace_file), "-p", "what fails?", "--api-key", "k",
         "--base-url", server.base_url, "--data", str(data)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline_s = time.monotonic() + 300
    while len(server.requests) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.send_signal(number)
    process.communicate(timeout=300)
    return process.returncode


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_process_is_resumed(app, tmp_path, trace_file):
    """kill -9 in a stream: the next process goes on at the turn that hung (J-01)."""
    data = tmp_path / "data"
    with ScriptedModelServer((SCRIPT[0], stall())) as server:
        assert signalled(server, trace_file, data, signal.SIGKILL) == -signal.SIGKILL
    [journal] = data.rglob("journal.jsonl")

    with ScriptedModelServer((SCRIPT[1],)) as server:
        result = asked(app, tmp_path, trace_file, server, "--resume", journal.parent.name)
        server.finish()

    assert (result.exit_code, result.stdout) == (0, "Fine.\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_ends_a_run_with_its_journal_whole(tmp_path, trace_file):
    """SIGTERM in a stream: the run ends at once, and its journal says how (K-01)."""
    with ScriptedModelServer((SCRIPT[0], stall())) as server:
        status = signalled(server, trace_file, tmp_path / "data", signal.SIGTERM)

    [journal] = (tmp_path / "data").rglob("journal.jsonl")
    end = json.loads(journal.read_bytes().splitlines()[-1])
    assert status == 130
    assert (end["type"], end["status"], end["reason"]) == ("run_end", "partial", "cancelled")
