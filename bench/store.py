"""
Figures of the store: ``python -m bench.store [--spans 200000] [--span-bytes 2640] [--keep DIR]``.

Writes synthetic shards, then times the index, lists, loads and a whole scan.
Every figure is wall clock of this process on this machine; the median of the
repeated ones.
"""

import argparse
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import orjson

from halo_daemon.memory import collect_seldom
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.paths import DataPaths, shard_stem
from halo_daemon.store.query import (
    AggregateQuery,
    Bucket,
    Dimension,
    SearchQuery,
    SpanOrder,
    SpanQuery,
    TraceQuery,
)
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of

NOW_UNIX_NS = 1_790_000_000_000_000_000
SPANS_PER_TRACE = 20
SHARD_BYTES = 64 * 1024**2
WORDS = ("order", "refund", "ticket", "parse", "café", "search", "retry", "token", "plan", "status")
BARE_LINE_BYTES, WORD_BYTES = 950, 6.3
"""What a line takes without its text, and a word of that, in the mean."""

TOOLS = ("lookup_order", "search_docs", "run_sql", "send_mail", "fetch_page")
MODELS = ("gpt-4o-mini-2024-07-18", "claude-sonnet-4-5", "qwen3-32b")


def synthetic_lines(spans: int, span_bytes: int, *, end_unix_ns: int) -> Iterator[bytes]:
    """Canonical lines of agent-like traces, the last of which ends at *end_unix_ns*."""
    draw = random.Random(7)
    for trace in range(spans // SPANS_PER_TRACE):
        trace_id = f"{draw.getrandbits(128):032x}"
        start = end_unix_ns - (spans // SPANS_PER_TRACE - trace) * 10**9
        for place in range(SPANS_PER_TRACE):
            kind = "AGENT" if place == 0 else draw.choice(("LLM", "TOOL"))
            failed = kind == "TOOL" and draw.random() < 0.05
            text = " ".join(
                draw.choices(WORDS, k=int(max(0, span_bytes - BARE_LINE_BYTES) / WORD_BYTES))
            )
            yield make_line(
                trace_id=trace_id,
                span_id=span_id_of(trace * SPANS_PER_TRACE + place + 1),
                parent_span_id="" if place == 0 else span_id_of(trace * SPANS_PER_TRACE + 1),
                name={"AGENT": "agent run", "LLM": "chat", "TOOL": "execute_tool"}[kind],
                start_unix_ns=start + place * 10**7,
                end_unix_ns=start + place * 10**7 + int(10**9 * draw.lognormvariate(0, 1)),
                observation_kind=kind,
                status_code="STATUS_CODE_ERROR" if failed else "STATUS_CODE_OK",
                attributes={
                    "inference.agent_name": "triage",
                    "inference.session_id": f"session-{trace % 500}",
                    "inference.llm.model_name": draw.choice(MODELS) if kind == "LLM" else None,
                    "inference.llm.input_tokens": 900 if kind == "LLM" else None,
                    "inference.llm.output_tokens": 80 if kind == "LLM" else None,
                    "tool.name": draw.choice(TOOLS) if kind == "TOOL" else "",
                    "error.type": "TimeoutError" if failed else "",
                    "input.value": text,
                },
            )


def write_shards(root: Path, spans: int, span_bytes: int) -> int:
    """Write the lines of one day as the writer would lay them out; returns their bytes."""
    day = DataPaths(root).project("bench").day("2026-09-21")
    day.directory.mkdir(parents=True)
    size = total = sequence = 0
    file = None
    for line in synthetic_lines(spans, span_bytes, end_unix_ns=NOW_UNIX_NS):
        if file is None or size > SHARD_BYTES:
            sequence += 1
            size = 0
            if file is not None:
                file.close()
            file = day.plain(shard_stem(NOW_UNIX_NS, worker=0, sequence=sequence)).open("wb")
        file.write(line)
        size += len(line)
        total += len(line)
    if file is not None:
        file.close()
    return total


def timed(label: str, action: Callable[[], object], *, repeat: int = 1) -> None:
    """Print the median wall time of *action*, and that of this process's CPU."""
    seconds, cpu_seconds = [], []
    for _ in range(repeat):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        action()
        seconds.append(time.perf_counter() - begin)
        cpu_seconds.append(time.process_time() - cpu_begin)
    wall_ms, cpu_ms = (statistics.median(each) * 1000 for each in (seconds, cpu_seconds))
    print(f"{label:<40}{wall_ms:>12.2f} ms{cpu_ms:>12.2f} ms CPU")


def view(reader: LocalTraceReader, trace_id: str) -> int:
    """Load a trace and write it as JSON, as a tool's answer would; returns its bytes."""
    trace = reader.load_trace(trace_id)
    assert trace is not None
    return len(orjson.dumps([span.fields for span in trace.spans]))


def time_questions(root: Path, everything: Window, half: Window) -> None:
    """Time pages, figures and searches."""
    queries = LocalQueries(
        root,
        "bench",
        now_unix_ns=lambda: NOW_UNIX_NS,
        now_monotonic_s=time.monotonic,
    )
    failing_tool = SpanFilter(tool_names=("run_sql",), has_error=True)
    questions: dict[str, TraceQuery | SpanQuery] = {
        "page of 50 traces": TraceQuery(),
        "page of 50 traces with errors": TraceQuery(filter=TraceFilter(has_errors=True)),
        "page of 50 traces with a failing tool": TraceQuery(
            filter=TraceFilter(any_span=(failing_tool,))
        ),
        "page of 50 spans": SpanQuery(),
        "page of 50 failing tool spans": SpanQuery(filter=failing_tool),
        "page of 50 slowest LLM spans": SpanQuery(
            filter=SpanFilter(observation_kinds=("LLM",)), order_by=SpanOrder.DURATION
        ),
    }
    for label, question in questions.items():
        if isinstance(question, TraceQuery):
            timed(label, partial(queries.query_traces, everything, question), repeat=10)
        else:
            timed(label, partial(queries.query_spans, everything, question), repeat=10)
    timed(
        "page of 50 traces, partial window",
        lambda: queries.query_traces(half, TraceQuery()),
        repeat=10,
    )
    by_tool = AggregateQuery(group_by=(Dimension.TOOL, Dimension.STATUS), bucket=Bucket.HOUR)
    timed("figures by tool, status and hour", lambda: queries.aggregate(everything, by_tool))
    for label, pattern in (
        ("search: a rare literal", "session-499 that is nowhere"),
        ("search: no literal, no match", r"[a-f]+[0-9]{3}zz"),
        ("search: 50 of very many", "refund [a-z]+ plan"),
    ):
        search = SearchQuery(pattern=pattern, time_limit_s=60)
        timed(label, partial(queries.search, everything, search), repeat=3)
    queries.close()


def append_lines(root: Path, spans: int) -> None:
    """Add a small shard, as a writer under way would."""
    day = DataPaths(root).project("bench").day("2026-09-21")
    lines = [make_line(span_id=span_id_of(2**40 + number)) for number in range(spans)]
    sequence = len(day.stems()) + 1
    stem = shard_stem(NOW_UNIX_NS, worker=1, sequence=sequence)
    day.plain(stem).write_bytes(b"".join(lines))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--span-bytes", type=int, default=2640)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    collect_seldom()  # as every command does
    root = options.keep or Path(tempfile.mkdtemp(prefix="halo-bench-"))
    if not (root / "projects").is_dir():
        size = write_shards(root, options.spans, options.span_bytes)
        print(f"{options.spans} spans, {size / 1e6:.0f} MB")
    for path in root.glob("projects/bench/**/*.sqlite*"):
        path.unlink()

    reader = LocalTraceReader(root, "bench", settle_s=60.0, now_unix_ns=lambda: NOW_UNIX_NS)
    everything = Window(0, 2**62)
    half = Window(NOW_UNIX_NS - 3600 * 10**9, NOW_UNIX_NS + 10**12)
    timed("index build", lambda: reader.overview(Window(0, 0)))
    timed("overview", lambda: reader.overview(everything), repeat=20)
    timed("overview, partial window", lambda: reader.overview(half), repeat=20)
    timed("list of 50", lambda: reader.list_traces(everything), repeat=20)
    ids = [trace.trace_id for trace in reader.list_traces(everything, limit=50)]
    chosen = iter(ids * 2)
    timed("load one trace", lambda: reader.load_trace(next(chosen)), repeat=50)
    timed("view: load and serialise one trace", lambda: view(reader, ids[0]), repeat=50)
    time_questions(root, everything, half)
    append_lines(root, 1_000)
    timed("1,000 new spans, until seen", lambda: reader.overview(everything))
    timed("iterate all", lambda: sum(1 for _ in reader.iter_traces(everything)))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak resident memory':<40}{peak_mib:>12.0f} MiB")
    reader.close()
    if options.keep is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
