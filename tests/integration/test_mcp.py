"""`halo-daemon mcp` as a coding agent sees it: over standard input and output."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.demo.export import export
from halo_daemon.quantities import parse_endpoint
from halo_daemon.testing.daemon import DaemonProcess

pytestmark = pytest.mark.slow

READING = {
    "aggregate",
    "check_finding",
    "compare_groups",
    "count_traces",
    "find_loops",
    "find_traces_like",
    "get_dataset_overview",
    "get_finding",
    "list_findings",
    "list_projects",
    "query_spans",
    "query_traces",
    "search_span",
    "search_trace",
    "view_spans",
    "view_trace",
}
WRITING = {"acknowledge_finding", "resolve_finding"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory with two of the sample agents and a report of each."""
    data = tmp_path_factory.mktemp("mcp") / "data"
    generated = [generate(agent, now_unix_ns=time.time_ns(), traces=24) for agent in AGENTS[:2]]
    with DaemonProcess(data) as daemon:
        export(generated, grpc=parse_endpoint(daemon.grpc), http=parse_endpoint(daemon.http))
    command = [sys.executable, "-m", "halo_daemon", "analyze", "--data", str(data)]
    subprocess.run([*command, "--since", "1h"], check=True, capture_output=True, timeout=120)
    return data


@asynccontextmanager
async def client(data, *arguments):
    """A client whose server is the command, started as an agent starts it."""
    command = ["-m", "halo_daemon", "mcp", "--data", str(data), *arguments]
    server = StdioServerParameters(command=sys.executable, args=command, env={**os.environ})
    async with stdio_client(server) as streams, ClientSession(*streams) as session:
        yield session, await session.initialize()


async def asked(session, name, **arguments):
    """What a tool answers, as the object that it is."""
    result = await session.call_tool(name, arguments)
    (content,) = result.content
    document = json.loads(content.text)
    assert result.is_error is ("error" in document)
    return document if result.is_error else document["result"]


async def test_an_agent_reads_findings_and_the_traces_behind_them(data):
    """From the list of projects to the quoted span of a finding, and back to whether it is there."""
    async with client(data) as (session, hello):
        async with asyncio.TaskGroup() as calls:
            at_once = [calls.create_task(asked(session, "list_projects")) for _ in range(4)]
        projects = at_once[0].result()["projects"]
        listed = await asked(session, "list_findings", project="support-bot")
        first = listed["findings"][0]
        finding = await asked(
            session, "get_finding", project="support-bot", finding_id=first["finding_id"]
        )
        cited = finding["evidence"][0]
        shown = await asked(
            session,
            "view_spans",
            project="support-bot",
            trace_id=cited["trace_id"],
            span_ids=[cited["span_id"]],
        )
        checked = await asked(
            session, "check_finding", project="support-bot", finding_id=first["finding_id"]
        )

    assert "never instructions" in hello.instructions
    assert [(row["project"], row["traces"]) for row in projects] == [
        ("research", 24),
        ("support-bot", 24),
    ]
    assert first["title"] in finding["brief"]
    assert cited["span_id"] in json.dumps(shown)
    assert checked["is_seen"]
    assert checked["affected_traces"] == first["affected_traces"]


async def test_nothing_is_written_unless_it_is_allowed(data):
    """Without --allow-writes there are tools that read alone, and each says so."""
    async with client(data) as (session, _):
        tools = (await session.list_tools()).tools
        refused = await asked(session, "resolve_finding", project="research", finding_id="F")

    assert {tool.name for tool in tools} == READING
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)
    assert "no tool" in refused["error"]


async def test_decisions_are_those_of_the_command_line(data):
    """With --allow-writes a finding is acknowledged and resolved, and `finding show` has it."""
    async with client(data, "--allow-writes", "--project", "research") as (session, _):
        tools = (await session.list_tools()).tools
        finding_id = (await asked(session, "list_findings"))["findings"][0]["finding_id"]
        acked = await asked(session, "acknowledge_finding", finding_id=finding_id, note="on it")
        resolved = await asked(session, "resolve_finding", finding_id=finding_id, in_version="2.0")
        left = (await asked(session, "list_findings"))["findings"]
    shown = _shown(data, finding_id)

    assert {tool.name for tool in tools} == READING | WRITING
    assert {tool.name for tool in tools if not tool.annotations.read_only_hint} == WRITING
    assert (acked["triage"], resolved["state"]) == ("acknowledged", "resolved")
    assert finding_id not in {row["finding_id"] for row in left}
    assert shown["state"] == "resolved"


def _shown(data, finding_id):
    """What the command line says of a finding."""
    command = [sys.executable, "-m", "halo_daemon", "finding", "show", finding_id, "--json"]
    run = subprocess.run(
        [*command, "--data", str(data)], capture_output=True, check=True, timeout=110
    )
    return json.loads(run.stdout)


WRONG_CALLS = [
    ("list_findings", {}, "there are 2"),
    ("list_findings", {"project": "nobody"}, "no project `nobody`"),
    ("get_finding", {"project": "research", "finding_id": "F-ZZZZ"}, "cannot find"),
    ("get_finding", {"project": "research"}, "finding_id"),
    ("view_trace", {"project": "research", "trace_id": "zz"}, "zz"),
    ("drop_tables", {"project": "research"}, "no tool `drop_tables`"),
]


async def test_wrong_calls_are_answered_with_what_is_wrong(data):
    """Each mistake is an error answer with a remedy, and the server goes on."""
    async with client(data) as (session, _):
        answers = [await asked(session, name, **arguments) for name, arguments, _ in WRONG_CALLS]
        after = await asked(session, "list_projects")

    for answer, (_, _, said) in zip(answers, WRONG_CALLS, strict=True):
        assert said in json.dumps(answer)
        assert answer["hint"]
    assert len(after["projects"]) == 2


async def test_a_new_directory_has_no_projects_yet(tmp_path):
    """Before the first span tools are listed, and say that there is nothing."""
    async with client(tmp_path) as (session, _):
        tools = (await session.list_tools()).tools
        listed = await asked(session, "list_projects")
        findings = await asked(session, "list_findings")

    assert {tool.name for tool in tools} == READING
    assert listed["projects"] == []
    assert "none yet" in findings["hint"]


def test_a_project_that_is_not_there_is_told_before_anything_is_served(data):
    """A wrong --project ends with 2, and standard output stays the protocol's."""
    command = [sys.executable, "-m", "halo_daemon", "mcp", "--data", str(data)]
    run = subprocess.run(
        [*command, "--project", "suport-bot"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )

    assert (run.returncode, run.stdout) == (2, "")
    assert "suport-bot" in run.stderr


def test_the_server_ends_when_its_client_does(data):
    """End of standard input is a clean end."""
    command = [sys.executable, "-m", "halo_daemon", "mcp", "--data", str(data)]
    run = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=110
    )

    assert (run.returncode, run.stdout) == (0, b"")
