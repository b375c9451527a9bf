"""Where to begin: traces of every kind, and what goes wrong most often."""

from collections import Counter

from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.masking import template_of
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.store.filters import SpanFilter, TraceFilter
from halo_daemon.store.query import MAX_PAGE, SpanQuery, TraceQuery, TraceTotals
from halo_daemon.store.records import SpanRecord

MAX_ERROR_SPANS = 5_000
"""Errors that are sorted into templates; the latest ones where there are more."""

_TIMES = ("early", "middle", "late")
_IDS_A_STRATUM = 2
_MAX_TEMPLATES = 20
_MAX_EXAMPLES = 3


def strata(source: TraceSource, wanted: TraceFilter, totals: TraceTotals) -> list[JsonValue]:
    """
    A few trace ids for each of: with and without errors, short and long, early to late.

    The same for the same traces; strata that hold none are left out.
    """
    if not totals.traces:
        return []
    mean_spans = totals.spans // totals.traces
    last_start = source.page(TraceQuery(filter=wanted, limit=1)).traces[0].start_unix_ns
    third_ns = (last_start - totals.start_unix_ns) // len(_TIMES) + 1
    found: list[JsonValue] = []
    for has_errors in (False, True):
        for length, bounds in (
            ("short", {"max_spans": mean_spans}),
            ("long", {"min_spans": mean_spans + 1}),
        ):
            for place, time in enumerate(_TIMES):
                begin_ns = totals.start_unix_ns + place * third_ns
                narrowed = {
                    "has_error_signals": has_errors,
                    "start_unix_ns_gte": max(wanted.start_unix_ns_gte or 0, begin_ns),
                    "start_unix_ns_lt": begin_ns + third_ns,
                    **bounds,
                }
                stratum = _narrowed(wanted, narrowed)
                if stratum is not None:
                    found += _stratum(
                        source, stratum, has_errors=has_errors, length=length, time=time
                    )
    return found


def error_taxonomy(source: TraceSource, wanted: TraceFilter) -> list[JsonValue]:
    """What error spans say, numbers and names masked, the most frequent first."""
    spans: Counter[tuple[str, str]] = Counter()
    traces: dict[tuple[str, str], dict[str, None]] = {}
    messages: dict[tuple[str, str], str] = {}
    for record in error_spans(source, wanted):
        key = (record.name, template_of(record.status_message))
        spans[key] += 1
        traces.setdefault(key, {}).setdefault(record.trace_id)
        messages.setdefault(key, record.status_message)
    ranked = sorted(spans.items(), key=lambda item: (-item[1], item[0]))
    return [
        _error_row(key, count, messages[key], [*traces[key]])
        for key, count in ranked[:_MAX_TEMPLATES]
    ]


def error_spans(source: TraceSource, wanted: TraceFilter) -> list[SpanRecord]:
    """Spans of status ERROR, the latest first, up to `MAX_ERROR_SPANS`."""
    found: list[SpanRecord] = []
    only_errors = SpanFilter(status_codes=("STATUS_CODE_ERROR",))
    while len(found) < MAX_ERROR_SPANS:
        query = SpanQuery(filter=only_errors, traces=wanted, limit=MAX_PAGE, offset=len(found))
        page = source.queries.query_spans(source.window, query)
        found += page.spans
        if len(found) >= page.total or not page.spans:
            break
    return found


def _error_row(key: tuple[str, str], count: int, message: str, traces: list[str]) -> JsonObject:
    name, template = key
    return {
        "span_name": name,
        "status_message": message,
        "template": template,
        "error_span_count": count,
        "trace_count": len(traces),
        "example_trace_ids": [*traces[:_MAX_EXAMPLES]],
    }


def _narrowed(wanted: TraceFilter, bounds: dict[str, int | bool]) -> TraceFilter | None:
    """*wanted* within *bounds* too; None when no trace can be in both."""
    if wanted.has_error_signals not in {None, bounds["has_error_signals"]}:
        return None
    if "min_spans" in bounds:
        bounds["min_spans"] = max(bounds["min_spans"], wanted.min_spans or 0)
    if "max_spans" in bounds and wanted.max_spans is not None:
        bounds["max_spans"] = min(bounds["max_spans"], wanted.max_spans)
    if wanted.start_unix_ns_lt is not None:
        bounds["start_unix_ns_lt"] = min(bounds["start_unix_ns_lt"], wanted.start_unix_ns_lt)
    return wanted.model_copy(update=bounds)


def _stratum(
    source: TraceSource, stratum: TraceFilter, *, has_errors: bool, length: str, time: str
) -> list[JsonValue]:
    page = source.page(TraceQuery(filter=stratum, descending=False, limit=_IDS_A_STRATUM))
    if not page.total:
        return []
    return [
        {
            "has_errors": has_errors,
            "length": length,
            "time": time,
            "traces": page.total,
            "trace_ids": [trace.trace_id for trace in page.traces],
        }
    ]
