"""Counts that are kept as spans come are those that a look at every span would give."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_queries import MemoryQueries
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of
from tests.property.test_store_reader import HOUR, NOW, Delivery, append, deliveries, oracle

EVERYTHING = Window(0, 2**62)
_KEPT = "SELECT id, traces FROM shapes WHERE traces > 0 ORDER BY id"
_RECOUNTED = """
SELECT shape, count(DISTINCT trace_id) FROM spans WHERE superseded = 0 GROUP BY shape ORDER BY shape
"""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=deliveries(), cut=st.integers(0, 25), shard_lines=st.integers(1, 6))
def test_traces_of_a_shape_are_those_with_a_current_span_of_it(stored, cut, shard_lines):
    """Growth, re-delivery and another shape of the same span leave the count right, each day."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        project = DataPaths(root).project("default")
        project.directory.mkdir(parents=True)
        with closing(
            LocalTraceReader(root, "default", settle_s=0, now_unix_ns=lambda: NOW)
        ) as reader:
            for part in (stored[:cut], stored[cut:]):
                append(root, part, shard_lines=shard_lines)
                reader.overview(EVERYTHING)

        indexes = sorted(project.spans.glob("*/index.sqlite"))
        assert bool(indexes) == bool(stored)
        for path in indexes:
            with closing(sqlite3.connect(path)) as connection:
                kept = connection.execute(_KEPT).fetchall()
                assert kept == connection.execute(_RECOUNTED).fetchall()


@pytest.mark.parametrize("every", [1, 2, 50])
@pytest.mark.parametrize("descending", [False, True])
def test_frequent_and_rare_failures_give_the_same_pages_as_a_full_look(tmp_path, every, descending):
    """Whether traces are walked in order or those with a failing call are collected."""
    stored = [
        Delivery(
            make_line(
                trace_id=trace_id_of(number),
                span_id=span_id_of(1),
                start_unix_ns=START_UNIX_NS + number * 7919 % 300 * 10**6,
                observation_kind="TOOL",
                status_code="STATUS_CODE_OK" if number % every else "STATUS_CODE_ERROR",
                attributes={"tool.name": "t"},
            ),
            START_UNIX_NS + number % 3 * 24 * HOUR,
            worker=0,
        )
        for number in range(1, 301)
    ]
    stored.sort(key=lambda delivery: delivery.received_unix_ns)
    DataPaths(tmp_path).project("default").directory.mkdir(parents=True)
    append(tmp_path, stored, shard_lines=100)
    expected = MemoryQueries(oracle(stored))
    wanted = TraceFilter(any_span=(SpanFilter(tool_names=("t",), has_error=True),))

    with closing(
        LocalQueries(tmp_path, "default", now_unix_ns=lambda: NOW, now_monotonic_s=lambda: 0.0)
    ) as queries:
        for offset in (0, 3, 290):
            query = TraceQuery(filter=wanted, limit=5, offset=offset, descending=descending)
            assert queries.query_traces(EVERYTHING, query) == expected.query_traces(
                EVERYTHING, query
            )
