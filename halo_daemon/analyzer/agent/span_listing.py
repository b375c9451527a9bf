"""A page of spans over many traces, from the store's index."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.trace_arguments import QuerySpansArguments
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.proto.span import Span
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.query import MAX_PAGE, SearchQuery, SpanQuery, TraceQuery
from halo_daemon.store.records import SpanRecord
from halo_daemon.store.trace_reader import spans_of

MAX_ERRORS = 20_000
"""Errors that are looked at to tell leaves from their parents."""

MAX_SEARCHED = 20_000
"""Spans with a wanted text that are counted."""


class SpanList(NamedTuple):
    """One page, and how much there is in all."""

    page: list[Span]
    total: int
    traces: int
    """Traces with at least one such span."""

    eligible: int
    """Traces that could have had one."""


class _Place(NamedTuple):
    trace_id: str
    span_id: str


def list_spans(source: TraceSource, wanted: QuerySpansArguments, traces: TraceFilter) -> SpanList:
    """Find the spans of *traces* that *wanted* means, in the order that it asks for."""
    eligible = source.page(TraceQuery(filter=traces, limit=1)).total
    span_filter = _span_filter(wanted)
    if wanted.leaf_errors_only or wanted.contains or wanted.attributes:
        places = _places(source, wanted, span_filter, traces)
        page = places[wanted.offset : wanted.offset + wanted.limit]
        affected = len({place.trace_id for place in places})
        return SpanList(_loaded(source, page), len(places), affected, eligible)
    found = source.queries.query_spans(
        source.window,
        SpanQuery(
            filter=span_filter,
            traces=traces,
            order_by=wanted.order_by,
            descending=wanted.descending,
            limit=wanted.limit,
            offset=wanted.offset,
        ),
    )
    having = traces.model_copy(update={"any_span": (*traces.any_span, span_filter)})
    affected = source.page(TraceQuery(filter=having, limit=1)).total
    places = [_Place(record.trace_id, record.span_id) for record in found.spans]
    return SpanList(_loaded(source, places), found.total, affected, eligible)


def _span_filter(wanted: QuerySpansArguments) -> SpanFilter:
    return SpanFilter(
        span_names=tuple(wanted.span_names),
        observation_kinds=tuple(wanted.kinds),
        tool_names=tuple(wanted.tool_names),
        status_codes=tuple(wanted.status_codes),
        has_error=True if wanted.leaf_errors_only else wanted.error_signals,
        min_duration_ms=wanted.min_duration_ms or None,
        min_tokens=wanted.min_tokens or None,
        attributes=tuple(wanted.attributes),
    )


def _places(
    source: TraceSource,
    wanted: QuerySpansArguments,
    span_filter: SpanFilter,
    traces: TraceFilter,
) -> list[_Place]:
    """Every span that is meant, in order; for what the index alone cannot decide."""
    records = _all_records(source, wanted, span_filter, traces)
    if wanted.leaf_errors_only:
        errors = SpanFilter(has_error=True)
        parents = {
            (record.trace_id, record.parent_span_id)
            for record in _all_records(source, wanted, errors, traces)
        }
        records = (one for one in records if (one.trace_id, one.span_id) not in parents)
    places = [_Place(record.trace_id, record.span_id) for record in records]
    if not wanted.contains:
        return places
    containing = _containing(source, wanted.contains, span_filter)
    return [place for place in places if place in containing]


def _all_records(
    source: TraceSource, wanted: QuerySpansArguments, spans: SpanFilter, traces: TraceFilter
) -> Iterator[SpanRecord]:
    for offset in range(0, MAX_ERRORS, MAX_PAGE):
        query = SpanQuery(
            filter=spans,
            traces=traces,
            order_by=wanted.order_by,
            descending=wanted.descending,
            limit=MAX_PAGE,
            offset=offset,
        )
        page = source.queries.query_spans(source.window, query)
        yield from page.spans
        if offset + MAX_PAGE >= page.total:
            return


def _containing(source: TraceSource, text: str, spans: SpanFilter) -> set[_Place]:
    """Spans with a value that contains *text*."""
    found: set[_Place] = set()
    query = SearchQuery(pattern=re.escape(text), filter=spans, limit=MAX_PAGE)
    while len(found) < MAX_SEARCHED:
        answer = source.queries.search(source.window, query)
        found.update(_Place(match.trace_id, match.span_id) for match in answer.matches)
        if answer.timed_out:
            raise EngineToolError(
                f"looking for `{text[:80]}` took more than {query.time_limit_s:g} s",
                hint="narrow it by `kinds`, `span_names` or `tool_names`",
            )
        if not answer.next:
            break
        query = query.model_copy(update={"after": answer.next})
    return found


def _loaded(source: TraceSource, places: Sequence[_Place]) -> list[Span]:
    wanted: dict[str, set[str]] = {}
    for trace_id, span_id in places:
        wanted.setdefault(trace_id, set()).add(span_id)
    found = {
        _Place(trace_id, span.span_id): span
        for trace_id, span_ids in wanted.items()
        for span in spans_of(source.reader.load_trace, trace_id, span_ids)
    }
    return [found[place] for place in places if place in found]
