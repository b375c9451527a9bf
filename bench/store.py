"""
Figures of the store: ``python -m bench.store [--spans 200000] [--span-bytes 2600] [--keep DIR]``.

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
from pathlib import Path

from halo_daemon.store.paths import DataPaths, shard_stem
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of

NOW_UNIX_NS = 1_790_000_000_000_000_000
SPANS_PER_TRACE = 20
SHARD_BYTES = 64 * 1024**2
WORDS = ("order", "refund", "ticket", "parse", "café", "search", "retry", "token", "plan", "status")
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
            text = " ".join(draw.choices(WORDS, k=max(0, span_bytes - 1250) // 7))
            yield make_line(
                trace_id=trace_id,
                span_id=span_id_of(trace * SPANS_PER_TRACE + place + 1),
                parent_span_id="" if place == 0 else span_id_of(trace * SPANS_PER_TRACE + 1),
                name={"AGENT": "agent run", "LLM": "chat", "TOOL": "execute_tool"}[kind],
                start_unix_ns=start + place * 10**7,
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
    """Print the median wall time of *action*."""
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    print(f"{label:<34}{statistics.median(seconds) * 1000:>12.2f} ms")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--span-bytes", type=int, default=2600)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
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
    timed("iterate all", lambda: sum(1 for _ in reader.iter_traces(everything)))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak resident memory':<34}{peak_mib:>12.0f} MiB")
    reader.close()
    if options.keep is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
