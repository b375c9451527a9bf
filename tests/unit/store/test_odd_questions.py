"""Filters and pages of any value are answered, or refused when they are made."""

import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from halo_daemon.errors import HaloError
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import AggregateQuery, SearchQuery, SpanQuery, TraceQuery
from halo_daemon.store.query_engine import LocalQueries
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import START_UNIX_NS, make_line, span_id_of, trace_id_of

EVERYTHING = Window(0, 2**63)
SPANS = 6
MANY = 40_000

TEXTS = ["", "\0", "x" * 100_000, "'; DROP TABLE spans; --", "%", "_"]
BELOW, ABOVE = [-1, -(2**63) - 1, -(2**70)], [2**63 - 1, 2**63, 2**70]
TEXT_FIELDS = [
    name for name, field in SpanFilter.model_fields.items()
    if name != "attributes" and field.default == ()
]  # fmt: skip


@pytest.fixture
def queries(tmp_path) -> Iterator[LocalQueries]:
    """Six spans of one trace, over two days."""
    for place, day_name in enumerate(("2026-08-28", "2026-08-29")):
        day = DataPaths(tmp_path).project("default").day(day_name)
        day.directory.mkdir(parents=True)
        lines = [
            make_line(trace_id=trace_id_of(1), span_id=span_id_of(place * 3 + span + 1))
            for span in range(3)
        ]
        day.plain("100000Z-w0-000001").write_bytes(b"".join(lines))
    queries = LocalQueries(
        tmp_path, "default", now_unix_ns=lambda: START_UNIX_NS, now_monotonic_s=time.monotonic
    )
    yield queries
    queries.close()


def count(queries: LocalQueries, wanted: SpanFilter) -> int:
    """Spans that are meant, asked in every way that counts them."""
    spans = queries.query_spans(EVERYTHING, SpanQuery(filter=wanted)).total
    rows = queries.aggregate(EVERYTHING, AggregateQuery(filter=wanted)).rows
    having = queries.query_traces(EVERYTHING, TraceQuery(filter=TraceFilter(any_span=(wanted,))))
    assert sum(row.spans for row in rows) == spans
    assert having.total == (spans > 0)
    queries.search(EVERYTHING, SearchQuery(pattern="work", filter=wanted))
    return spans


@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_odd_texts_match_nothing_they_are_not(queries, field: str) -> None:
    """A text that no span has means no span, whatever it looks like to SQL."""
    for text in TEXTS[1:]:
        assert count(queries, SpanFilter(**{field: (text,)})) == 0


@pytest.mark.parametrize("field", ["trace_ids", "span_names", "tool_names", "session_ids"])
def test_lists_may_be_long(queries, field: str) -> None:
    """A filter of tens of thousands of names is answered like one of two."""
    names = tuple(f"{number:032x}" for number in range(MANY))
    expected = SPANS if field == "trace_ids" else 0
    assert count(queries, SpanFilter(**{field: names})) == expected


@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_half_a_pair_of_characters_is_refused(field: str) -> None:
    """What no index can hold is refused when the filter is made."""
    with pytest.raises(ValidationError):
        SpanFilter(**{field: ("\ud800",)})


def test_bounds_beyond_any_moment_hold_for_all_or_none(queries) -> None:
    """A bound that is no 64-bit number is before, or after, all that is stored."""
    for low in BELOW:
        assert count(queries, SpanFilter(start_unix_ns_gte=low)) == SPANS
        assert count(queries, SpanFilter(start_unix_ns_lt=low)) == 0
        assert count(queries, SpanFilter(min_tokens=low)) == SPANS
    for high in ABOVE:
        assert count(queries, SpanFilter(start_unix_ns_gte=high)) == 0
        assert count(queries, SpanFilter(start_unix_ns_lt=high)) == SPANS
        assert count(queries, SpanFilter(min_tokens=high)) == 0
        page = queries.query_traces(EVERYTHING, TraceQuery(filter=TraceFilter(max_spans=high)))
        assert page.total == 1


@pytest.mark.parametrize("offset", [2**31, 2**62, 2**63, 2**70])
def test_offsets_past_the_end_are_empty_pages_or_refused(queries, offset: int) -> None:
    """A page far behind the last trace is empty; an offset without sense is refused."""
    try:
        query = TraceQuery(offset=offset)
    except ValidationError:
        assert offset > 2**62
        return
    page = queries.query_traces(EVERYTHING, query)
    spans = queries.query_spans(EVERYTHING, SpanQuery(offset=offset))
    assert (page.traces, page.total) == ((), 1)
    assert (spans.spans, spans.total) == ((), SPANS)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", ".*" * 500])
def test_patterns_that_others_hang_on_are_answered(queries, pattern: str) -> None:
    """A pattern that backtracks for ever elsewhere is answered within its time limit."""
    answer = queries.search(EVERYTHING, SearchQuery(pattern=pattern, time_limit_s=60))
    assert not answer.timed_out


@pytest.mark.parametrize("pattern", ["a{1000}{1000}", "(?=x)", r"(x)\1", "["])
def test_patterns_that_cannot_be_used_are_refused_with_a_hint(queries, pattern: str) -> None:
    """What RE2 does not take is refused, with what to do instead."""
    with pytest.raises(HaloError) as caught:
        queries.search(EVERYTHING, SearchQuery(pattern=pattern))
    assert caught.value.hint


@pytest.mark.parametrize("pattern", ["x*", ".*", "(work)?", "[^a]*"])
def test_a_pattern_that_matches_nothing_at_all_finds_each_span_once(queries, pattern: str) -> None:
    """An empty match is a match, once for each span, and none behind the last line."""
    answer = queries.search(EVERYTHING, SearchQuery(pattern=pattern))
    found = [match.span_id for match in answer.matches]
    assert sorted(found) == [span_id_of(number + 1) for number in range(SPANS)]
