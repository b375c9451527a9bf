"""Calls and scripts written for HALO work here as they are."""

import pytest

from halo_daemon.analyzer.agent import repo_arguments as repo, trace_arguments as trace
from halo_daemon.analyzer.agent.agent_tools import ContextItemArguments, SynthesizeArguments
from halo_daemon.analyzer.agent.arguments import validate
from halo_daemon.analyzer.agent.engine_config import EngineConfig
from halo_daemon.analyzer.agent.final_answer import FinalAnswerArguments
from halo_daemon.analyzer.agent.sandbox import RunCodeArguments
from halo_daemon.analyzer.agent.tree import CallSubagentArguments
from halo_daemon.store.trace_files import EVERYTHING
from halo_daemon.testing.scripted_model import ScriptedModelServer
from halo_daemon.testing.scripted_replies import ok
from tests.unit.analyzer.agent.traces import shop_reader

FILTERS = {
    "has_errors": None, "model_names": None, "service_names": ["a"], "agent_names": None,
    "project_id": "p", "start_time_gte": "2026-01-01T00:00:00Z",
    "end_time_lte": "2026-01-02T00:00:00.000000001Z", "regex_pattern": "x",
}  # fmt: skip
SEARCH = {"trace_id": "t", "regex_pattern": "x"}
WIDEST = {"context_buffer_chars": 2_000, "max_matches": 500}
NARROWEST = {"context_buffer_chars": 0, "max_matches": 1}
BLAME = {"path": "a.py", "start_line": 1, "end_line": 1}
CALLS = [
    (trace.OverviewArguments, {}),
    (trace.OverviewArguments, {"filters": FILTERS}),
    (trace.QueryTracesArguments, {"filters": {}, "limit": 1, "offset": 0}),
    (trace.QueryTracesArguments, {"filters": FILTERS, "limit": 500, "offset": 10**6}),
    (trace.CountTracesArguments, {"filters": FILTERS}),
    (trace.ViewTraceArguments, {"trace_id": "t"}),
    (trace.ViewSpansArguments, {"trace_id": "t", "span_ids": ["s"] * 200}),
    (trace.SearchTraceArguments, SEARCH),
    (trace.SearchTraceArguments, SEARCH | WIDEST),
    (trace.SearchSpanArguments, SEARCH | {"span_id": "s"} | NARROWEST),
    (SynthesizeArguments, {"trace_ids": ["t"] * 1_000, "focus": None}),
    (ContextItemArguments, {"item_id": "in-0"}),
    (RunCodeArguments, {"code": "1", "timeout": 60}),
    (CallSubagentArguments, {"input": "look"}),
    (FinalAnswerArguments, {"answer": "done"}),
    (repo.ViewRepoTreeArguments, {}),
    (repo.GlobFilesArguments, {"pattern": "*", "max_results": 1_000}),
    (repo.GrepFilesArguments, {"regex_pattern": "x", "glob_pattern": None, "max_matches": 500}),
    (repo.ReadFileArguments, {"path": "a.py", "offset": 1, "limit": 2_000}),
    (repo.GitLogArguments, {"max_commits": 500, "since": "1 week", "pickaxe_string": "x"}),
    (repo.GitLogArguments, {"ref_range": "a..b", "path": "a.py", "pickaxe_regex": "x"}),
    (repo.GitShowArguments, {"ref": "HEAD", "path": None, "include_patch": True}),
    (repo.GitDiffArguments, {"from_ref": "a", "to_ref": "b", "stat_only": False}),
    (repo.GitBlameArguments, BLAME | {"ref": None}),
    (repo.GitReadFileArguments, {"ref": "a", "path": "a.py", "offset": 9, "limit": 1}),
]


@pytest.mark.parametrize(("arguments", "fields"), CALLS)
def test_every_call_of_halo_is_understood(arguments, fields):
    """The names, ranges and nulls that HALO's tools take are taken here."""
    read, _ = validate(arguments, fields)

    for name, value in fields.items():
        if name in arguments.model_fields and name != "filters":
            assert getattr(read, name) == value or value is None


DEFAULTS = {
    "maximum_depth": 2,
    "maximum_parallel_subagents": 4,
    "text_message_compaction_keep_last_messages": 12,
    "tool_call_compaction_keep_last_turns": 3,
    "emit_run_checkpoints": False,
    "dataset_context": None,
    "repo_path": None,
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_halo(name):
    """A configuration without a field means what it meant."""
    assert EngineConfig.model_fields[name].default == DEFAULTS[name]


SCRIPT = """
from halo_daemon.analyzer.agent.engine import (
    AgentConfig, EngineConfig, ModelConfig, ModelProviderConfig, AgentMessage, AgentOutputItem,
    run_engine,
)

model = ModelConfig(name="m", temperature=0.2, parallel_tool_calls=True)
config = EngineConfig(
    root_agent=AgentConfig(name="root", model=model, maximum_turns=5),
    subagent=AgentConfig(name="sub", model=model, maximum_turns=5),
    synthesis_model=model,
    compaction_model=model,
    model_provider=ModelProviderConfig(base_url=base_url, api_key="k"),
)
items = run_engine([AgentMessage(role="user", content="what fails?")], config, path)
answer = [item.item.content for item in items if isinstance(item, AgentOutputItem) and item.final]
"""


def test_a_script_for_halo_runs_after_changing_its_import(tmp_path):
    """The shape of a HALO script, with one import of ours, gives its final item."""
    path = tmp_path / "traces.jsonl"
    spans = [span for found in shop_reader().iter_traces(EVERYTHING) for span in found.spans]
    path.write_bytes(b"".join(span.to_line() for span in spans))
    with ScriptedModelServer((ok("", ("final_answer", {"answer": "Fine."})),)) as server:
        names = {"base_url": server.base_url, "path": path}
        exec(SCRIPT, names)

    assert names["answer"] == ["Fine."]
