"""Whatever is asked of whatever layout, the index answers as looking at every span does."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel

from halo_daemon.store.filters import AttributeCondition, Operator, SpanFilter, TraceFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import (
    AggregateAnswer,
    AggregateQuery,
    Bucket,
    Dimension,
    SearchQuery,
    SpanOrder,
    SpanQuery,
    TraceOrder,
    TracePage,
    TraceQuery,
    TraceTotals,
)
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_queries import MemoryQueries
from halo_daemon.testing.spans import START_UNIX_NS, span_id_of, trace_id_of
from tests.property.test_store_reader import HOUR, NOW, append, deliveries, oracle, windows


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    """One or two of *values*."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=2).map(tuple)


def few(model: type[BaseModel], **fields: st.SearchStrategy) -> st.SearchStrategy:
    """A filter with at most two of *fields* set, so that it often means something."""
    chosen = st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True)
    return chosen.flatmap(lambda names: st.builds(model, **{name: fields[name] for name in names}))


conditions = st.builds(
    AttributeCondition,
    key=st.sampled_from(["inference.llm.input_tokens", "tool.name", "service.name", "nothing"]),
    op=st.sampled_from(list(Operator)),
    value=st.sampled_from(["t", "x", "", 5, 1, True, None, ("t", 5), "[a-z]"]),
)
span_filters = few(
    SpanFilter,
    trace_ids=some(trace_id_of(1), trace_id_of(2), trace_id_of(9), "no id"),
    span_names=some("a", "zz"),
    observation_kinds=some("LLM", "TOOL"),
    tool_names=some("t", "a", ""),
    model_names=some("m", ""),
    service_names=some("x", ""),
    session_ids=some("", "s"),
    user_ids=some("", "u"),
    status_codes=some("STATUS_CODE_ERROR"),
    has_error=st.booleans(),
    start_unix_ns_gte=st.just(START_UNIX_NS + HOUR),
    start_unix_ns_lt=st.just(START_UNIX_NS + 2 * HOUR),
    min_duration_ms=st.just(1.0),
    max_duration_ms=st.just(1.0),
    min_tokens=st.just(5),
    min_cost_usd=st.just(0.1),
    attributes=st.lists(conditions, min_size=1, max_size=2).map(tuple),
)
plain_span_filters = span_filters.map(lambda wanted: wanted.model_copy(update={"attributes": ()}))
trace_filters = few(
    TraceFilter,
    trace_ids=some(trace_id_of(1), trace_id_of(2)),
    has_errors=st.booleans(),
    has_error_signals=st.booleans(),
    is_open=st.booleans(),
    start_unix_ns_gte=st.just(START_UNIX_NS + HOUR),
    start_unix_ns_lt=st.just(START_UNIX_NS + HOUR),
    end_unix_ns_lte=st.just(START_UNIX_NS + HOUR),
    min_duration_ms=st.just(1.0),
    max_duration_ms=st.just(1.0),
    min_spans=st.just(2),
    max_spans=st.just(2),
    any_span=st.lists(plain_span_filters, min_size=1, max_size=2).map(tuple),
)
wide_windows = st.one_of(st.just(Window(0, 2**62)), windows)
pages = {"limit": st.integers(1, 5), "offset": st.integers(0, 3), "descending": st.booleans()}
no_or_some_traces = st.one_of(st.just(TraceFilter()), trace_filters)
span_queries = st.builds(
    SpanQuery,
    filter=span_filters,
    traces=no_or_some_traces,
    order_by=st.sampled_from(list(SpanOrder)),
    **pages,
)
trace_queries = st.builds(
    TraceQuery,
    filter=trace_filters,
    with_names=st.booleans(),
    with_steps=st.booleans(),
    order_by=st.sampled_from(list(TraceOrder)),
    **pages,
)
aggregate_queries = st.builds(
    AggregateQuery,
    filter=span_filters,
    traces=no_or_some_traces,
    group_by=st.lists(st.sampled_from(list(Dimension)), max_size=3).map(tuple),
    bucket=st.one_of(st.none(), st.sampled_from(list(Bucket))),
    top=st.integers(1, 4),
)
search_queries = st.builds(
    SearchQuery,
    pattern=st.sampled_from(
        [
            "support",
            "m",
            "^t$",
            "[xy]",
            "(a|t)",
            "STATUS_CODE_E",
            "5",
            "nope",
            '"kind":"',
            's":{"c|nope',
        ]
    ),
    ignore_case=st.booleans(),
    look_at_lines=st.booleans(),
    filter=span_filters,
    limit=st.just(500),
)


