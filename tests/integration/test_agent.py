"""Whole runs of the agent with real tools over real and made-up traces."""

import asyncio
import gzip
import itertools
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import pytest
import structlog
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.explain import ExplainSettings, dry_run, explain
from halo_daemon.analyzer.agent.journal import read_journal
from halo_daemon.analyzer.agent.messages import Role
from halo_daemon.analyzer.agent.sandbox import SandboxSettings
from halo_daemon.analyzer.agent.session import RunSettings
from halo_daemon.analyzer.agent.tree import TreeSettings
from halo_daemon.demo.agents import AGENTS, generate
from halo_daemon.findings import Report, from_json, report_schema, to_json
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from halo_daemon.proto.project import project_named
from halo_daemon.proto.span import Span
from halo_daemon.testing.memory_queries import MemoryQueries
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.scripted_chat import ScriptedChatModel, call
from tests.unit.analyzer.agent.agents import FakeClock
from tests.unit.analyzer.agent.analyst import analyst
from tests.unit.analyzer.agent.traces import GOAL_DRIFT, INJECTION, report_of, shop_reader

SHARED = Path(os.environ.get("HALO_SHARED", Path(__file__).parents[3] / "shared"))


def settings(**tree) -> ExplainSettings:
    """Settings with time standing still and no sandbox."""
    run = RunSettings(
        tree=TreeSettings(**tree),
        sandbox=SandboxSettings(enabled=False),
        clock=FakeClock().clock,
    )
    return ExplainSettings("scripted", run=run)


async def explained(reader, journal_path=None, model=None, **tree) -> Report:
    """The report that the analyst leaves behind."""
    model = model or ScriptedChatModel(analyst)
    return await explain(
        report_of(reader),
        reader,
        model,
        settings=settings(**tree),
        journal_path=journal_path,
        queries=MemoryQueries(reader),
    )


def mine(report: Report) -> list:
    """The findings of the model."""
    return [finding for finding in report.findings if finding.source == "llm"]


async def test_the_analyst_ends_with_verified_findings():
    """Overview, query, search, view, synthesis, sub-agent, findings: all checked, all counted (L17)."""
    report = await explained(shop_reader())

    assert (report.engine.mode, report.engine.status, report.engine.reason) == (
        "llm",
        "complete",
        None,
    )
    [drift] = mine(report)
    jsonschema.validate(json.loads(to_json(report)), report_schema())
    assert drift.verified
    assert drift.evidence[0].quote == GOAL_DRIFT
    assert report.findings[0].merged_from or report.findings[1].merged_from
    assert report.engine.subagents == 1
    assert report.coverage.llm_viewed_traces >= 1
    assert from_json(to_json(report)) == report


async def test_what_was_not_looked_at_is_said():
    """A run that ends early names the findings it did not reach, and what it lacked (R18, G5)."""
    model = ScriptedChatModel([call("final_answer", answer="x", not_looked_at=["the night"])])

    report = await explained(shop_reader(), model=model)

    rules = {f.finding_id for f in report.findings}
    assert {*report.coverage.llm_not_reached} == rules
    assert report.coverage.llm_viewed_traces == 0
    assert report.limits[-1] == "the night"
    assert any("run_code was not offered: switched off" in limit for limit in report.limits)


async def test_a_resumed_run_takes_over_what_was_spent(tmp_path):
    """Tokens, requests and seconds of the first attempt bind the second (J-02)."""
    path = tmp_path / "journal.jsonl"
    dead = ModelError("no", action=Action.STOP, reason="auth")
    first = await explained(
        shop_reader(), path, ScriptedChatModel([call("get_dataset_overview"), dead])
    )
    last = call("final_answer", answer="x")

    resumed = await explained(shop_reader(), path, ScriptedChatModel([last]))

    assert first.engine.tokens.input == 100
    assert resumed.engine.tokens.input == 200
    assert (resumed.engine.requests, resumed.engine.turns) == (first.engine.requests + 1, 2)


