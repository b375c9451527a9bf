"""
A span of another tool's file, on its way to OTLP; pure.

Ids, times and attributes follow one set of rules for every source: the same
input always gives the same ids, so importing twice changes nothing.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from halo_daemon.exchange.otlp_form import attributes_form
from halo_daemon.proto.json_value import JsonObject

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_ERROR = 2


def trace_id(source: str, original: str) -> str:
    """An id that is one is kept; any other becomes 32 digits of its SHA-256."""
    lower = original.lower()
    if _TRACE_ID.fullmatch(lower) and lower.strip("0"):
        return lower
    return hashlib.sha256(f"{source}\0{original}".encode()).hexdigest()[:32]


def span_id(source: str, trace: str, original: str) -> str:
    """An id that is one is kept; any other becomes 16 digits of its SHA-256."""
    lower = original.lower()
    if _SPAN_ID.fullmatch(lower) and lower.strip("0"):
        return lower
    return hashlib.sha256(f"{source}\0{trace}\0{original}".encode()).hexdigest()[:16]


@dataclass(slots=True)
class Draft:
    """One span; ids as the source has them."""

    trace: str
    span: str
    name: str
    kind: str
    """OpenInference span kind: ``AGENT``, ``LLM``, ``TOOL``, ``CHAIN``, …"""
    start_unix_ns: int | None
    end_unix_ns: int | None = None
    parent: str = ""
    error: str | None = None
    """What went wrong; ``""`` when it went wrong without words."""
    attributes: JsonObject = field(default_factory=dict)
    """Values of None are left out."""


def request_of(source: str, drafts: Iterable[Draft], *, resource: JsonObject) -> bytes:
    """
    Drafts of whole traces as one ``ExportTraceServiceRequest`` in OTLP/JSON.

    A missing start is that of the span before it plus a microsecond; a missing end
    is the latest end of the span's children, else its start. Both are flagged.
    """
    ordered = list(drafts)
    _fill_times(ordered)
    spans = [_span_form(source, draft) for draft in ordered]
    request: JsonObject = {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes_form(resource)},
                "scopeSpans": [{"scope": {"name": f"import.{source}"}, "spans": list(spans)}],
            }
        ]
    }
    return orjson.dumps(request)


def _fill_times(drafts: list[Draft]) -> None:
    last = next((draft.start_unix_ns for draft in drafts if draft.start_unix_ns is not None), 0)
    for draft in drafts:
        if draft.start_unix_ns is None:
            draft.start_unix_ns = last + 1_000
            draft.attributes["import.time"] = "derived"
        last = draft.start_unix_ns
    latest: dict[str, int] = {}
    # Children come after their parents, so ends are known from the back to the front.
    for draft in reversed(drafts):
        assert draft.start_unix_ns is not None
        if draft.end_unix_ns is None:
            draft.end_unix_ns = max(latest.get(draft.span, 0), draft.start_unix_ns)
            draft.attributes["import.time"] = "derived"
        if draft.parent:
            latest[draft.parent] = max(latest.get(draft.parent, 0), draft.end_unix_ns)


def _span_form(source: str, draft: Draft) -> JsonObject:
    trace = trace_id(source, draft.trace)
    own = span_id(source, trace, draft.span)
    originals: JsonObject = {}
    if trace != draft.trace:
        originals[f"import.{source}.trace_id"] = draft.trace
    if own != draft.span:
        originals[f"import.{source}.span_id"] = draft.span
    attributes = {
        "openinference.span.kind": draft.kind,
        **{key: value for key, value in draft.attributes.items() if value is not None},
        **originals,
    }
    form: JsonObject = {
        "traceId": trace,
        "spanId": own,
        "name": draft.name,
        "kind": 1,
        "startTimeUnixNano": str(draft.start_unix_ns),
        "endTimeUnixNano": str(draft.end_unix_ns),
        "attributes": attributes_form(attributes),
    }
    if draft.parent:
        form["parentSpanId"] = span_id(source, trace, draft.parent)
    if draft.error is not None:
        form["status"] = {"code": _ERROR, "message": draft.error[:10_000]}
    return form
