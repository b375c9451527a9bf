"""Usage counts once in a trace that grows, whatever order its spans come in."""

import tempfile
from pathlib import Path

from hypothesis import given, settings, strategies as st

from halo_daemon.proto.semconv import facts_of
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.paths import DataPaths, shard_stem
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of

EVERYTHING = Window(0, 2**62)
SPANS = 7

places = st.integers(0, SPANS)
"""Of a parent among the spans from 1 on; 0 for none, the own place and cycles included."""


def line(number: int, parent: int, *, is_call: bool) -> bytes:
    """Span *number* of the one trace, a call with a count of its own when *is_call*."""
    return make_line(
        span_id=span_id_of(number),
        parent_span_id=span_id_of(parent) if parent else "",
        attributes={"inference.llm.input_tokens": 10**number if is_call else None},
    )


@settings(max_examples=60, deadline=None)
@given(
    parents=st.lists(places, min_size=SPANS, max_size=SPANS),
    calls=st.lists(st.booleans(), min_size=SPANS, max_size=SPANS),
    order=st.permutations(range(SPANS)),
    cuts=st.sets(st.integers(1, SPANS - 1)),
)
def test_a_trace_that_grows_counts_as_one_that_came_whole(parents, calls, order, cuts):
    """After each block the index counts the tokens that the spans so far make when read whole."""
    lines = [line(i + 1, parents[i], is_call=calls[i]) for i in order]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        day = DataPaths(root).project("default").day("2026-09-20")
        day.directory.mkdir(parents=True)
        shard = day.plain(shard_stem(START_UNIX_NS, worker=0, sequence=1))
        queries = LocalQueries(
            root, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=lambda: 0.0
        )
        begin = 0
        for end in sorted({*cuts, SPANS}):
            with shard.open("ab") as file:
                file.write(b"".join(lines[begin:end]))
            begin = end

            spans = tuple(Span.from_line(one) for one in lines[:end])
            whole = facts_of(Trace(spans[0].trace_id, spans, 0, is_open=False))
            counted = queries.sum_traces(EVERYTHING, TraceFilter())
            assert counted.input_tokens == whole.usage.input_tokens
        queries.close()
