"""
What log records tell of spans, joined to them: a reader's view, which rewrites no line.

Instrumentations of the GenAI conventions put messages, answers and exceptions into log
records that name the span they belong to. Logs and spans arrive apart and in any order,
so each record is stored by itself, as a child of its span that holds one event. Whoever
reads the trace sees that event on the span too, with all that it means there; the child
stays with its event, as a place where a search finds it, and means nothing more.

Rule 1: joined twice is joined once, as when an exported trace is imported.

Rule 2: a record whose span is not there stays what it is.

Rule 3: a line that cannot be projected anew, as `reprojection` says, is read as it stands.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Final, cast

import orjson

from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.semconv.failures import tell_of_failure
from halo_daemon.proto.semconv.projection import ScopeContext, project_span
from halo_daemon.proto.semconv.reprojection import project_fields
from halo_daemon.proto.semconv.targets import DERIVED_ERROR, EVENT_OF_SPAN, PROJECT
from halo_daemon.proto.span import Span

_TIME: Final = itemgetter("time")


def with_events_joined(spans: Sequence[Span]) -> Sequence[Span]:
    """
    Join what log records tell to the spans that they name.

    Args:
        spans: Of one trace, each once.

    Returns:
        As many spans in the same order; *spans* themselves where no record is among them.
    """
    told: dict[str, list[Span]] = {}
    for span in spans:
        if span.attributes.get(EVENT_OF_SPAN) is True:
            told.setdefault(span.parent_span_id, []).append(span)
    if not told:
        return spans
    records = {id(record) for of_span in told.values() for record in of_span}
    known = {span.span_id for span in spans if id(span) not in records}
    joined: list[Span] = []
    for span in spans:
        if id(span) in records:
            joined.append(_read_anew(span, _inert) if span.parent_span_id in known else span)
        elif span.span_id in told:
            joined.append(_read_anew(span, partial(_with_events, records=told[span.span_id])))
        else:
            joined.append(span)
    return joined


def _read_anew(span: Span, reading: Callable[[Span], Span]) -> Span:
    try:
        return reading(span)
    except (KeyError, TypeError, AttributeError, ValueError):
        return span


def _with_events(span: Span, records: Sequence[Span]) -> Span:
    """The span, read anew with the events of its records, all in order of time."""
    events = list(span.events)
    seen = {_identity(event) for event in events}
    for event in (event for record in records for event in record.events):
        if (identity := _identity(event)) not in seen:
            seen.add(identity)
            events.append(event)
    events.sort(key=_TIME)
    fields = project_fields({**span.fields, "events": [*events]})
    joined = Span.from_fields(fields)
    if not joined.has_error_status and any(tell_of_failure(record.events) for record in records):
        # What the record's line says in a list, the span says of itself.
        joined.attributes[DERIVED_ERROR] = True
    return joined


def _identity(event: JsonObject) -> bytes:
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)


def _inert(record: Span) -> Span:
    """The record with its event, which means nothing there, so that nothing counts twice."""
    stored = cast("JsonObject", record.fields["attributes"])
    fields: JsonObject = {**record.fields, "attributes": {EVENT_OF_SPAN: True}}
    events = fields.pop("events", [])
    project_span(fields, ScopeContext(cast("str", stored[PROJECT])), [])
    return Span.from_fields({**fields, "events": events})
