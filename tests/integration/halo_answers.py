"""
The stock engine's answers about one JSONL file, as JSON.

Run by an interpreter that has ``halo-engine``: ``python halo_answers.py FILE INDEX_DIR``;
questions come as JSON on stdin.
"""

import asyncio
import json
import sys
from pathlib import Path

from engine.traces.models.trace_index_config import TraceIndexConfig
from engine.traces.models.trace_query_models import TraceFilters
from engine.traces.trace_index_builder import TraceIndexBuilder
from engine.traces.trace_store import TraceStore


def main(path, index_dir, questions):
    """Answer each question."""
    config = TraceIndexConfig(index_dir=Path(index_dir))
    index = asyncio.run(TraceIndexBuilder.ensure_index_exists(path, config))
    store = TraceStore.load(path, index)
    overview = store.get_overview(TraceFilters())
    selected = {}
    for name, filters in questions["filters"].items():
        page = store.query_traces(TraceFilters(**filters), limit=500, offset=0)
        selected[name] = [page.total, sorted(trace.trace_id for trace in page.traces)]
    views = {
        trace_id: sorted(span.span_id for span in store.view_trace(trace_id).spans)
        for trace_id in questions["views"]
    }
    return {
        "overview": overview.model_dump(),
        "selected": selected,
        "views": views,
    }


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), sys.argv[2], json.load(sys.stdin)), sys.stdout)
