"""The stock engine as oracle: the same file, the same questions, the same answers."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from bench.store import NOW_UNIX_NS, synthetic_lines
from halo_daemon.exchange.exports import halo_lines
from halo_daemon.proto.times import parse_unix_ns
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window

HALO_PYTHON = Path(
    os.environ.get("HALO_ENGINE_PYTHON", Path(__file__).parents[2] / ".venv-halo/bin/python")
)
EVERYTHING = Window(0, 2**63)
FILTERS = {
    "all": ({}, TraceFilter()),
    "errors": ({"has_errors": True}, TraceFilter(has_errors=True)),
    "clean": ({"has_errors": False}, TraceFilter(has_errors=False)),
    "model": (
        {"model_names": ["qwen3-32b"]},
        TraceFilter(any_span=(SpanFilter(model_names=("qwen3-32b",)),)),
    ),
    "agent": (
        {"agent_names": ["triage"]},
        TraceFilter(any_span=(SpanFilter(agent_names=("triage",)),)),
    ),
    "nothing": (
        {"service_names": ["nobody"]},
        TraceFilter(any_span=(SpanFilter(service_names=("nobody",)),)),
    ),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HALO_PYTHON.exists(), reason="halo-engine is not installed"),
]


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A data directory of 400 traces in three shards, and one of them delivered twice."""
    root = tmp_path_factory.mktemp("data")
    day = DataPaths(root).project("default").day("2026-09-21")
    day.directory.mkdir(parents=True)
    lines = list(synthetic_lines(8_000, 1_500, end_unix_ns=NOW_UNIX_NS))
    for shard in range(3):
        part = b"".join(lines[shard::3])
        day.plain(f"10000{shard}Z-w0-000001").write_bytes(part)
    day.plain("110000Z-w0-000001").write_bytes(b"".join(lines[:100]))
    return root


@pytest.fixture(scope="module")
def theirs(stored, tmp_path_factory) -> dict:
    """The stock engine's answers about our export of the same traces."""
    directory = tmp_path_factory.mktemp("halo")
    reader = LocalTraceReader(stored, "default", settle_s=0, now_unix_ns=lambda: NOW_UNIX_NS)
    path = directory / "traces.jsonl"
    path.write_bytes(b"".join(halo_lines(reader.iter_traces(EVERYTHING))))
    views = [summary.trace_id for summary in reader.list_traces(EVERYTHING, limit=5)]
    reader.close()
    questions = {"filters": {name: asked for name, (asked, _) in FILTERS.items()}, "views": views}
    answer = subprocess.run(
        [HALO_PYTHON, Path(__file__).with_name("halo_answers.py"), path, directory / "index"],
        input=json.dumps(questions).encode(),
        capture_output=True,
        check=True,
    )
    return json.loads(answer.stdout)


def test_overviews_agree(stored, theirs):
    """Traces, spans, errors, tokens, names and bounds are those of the stock engine."""
    reader = LocalTraceReader(stored, "default", settle_s=0, now_unix_ns=lambda: NOW_UNIX_NS)
    ours = reader.overview(EVERYTHING)
    starts = [trace.start_unix_ns for trace in reader.list_traces(EVERYTHING, limit=10_000)]
    reader.close()

    told = theirs["overview"]
    assert (ours.traces, ours.spans) == (told["total_traces"], told["total_spans"])
    assert ours.error_traces == told["error_trace_count"]
    assert ours.input_tokens == told["total_input_tokens"]
    assert ours.output_tokens == told["total_output_tokens"]
    assert sorted(ours.models) == sorted(told["model_names"])
    assert sorted(ours.services) == sorted(told["service_names"])
    assert sorted(ours.agents) == sorted(told["agent_names"])
    assert min(starts) == parse_unix_ns(told["earliest_start_time"])


@pytest.mark.parametrize("name", FILTERS)
def test_filters_select_the_same_traces(stored, theirs, name):
    """Each filter that both have means the same traces."""
    queries = LocalQueries(
        stored, "default", now_unix_ns=lambda: NOW_UNIX_NS, now_monotonic_s=lambda: 0.0
    )

    page = queries.query_traces(EVERYTHING, TraceQuery(filter=FILTERS[name][1], limit=500))
    queries.close()

    assert [page.total, sorted(trace.trace_id for trace in page.traces)] == theirs["selected"][name]


def test_traces_hold_the_same_spans(stored, theirs):
    """A trace that came in by several shards, in part twice, has the spans of the export."""
    reader = LocalTraceReader(stored, "default", settle_s=0, now_unix_ns=lambda: NOW_UNIX_NS)

    for trace_id, spans in theirs["views"].items():
        trace = reader.load_trace(trace_id)
        assert trace is not None
        assert sorted(span.span_id for span in trace.spans) == spans
    reader.close()
