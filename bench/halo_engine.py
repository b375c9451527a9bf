"""
Times of the stock engine on one JSONL file; run by an interpreter that has ``halo-engine``.

Prints one JSON object: milliseconds by operation, and the counts to compare.
"""

import asyncio
import json
import resource
import statistics
import sys
import time
from pathlib import Path

from engine.traces.models.trace_index_config import TraceIndexConfig
from engine.traces.models.trace_query_models import TraceFilters
from engine.traces.trace_index_builder import TraceIndexBuilder
from engine.traces.trace_store import TraceStore


def timed(action, *, repeat=1):
    """The last answer of *action* and the median of its wall times in milliseconds."""
    times = []
    answer = None
    for _ in range(repeat):
        begin = time.perf_counter()
        answer = action()
        times.append((time.perf_counter() - begin) * 1000)
    return answer, statistics.median(times)


def main(path, index_dir, rare, alternation):
    """Time each operation."""
    config = TraceIndexConfig(index_dir=Path(index_dir))
    figures = {}
    index, figures["index build"] = timed(
        lambda: asyncio.run(TraceIndexBuilder.ensure_index_exists(path, config))
    )
    store, figures["load the index"] = timed(lambda: TraceStore.load(path, index))
    overview, figures["overview"] = timed(lambda: store.get_overview(TraceFilters()), repeat=3)
    page, figures["page of 50 traces"] = timed(
        lambda: store.query_traces(TraceFilters(), limit=50, offset=0), repeat=10
    )
    _, figures["page of 50 traces with errors"] = timed(
        lambda: store.query_traces(TraceFilters(has_errors=True), limit=50, offset=0), repeat=10
    )
    first = page.traces[0].trace_id
    # As the text that a model is given, which ours is timed as too.
    _, figures["view one trace"] = timed(
        lambda: store.view_trace(first).model_dump_json(), repeat=50
    )
    found, figures["search: a rare literal"] = timed(
        lambda: store.count_traces(TraceFilters(regex_pattern=rare))
    )
    _, figures["search: no literal, no match"] = timed(
        lambda: store.count_traces(TraceFilters(regex_pattern=alternation))
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counts = [overview.total_traces, overview.total_spans, overview.error_trace_count, found.total]
    print(json.dumps({"ms": figures, "counts": counts, "peak_mib": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:5])
