"""The spans that a report cites, copied with secrets masked, so that they outlive retention."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import orjson

from halo_daemon.analyzer.safe_text import one_line
from halo_daemon.findings import Report
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import redact_value
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.store.trace_reader import LoadTrace, trace_parts

MAX_TEXT_CHARS = 8_000
"""Longer texts of a copied span are cut."""

_MAX_PATH = 12
_LABEL_CHARS = 40
_SHOWN_CHARS = 3_000

SpanKey = tuple[str, str]
"""Trace id and span id."""


class CitedSpan(NamedTuple):
    """A copied span and where it stands in its trace."""

    path: tuple[str, ...]
    """Names from the root down to it; only the nearest twelve."""
    before: str
    """Name of the span that began before it; ``""`` for the first."""
    after: str
    fields: JsonObject
    """Its canonical line, secrets masked, long texts cut."""

    @property
    def shown(self) -> str:
        """The fields as indented JSON, cut where it gets long for a page."""
        text = orjson.dumps(self.fields, option=orjson.OPT_INDENT_2).decode()
        return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "\n…"


def cited_spans(report: Report, load_trace: LoadTrace) -> dict[SpanKey, CitedSpan]:
    """
    Copy every cited span that can still be read, by trace and span id; one trace at a time.

    What stands around a span of a large trace is told as far as the same part has it.
    """
    wanted: dict[str, set[str]] = {}
    for finding in (*report.findings, *report.weak_signals):
        for row in finding.evidence:
            wanted.setdefault(row.trace_id, set()).add(row.span_id)
    found: dict[SpanKey, CitedSpan] = {}
    for trace_id in sorted(wanted):
        for part in trace_parts(load_trace, trace_id):
            found |= dict(_copies(part, wanted[trace_id]))
    return found


def span_lines(spans: Mapping[SpanKey, CitedSpan]) -> Iterator[bytes]:
    """The lines of ``spans.jsonl``, by trace and span id."""
    for key in sorted(spans):
        yield orjson.dumps(spans[key].fields) + b"\n"


def _copies(trace: Trace, span_ids: Iterable[str]) -> Iterator[tuple[SpanKey, CitedSpan]]:
    by_id = {span.span_id: span for span in trace.spans}
    places = {span.span_id: place for place, span in enumerate(trace.spans)}
    for span_id in sorted(span_ids):
        span = by_id.get(span_id)
        if span is None:
            continue
        place = places[span_id]
        masked, _ = redact_value(span.fields)
        cut = _cut(masked)
        assert isinstance(cut, dict), "a span is an object"
        yield (
            (trace.trace_id, span_id),
            CitedSpan(
                path=tuple(_path(span, by_id)),
                before=_label(trace.spans[place - 1]) if place else "",
                after=_label(trace.spans[place + 1]) if place + 1 < len(trace.spans) else "",
                fields=cut,
            ),
        )


def _path(span: Span, by_id: Mapping[str, Span]) -> list[str]:
    names: list[str] = []
    current: Span | None = span
    # The bound also ends a parent that is its own child.
    while current is not None and len(names) < _MAX_PATH:
        names.append(_label(current))
        current = by_id.get(current.parent_span_id)
    return names[::-1]


def _label(span: Span) -> str:
    masked, _ = redact_value(span.name)
    return one_line(str(masked), limit=_LABEL_CHARS)


def _cut(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT_CHARS else value[:MAX_TEXT_CHARS] + "…"
    if isinstance(value, list):
        return [_cut(item) for item in value]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return value
