"""A session or user that one span of a trace names."""

import pytest

from halo_daemon.store.filters import SpanFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import AggregateQuery, Dimension, SearchQuery, SpanQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
ROOT_NAMES = {"inference.session_id": "chat", "inference.user_id": "ann"}


@pytest.fixture(params=[1, 2], ids=["one-day", "two-days"])
def queries(tmp_path, request):
    """A trace whose root alone names session and user, and a trace that names none."""
    for number in range(request.param):
        day = DataPaths(tmp_path).project("default").day(f"2026-08-2{number}")
        day.directory.mkdir(parents=True)
    days = DataPaths(tmp_path).project("default").days()
    root = make_line(span_id=span_id_of(1), attributes=ROOT_NAMES)
    children = [make_line(span_id=span_id_of(n), parent_span_id=span_id_of(1)) for n in (2, 3)]
    stranger = make_line(trace_id=trace_id_of(2), span_id=span_id_of(4))
    days[0].plain("100000Z-w0-000001").write_bytes(root)
    days[-1].plain("110000Z-w0-000001").write_bytes(b"".join([*children, stranger]))
    found = LocalQueries(tmp_path, "default", now_unix_ns=lambda: 0, now_monotonic_s=lambda: 0.0)
    yield found
    found.close()


@pytest.mark.parametrize("wanted", [{"session_ids": ("chat",)}, {"user_ids": ("ann",)}])
def test_all_spans_of_a_session_are_found(queries, wanted):
    """Spans that name no session or user are found by that of their trace, in every question."""
    spans = queries.query_spans(EVERYTHING, SpanQuery(filter=SpanFilter(**wanted)))
    found = queries.search(EVERYTHING, SearchQuery(pattern=".", filter=SpanFilter(**wanted)))

    wanted_spans = {span_id_of(number) for number in (1, 2, 3)}
    assert {span.span_id for span in spans.spans} == wanted_spans
    assert {match.span_id for match in found.matches} == wanted_spans
    assert {(span.session_id, span.user_id) for span in spans.spans} == {("chat", "ann")}


@pytest.mark.parametrize("dimension", [Dimension.SESSION, Dimension.USER])
def test_figures_by_session_count_whole_traces(queries, dimension):
    """A group of a session or user has all spans of its traces."""
    answer = queries.aggregate(EVERYTHING, AggregateQuery(group_by=(dimension,)))

    name = "chat" if dimension is Dimension.SESSION else "ann"
    assert {row.key: row.spans for row in answer.rows} == {(name,): 3, ("",): 1}