async def test_the_same_run_gives_the_same_report():
    """Two runs over the same traces with the same answers agree to the byte."""
    first, second = [to_json(await explained(shop_reader())) for _ in range(2)]

    assert first == second


async def test_a_run_killed_at_any_step_resumes_to_the_same_report(tmp_path):
    """Cut the journal after every line in turn: the end is the same, nothing is paid twice."""
    undisturbed = tmp_path / "whole" / "journal.jsonl"
    whole = ScriptedChatModel(analyst)
    expected = await explained(shop_reader(), undisturbed, whole)
    lines = undisturbed.read_bytes().splitlines(keepends=True)

    for kept in range(1, len(lines)):
        cut = tmp_path / f"cut-{kept}" / "journal.jsonl"
        shutil.copytree(undisturbed.parent, cut.parent)
        cut.write_bytes(b"".join(lines[:kept]) + lines[kept][: len(lines[kept]) // 2])
        answered = sum(b'"type":"response"' in line for line in lines[:kept])
        model = ScriptedChatModel(analyst)
        resumed = await explained(shop_reader(), cut, model)

        assert resumed.findings == expected.findings, f"after line {kept}"
        assert resumed.engine.status == "complete"
        assert len(model.seen) == len(whole.seen) - answered
        assert resumed.engine.tokens == expected.engine.tokens
        assert resumed.engine.subagents == expected.engine.subagents


async def test_a_finished_journal_is_replayed_without_a_model(tmp_path):
    """A replay makes no request and comes to the same report (J-05)."""
    path = tmp_path / "journal.jsonl"
    expected = await explained(shop_reader(), path)

    replayed = await explained(shop_reader(), path, ScriptedChatModel([]))

    assert replayed.findings == expected.findings


async def test_a_journal_of_other_traces_is_not_resumed(tmp_path):
    """A changed question is noticed; the report says that the model was not asked (J-04)."""
    path = tmp_path / "journal.jsonl"
    await explained(shop_reader(), path)

    other = await explained(shop_reader(), path, subagent_turns=3)

    assert (other.engine.status, other.engine.reason) == ("partial", "journal")
    assert "changed since it was written: limits" in other.limits[-1]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelError("no", action=Action.STOP, reason="auth"), "auth"),
        (ModelError("no", action=Action.RETRY), "provider"),
        (ModelError("no", action=Action.STOP, reason="quota"), "quota"),
    ],
)
async def test_a_dead_provider_leaves_the_complete_rule_report(error, reason):
    """The deterministic findings stand, with the reason why there is no more (R17, B-07)."""
    reader = shop_reader()
    expected = report_of(reader)

    report = await explained(reader, model=ScriptedChatModel(lambda _: error))

    assert report.findings == expected.findings
    assert (report.engine.mode, report.engine.status, report.engine.reason) == (
        "llm",
        "partial",
        reason,
    )
    assert report.coverage.llm_not_reached == tuple(f.finding_id for f in expected.findings)


@pytest.mark.parametrize("turns", [1, 2, 3, 5])
async def test_a_root_makes_at_most_its_turns(turns):
    """`max_turns` binds, and what was recorded until then is in the report (B-02)."""
    model = ScriptedChatModel(analyst)

    report = await explained(shop_reader(), model=model, root_turns=turns)

    roots = [r for r in model.seen if r.messages[0].content.startswith("You examine")]
    assert len(roots) == turns
    assert report.engine.status == "complete"


async def test_trace_text_reaches_the_model_only_in_tool_messages():
    """Instructions in traces are data: no other role ever carries them (R15, S-01, S-02)."""
    model = ScriptedChatModel(analyst)

    report = await explained(shop_reader(injected=INJECTION), model=model)

    carriers = {
        m.role for request in model.seen for m in request.messages if INJECTION in m.content
    }
    assert carriers <= {Role.TOOL}
    assert report.engine.status == "complete"


