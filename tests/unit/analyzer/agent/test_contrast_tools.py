import gzip
import json
import sys
import time
from collections.abc import Iterator

import pytest

from halo_daemon.analyzer.agent.contrast_tools import ContrastTools
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.toolbox import Toolbox
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.proto.span import Span
from halo_daemon.store.trace_files import EVERYTHING, open_trace_files
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.spans import START_UNIX_NS, make_fields, span_id_of, trace_id_of
from tests.unit.analyzer.agent.traces import shop_reader, source_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def toolbox_over(source: TraceSource) -> Toolbox:
    """All trace tools."""
    traces = TraceTools(source, QueryLog())
    return Toolbox([*traces.tools(), *ContrastTools(source, traces).tools()])


def toolbox(reader=None) -> Toolbox:
    """All trace tools, over spans in memory."""
    return toolbox_over(source_of(reader or shop_reader()))


@pytest.fixture(params=["plain", "gzip", "zstd"])
def filed(request, tmp_path) -> Iterator[TraceSource]:
    """The shop's traces in a file, asked through its index."""
    pack = {"plain": bytes, "gzip": gzip.compress, "zstd": zstd.compress}[request.param]
    lines = [s.to_line() for t in shop_reader().iter_traces(EVERYTHING) for s in t.spans]
    path = tmp_path / "traces.jsonl"
    path.write_bytes(pack(b"".join(lines)))
    with open_trace_files([path], now_monotonic_s=time.monotonic) as files:
        yield TraceSource(files.reader, EVERYTHING, files.queries)


async def ask(name: str, *, box: Toolbox | None = None, **arguments):
    """One call's answer."""
    call = ToolCall("c", name, json.dumps(arguments))
    answer = json.loads(await (box or toolbox()).answer(call))
    return answer.get("result", answer)


def searching_reader() -> MemoryReader:
    """Twenty runs: ten search three times with equal words, ten once."""
    reader = MemoryReader()
    for number in range(1, 21):
        for place in range(1, 4 if number <= 10 else 2):
            fields = make_fields(
                trace_id=trace_id_of(number),
                span_id=span_id_of(number * 10 + place),
                observation_kind="TOOL",
                start_unix_ns=START_UNIX_NS + place,
                attributes={
                    "tool.name": "search" if number <= 10 else "fetch",
                    "input.value": '{"q": "x", "n": 1}' if place % 2 else '{"n": 1.0, "q": "x"}',
                    "output.value": "nothing",
                },
            )
            reader.add(Span.from_fields(fields), received_unix_ns=1)
    return reader


async def test_what_sets_groups_apart_is_found():
    """A tool that only one group uses is a discovery; the wording claims no cause."""
    box = toolbox(searching_reader())
    groups = {
        "a": {"trace_ids": [trace_id_of(n) for n in range(6, 16)]},
        "b": {"trace_ids": [trace_id_of(n) for n in (1, 2, 3, 4, 5)]},
    }

    found = await ask("compare_groups", box=box, **groups)

    assert (found["n_a"], found["n_b"], found["wording"]) == (10, 5, "goes with")
    assert found["tests"] >= found["discoveries"]
    assert {row["feature"] for row in found["rows"]} <= {"tool: search", "tool: fetch",
                                                          "bigram: search > search"}  # fmt: skip


async def test_groups_do_not_overlap():
    """A trace in both groups is a mistake that is told."""
    answer = await ask("compare_groups", a={}, b={"has_errors": True})

    assert "4 traces are in both groups" in answer["error"]


async def test_like_traces_are_ranked():
    """Those that share tools and errors come first, with what they share."""
    found = await ask("find_traces_like", trace_id=trace_id_of(2))

    matches = found["matches"]
    assert [match["trace_id"] for match in matches[:3]] == [trace_id_of(n) for n in (4, 6, 8)]
    assert matches[0]["score"] == 1.0
    assert matches[-1]["score"] < 1.0


async def test_groups_beyond_the_bound_are_compared_in_part_and_say_so():
    """Of very many traces those that started last are looked at; the rest are counted."""
    source = source_of(shop_reader(8))
    source.max_compared = 3
    box = toolbox_over(source)

    compared = await ask("compare_groups", box=box, a={"has_errors": True}, b={"has_errors": False})
    alike = await ask("find_traces_like", box=box, trace_id=trace_id_of(2))
    whole = await ask("compare_groups", a={"has_errors": True}, b={"has_errors": False})

    assert (compared["n_a"], compared["n_b"], compared["left_out_traces"]) == (3, 3, 2)
    assert "narrow" in compared["hint"]
    assert {match["trace_id"] for match in alike["matches"]} == {trace_id_of(n) for n in (6, 7, 8)}
    assert alike["left_out_traces"] == 5
    assert (whole["n_a"], "left_out_traces" in whole) == (4, False)


async def test_loops_are_found_by_canonical_arguments():
    """Key order and number form do not hide a repetition; progress is not one."""
    found = await ask("find_loops", box=toolbox(searching_reader()))

    assert found["total"] == 10
    assert (found["loops"][0]["count"], found["loops"][0]["class"]) == (3, "repeat")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"kinds": ["LLM"], "limit": 3, "offset": 2},
        {"leaf_errors_only": True},
        {"leaf_errors_only": True, "filters": {"trace_ids": [trace_id_of(2)]}},
        {"tool_names": ["book_flight"], "filters": {"has_errors": True}},
        {"filters": {"trace_ids": ["none"]}},
        {"contains": "seat map"},
        {"min_duration_ms": 2_000},
    ],
)
async def test_a_file_gives_the_same_spans_as_memory(arguments, filed):
    """The index of a file and a look at every span agree, page by page."""
    read = await ask("query_spans", box=toolbox(), **arguments)
    indexed = await ask("query_spans", box=toolbox_over(filed), **arguments)

    assert (indexed["total"], indexed["affected_traces"]) == (
        read["total"],
        read["affected_traces"],
    )
    assert len(indexed["spans"]) == len(read["spans"])
    if read["total"] == len(read["spans"]):
        key = lambda row: (row["trace_id"], row["span_id"])  # noqa: E731
        assert sorted(indexed["spans"], key=key) == sorted(read["spans"], key=key)


async def test_figures_come_from_the_index():
    """Groups come with counts, errors and intervals."""
    found = await ask("aggregate", group_by=["tool_name"], kinds=["TOOL"])

    [row] = found["rows"]
    assert (row["key"], row["spans"], row["errors"]) == (["book_flight"], 8, 4)
    assert row["error_rate_ci95"][0] < 0.5 < row["error_rate_ci95"][1]