def without_bytes(page: TracePage) -> object:
    """A page of traces but for the bytes of superseded versions, which only a disk has."""
    return [trace._replace(line_bytes=0) for trace in page.traces], page.total


def without_line_bytes(totals: TraceTotals) -> TraceTotals:
    """Totals but for the bytes of superseded versions, with a sum of any order."""
    return totals.model_copy(update={"line_bytes": 0, "cost_usd": round(totals.cost_usd, 6)})


def rounded(answer: AggregateAnswer) -> object:
    """An answer whose sums of floats do not depend on the order of adding."""
    return [
        row.model_copy(update={"duration_ms_sum": round(row.duration_ms_sum, 6)})
        for row in answer.rows
    ], (answer.groups, answer.other_spans)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    stored=deliveries(),
    shard_lines=st.integers(1, 6),
    window=wide_windows,
    spans=span_queries,
    traces=trace_queries,
    groups=aggregate_queries,
    search=search_queries,
)
def test_answers_are_those_of_a_full_look(
    stored, shard_lines, window, spans, traces, groups, search
):
    """Pages, totals, figures and matches are equal for any layout, window and question."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        DataPaths(root).project("default").directory.mkdir(parents=True)
        append(root, stored, shard_lines=shard_lines)
        expected = MemoryQueries(oracle(stored))
        queries = LocalQueries(
            root, "default", now_unix_ns=lambda: NOW, now_monotonic_s=lambda: 0.0
        )
        try:
            assert queries.query_spans(window, spans) == expected.query_spans(window, spans)
            assert without_bytes(queries.query_traces(window, traces)) == without_bytes(
                expected.query_traces(window, traces)
            )
            assert without_line_bytes(
                queries.sum_traces(window, traces.filter)
            ) == without_line_bytes(expected.sum_traces(window, traces.filter))
            assert rounded(queries.aggregate(window, groups)) == rounded(
                expected.aggregate(window, groups)
            )
            found = queries.search(window, search).matches
            wanted = expected.search(window, search).matches
            assert sorted(found, key=repr) == sorted(wanted, key=repr)
        finally:
            queries.close()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=deliveries(), shard_lines=st.integers(1, 6), window=wide_windows)
def test_a_search_in_pages_finds_what_one_search_finds(stored, shard_lines, window):
    """Following `next` from page to page neither repeats nor skips a match."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        DataPaths(root).project("default").directory.mkdir(parents=True)
        append(root, stored, shard_lines=shard_lines)
        queries = LocalQueries(
            root, "default", now_unix_ns=lambda: NOW, now_monotonic_s=lambda: 0.0
        )
        query = SearchQuery(pattern="STATUS", limit=500)
        whole = queries.search(window, query).matches
        paged = []
        answer = queries.search(window, query.model_copy(update={"limit": 2}))
        paged.extend(answer.matches)
        while answer.next:
            answer = queries.search(
                window, query.model_copy(update={"limit": 2, "after": answer.next})
            )
            paged.extend(answer.matches)
        queries.close()

        assert tuple(paged) == whole
        assert len({(match.trace_id, match.span_id) for match in whole}) == len(whole)
        assert all(match.span_id <= span_id_of(4) for match in whole)