@pytest.mark.parametrize(
    "forbidden",
    [
        call("read_file", path=".env"),
        call("http_get", url="http://evil.example"),
        call("run_code", code="open('/etc/passwd')"),
        call("git_show", ref="--output=/tmp/x"),
        call("view_trace", trace_id="../../etc/passwd"),
    ],
)
async def test_a_model_that_obeys_a_trace_reaches_nothing(forbidden):
    """Calls that do not exist are answered with what does; the run goes on (S-03, S-04)."""
    turns = iter([forbidden])
    model = ScriptedChatModel(lambda request: next(turns, None) or analyst(request))

    report = await explained(shop_reader(injected=INJECTION), model=model)

    assert report.engine.status == "complete"
    assert "root:" not in to_json(report).decode()


async def test_a_bug_in_the_models_part_never_costs_the_report():
    """Whatever escapes, the rules' report comes back with the reason."""
    reader = shop_reader()

    def broken(_):
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as logged:
        report = await explained(reader, model=ScriptedChatModel(broken))

    assert logged[0]["event"] == "agent_failed"
    assert report.findings == report_of(reader).findings
    assert (report.engine.status, report.engine.reason) == ("partial", "failed")
    assert "ZeroDivisionError" in report.limits[-1]


async def test_a_claim_that_is_not_found_is_set_apart():
    """A made-up quote never becomes a finding (R16)."""
    lie = call(
        "record_finding",
        title="The agent leaks its prompt to users",
        evidence=[{"trace_id": f"{2:032x}", "span_id": f"{204:016x}", "quote": "never said"}],
    )
    turns = iter([lie, call("final_answer", answer="done")])

    report = await explained(shop_reader(), model=ScriptedChatModel(lambda _: next(turns)))

    assert mine(report) == []
    assert [claim.title for claim in report.unverified_claims] == [
        "The agent leaks its prompt to users"
    ]


async def test_a_run_is_resumed_only_so_often(tmp_path):
    """After three resumes a run is closed as partial, with what it has."""
    path = tmp_path / "journal.jsonl"
    whole = ScriptedChatModel(analyst)
    expected = await explained(shop_reader(), path, whole)
    for _ in range(3):
        await explained(shop_reader(), path, ScriptedChatModel([]))

    last = await explained(shop_reader(), path, ScriptedChatModel([]))

    assert (last.engine.status, last.engine.reason) == ("partial", "resumed_too_often")
    assert last.findings == expected.findings


async def test_a_run_that_hangs_is_cut_at_its_deadline():
    """Whatever hangs, the wall clock of the budget ends the run (K-02)."""

    class Hanging(ScriptedChatModel):
        async def complete(self, request, *, on_text):
            del request, on_text
            await asyncio.Event().wait()

    reader = shop_reader()
    run = RunSettings(budget=Budget(seconds=0.2), sandbox=SandboxSettings(enabled=False))
    report = await explain(
        report_of(reader),
        reader,
        Hanging([]),
        settings=ExplainSettings("m", run=run),
        journal_path=None,
        queries=MemoryQueries(reader),
    )

    assert (report.engine.status, report.engine.reason) == ("partial", "seconds")
    assert report.findings == report_of(reader).findings


async def test_a_stopped_run_leaves_a_partial_report():
    """Told to stop, the run ends at once and keeps what it has (K-01)."""
    stop = asyncio.Event()

    class Stopping(ScriptedChatModel):
        async def complete(self, request, *, on_text):
            del request, on_text
            stop.set()
            await asyncio.Event().wait()

    reader = shop_reader()
    report = await explain(
        report_of(reader),
        reader,
        Stopping([]),
        settings=settings(),
        journal_path=None,
        queries=MemoryQueries(reader),
        stop=stop,
    )

    assert (report.engine.status, report.engine.reason) == ("partial", "cancelled")


