"""
Figures of an analysis: ``python -m bench.analyze [--spans 100000] [--processes 1]``.

Writes shards of agent-like traces with failures in them, then times reading
alone and the whole analysis: seconds of wall clock, and of processor time, which
other work on the machine does not change. `bench.analyze_growth` runs it for many
sizes and draws how time and memory grow.
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson

from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.memory import collect_seldom
from halo_daemon.store.paths import DataPaths, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.traces import TraceScript

NOW_UNIX_NS = 1_790_000_000_000_000_000
TURNS = 9
TOOLS = ("lookup_order", "search_docs", "run_sql", "send_mail", "fetch_page")
WORDS = ("order", "refund", "ticket", "parse", "café", "search", "retry", "token", "plan", "status")
EVERYTHING = Window(0, 2**62)


def agent_traces(spans: int, seed: int = 7) -> Iterator[TraceScript]:
    """Traces of nineteen spans each; a tool fails in one call of twenty, some runs loop."""
    draw = random.Random(seed)
    for number in range(1, spans // (2 * TURNS + 1) + 1):
        script = TraceScript(number, session=f"s-{number % 500}", task=_text(draw, 30))
        loops = draw.random() < 0.03
        for turn in range(TURNS):
            name = TOOLS[1] if loops else draw.choice(TOOLS)
            arguments = {"q": "shoes"} if loops else {"id": draw.randrange(10**6), "n": turn}
            script.model(_text(draw, 40), calls=[(name, arguments)], finish="tool_calls")
            if draw.random() < 0.05:
                script.tool(name, arguments, error=f"TimeoutError: {draw.randrange(99)} s")
            else:
                script.tool(name, arguments, result="none" if loops else _text(draw, 120))
        yield script.answer(_text(draw, 30))


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(WORDS, k=words))


def write_shard(root: Path, spans: int) -> int:
    """Write one sealed shard; returns its bytes."""
    day = DataPaths(root).project("bench").day("2026-09-21")
    day.directory.mkdir(parents=True)
    path = day.plain(shard_stem(NOW_UNIX_NS, worker=0, sequence=1))
    with path.open("wb") as shard:
        for script in agent_traces(spans):
            shard.writelines(orjson.dumps(span.fields) + b"\n" for span in script.spans())
    return path.stat().st_size


def processor_s() -> float:
    """Processor time of this process and of those it has waited for."""
    return sum(os.times()[:4])


def now_unix_ns() -> int:
    """The end of the written traces."""
    return NOW_UNIX_NS


def open_reader(root: Path) -> LocalTraceReader:
    """Open the written shards, in this process or in another."""
    return LocalTraceReader(root, "bench", settle_s=60.0, now_unix_ns=now_unix_ns)


def measure(root: Path, processes: int) -> dict[str, float]:
    """Time the index, reading alone, and the analysis, with *processes* processes."""
    reader = open_reader(root)
    begin = time.perf_counter()
    reader.overview(EVERYTHING)
    indexed = time.perf_counter()
    spans = sum(len(trace.spans) for trace in reader.iter_traces(EVERYTHING))
    read, read_cpu_s = time.perf_counter(), processor_s()
    report = analyze_window(
        reader,
        project="bench",
        window=EVERYTHING,
        run=RunInfo("r_bench", "run_bench", NOW_UNIX_NS),
        open_reader=partial(open_reader, root),
        processes=processes,
    )
    done, done_cpu_s = time.perf_counter(), processor_s()
    reader.close()
    print(report.summary.headline, file=sys.stderr)
    helpers = processes - 1
    return {
        "spans": spans,
        "processes": processes,
        "index_s": indexed - begin,
        "reading_s": read - indexed,
        "analysis_s": done - read,
        "analysis_cpu_s": done_cpu_s - read_cpu_s,
        "peak_mib": _peak_mib(resource.RUSAGE_SELF) + helpers * _peak_mib(resource.RUSAGE_CHILDREN),
    }


def _peak_mib(who: int) -> float:
    """Of this process, or of the largest that it has waited for."""
    return resource.getrusage(who).ru_maxrss / 1024


def main() -> None:
    """Print the table, or one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    collect_seldom()  # as every command does
    root = Path(tempfile.mkdtemp(prefix="halo-bench-"))
    try:
        size = write_shard(root, options.spans)
        figures = measure(root, options.processes)
    finally:
        shutil.rmtree(root)
    if options.json:
        print(orjson.dumps(figures).decode())
        return
    print(f"{options.spans} spans, {size / options.spans:.0f} bytes each")
    print(f"{'index build':<28}{figures['index_s']:>8.2f} s")
    print(f"{'reading alone':<28}{figures['reading_s']:>8.2f} s")
    print(f"{'analysis, reading included':<28}{figures['analysis_s']:>8.2f} s")
    print(f"{'the same, processor time':<28}{figures['analysis_cpu_s']:>8.2f} s")
    print(f"{'spans per second':<28}{figures['spans'] / figures['analysis_cpu_s']:>8.0f}")
    print(f"{'peak resident memory':<28}{figures['peak_mib']:>8.0f} MiB, all processes")


if __name__ == "__main__":
    main()
