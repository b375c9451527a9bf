"""
The store against stock HALO on the same spans: ``python -m bench.store_halo [--spans 200000]``.

Needs ``make halo``. Both sides get the same lines, ours as shards, HALO's as one file;
each operation is timed by its own process, medians of the repeated ones.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from bench.store import NOW_UNIX_NS, write_shards
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.trace_arguments import (
    CountTracesArguments,
    Filters,
    OverviewArguments,
    QueryTracesArguments,
    ViewTraceArguments,
)
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.memory import collect_seldom
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window

HALO_PYTHON = Path(
    os.environ.get("HALO_ENGINE_PYTHON", Path(__file__).parents[1] / ".venv-halo/bin/python")
)
RARE, NO_LITERAL = "session-499 that is nowhere", "[a-f]+[0-9]{3}zz"
EVERYTHING = Window(0, 2**62)


def timed(action: Callable[[], object], *, repeat: int = 1) -> float:
    """Median wall time in milliseconds."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        action()
        times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


def ours(root: Path) -> dict[str, float]:
    """Times of the operations that both have, by the names of `bench.halo_engine`."""
    reader = LocalTraceReader(root, "bench", settle_s=60.0, now_unix_ns=lambda: NOW_UNIX_NS)
    queries = LocalQueries(
        root, "bench", now_unix_ns=lambda: NOW_UNIX_NS, now_monotonic_s=time.monotonic
    )
    tools = TraceTools(TraceSource(reader, EVERYTHING, queries), QueryLog())
    failing = Filters(has_errors=True)
    figures = {"index build": timed(lambda: reader.overview(Window(0, 0)))}
    figures["load the index"] = timed(lambda: queries.sum_traces(Window(0, 0), TraceFilter()))
    first = queries.query_traces(EVERYTHING, TraceQuery(limit=1)).traces[0].trace_id
    view = ViewTraceArguments(trace_id=first)

    def count(pattern: str) -> object:
        return tools.count_traces(CountTracesArguments(filters=Filters(regex_pattern=pattern)))

    figures |= {
        "overview": timed(lambda: queries.sum_traces(EVERYTHING, TraceFilter()), repeat=20),
        "the tool's overview, samples and errors included": timed(
            lambda: tools.overview(OverviewArguments()), repeat=5
        ),
        "page of 50 traces": timed(lambda: tools.query_traces(QueryTracesArguments()), repeat=20),
        "page of 50 traces with errors": timed(
            lambda: tools.query_traces(QueryTracesArguments(filters=failing)), repeat=20
        ),
        "view one trace": timed(lambda: orjson.dumps(tools.view_trace(view)), repeat=50),
        "search: a rare literal": timed(lambda: count(RARE), repeat=3),
        "search: no literal, no match": timed(lambda: count(NO_LITERAL), repeat=3),
    }
    reader.close()
    queries.close()
    return figures


def theirs(path: Path, index: Path) -> dict[str, Any]:
    """What `bench.halo_engine` prints."""
    script = Path(__file__).with_name("halo_engine.py")
    answer = subprocess.run(
        [HALO_PYTHON, script, path, index, RARE, NO_LITERAL], capture_output=True, check=True
    )
    return json.loads(answer.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--span-bytes", type=int, default=2640)
    options = parser.parse_args()
    collect_seldom()  # as every command does
    with tempfile.TemporaryDirectory(prefix="halo-bench-") as name:
        root = Path(name) / "data"
        size_bytes = write_shards(root, options.spans, options.span_bytes)
        path = Path(name) / "traces.jsonl"
        with path.open("wb") as whole:
            for shard in sorted(root.glob("projects/bench/spans/*/*.jsonl")):
                whole.write(shard.read_bytes())
        print(f"{options.spans} spans, {size_bytes / 1e6:.0f} MB")
        their_figures = theirs(path, Path(name) / "index")["ms"]
        our_figures = ours(root)
    for label, our_ms in our_figures.items():
        their_ms = their_figures.get(label)
        ratio = f"{their_ms / our_ms:8.1f}" if their_ms else ""
        print(f"{label:<50}{their_ms or float('nan'):>12.2f}{our_ms:>12.2f} ms{ratio}")


if __name__ == "__main__":
    main()