async def test_secrets_stay_at_home(tmp_path):
    """A key in a trace is masked in every request, in the journal and in the report (S-07)."""
    secret = "sk-proj-A1b2C3d4E5f6G7h8I9j0"
    model = ScriptedChatModel(analyst)
    path = tmp_path / "journal.jsonl"

    report = await explained(shop_reader(injected=f" key {secret}"), path, model)

    assert all(secret not in m.content for request in model.seen for m in request.messages)
    assert secret.encode() not in path.read_bytes()
    assert report.privacy.values_redacted > 0


async def test_the_budget_of_the_tree_is_kept():
    """Root and sub-agents together stay within the tokens, and still answer (B-04)."""
    reader = shop_reader()
    base = settings()
    for tokens in (20_000, 40_000, 60_000, 90_000):
        run = RunSettings(
            tree=base.run.tree,
            budget=Budget(tokens=tokens),
            sandbox=base.run.sandbox,
            clock=base.run.clock,
        )
        model = ScriptedChatModel(analyst)
        report = await explain(
            report_of(reader),
            reader,
            model,
            settings=ExplainSettings("scripted", run=run, max_output_tokens=500),
            journal_path=None,
            queries=MemoryQueries(reader),
        )

        assert report.engine.tokens.input + report.engine.tokens.output <= tokens


async def test_the_journal_tells_the_run(tmp_path):
    """One record for each step, from the start to the end."""
    path = tmp_path / "journal.jsonl"

    await explained(shop_reader(), path)

    kinds = [record["type"] for record in read_journal(path)]
    assert (kinds[0], kinds[-1]) == ("run_start", "run_end")
    assert {"agent_start", "request", "response", "tool_result", "finding", "agent_end"} <= {*kinds}


def test_a_dry_run_sends_nothing_and_says_what_would_go():
    """Size, attributes and cost are told before anything is sent."""
    reader = shop_reader()

    planned = dry_run(report_of(reader), reader, settings(), queries=MemoryQueries(reader))

    assert planned.traces == 8
    assert "output.value" in planned.attributes
    assert planned.first_request_tokens > 1_000
    assert "unknown" in planned.cost_note


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
async def test_the_analyst_works_on_the_sample_agents(agent):
    """On the demo's traces, through the real decoder, the analyst ends with verified findings."""
    generated = generate(agent, now_unix_ns=1_790_000_000 * 10**9, traces=60)
    body = encode_spans(generated.spans).SerializeToString()
    reader = decoded_reader([body], decode_protobuf)

    report = await explained(reader)

    assert report.engine.status == "complete"
    assert any(f.verified and (f.source == "llm" or f.merged_from) for f in report.findings)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["trail_gaia", "trail_swe_bench"])
async def test_the_analyst_works_on_recorded_traces(name):
    """On recorded runs of other people's agents the analyst ends with verified findings."""
    path = SHARED / "data" / "traces" / f"{name}.otlp.jsonl.gz"
    if not path.exists():
        pytest.skip("evaluation data not present")
    reader = recorded_reader(path, limit=12)

    report = await explained(reader)

    assert report.engine.status == "complete"
    assert any(f.verified and (f.source == "llm" or f.merged_from) for f in report.findings)
    assert from_json(to_json(report)) == report


def recorded_reader(path: Path, *, limit: int) -> MemoryReader:
    """The first *limit* requests of a recording, through the real decoder."""
    with gzip.open(path, "rb") as file:
        return decoded_reader(itertools.islice(file, limit), decode_json)


def decoded_reader(bodies: Iterable[bytes], decode) -> MemoryReader:
    """What requests hold, as it would be stored."""
    reader = MemoryReader()
    for body in bodies:
        decoded = decode(body, project_of=lambda _: project_named("eval"), limits=DecodeLimits())
        for batch in decoded.batches:
            for line in batch.lines.splitlines():
                reader.add(Span.from_line(line), received_unix_ns=1)
    return reader
