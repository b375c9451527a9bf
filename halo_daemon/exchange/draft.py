"""
A span of another tool's file, on its way to OTLP; pure.

Ids, times and attributes follow one set of rules for every source: the same
input always gives the same ids, so importing twice changes nothing.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from halo_daemon.exchange.otlp_form import attributes_form
from halo_daemon.proto.json_value import JsonObject, JsonValue

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_OK, _ERROR = 1, 2
_MESSAGE_CHARS = 10_000
_STEP_NS = 1_000
_MAX_DEPTH = 16
_LATEST = 2**63 - 1
_KINDS = frozenset(
    [
        "AGENT",
        "LLM",
        "TOOL",
        "CHAIN",
        "RETRIEVER",
        "EMBEDDING",
        "RERANKER",
        "GUARDRAIL",
        "EVALUATOR",
        "PROMPT",
    ]
)


def trace_id(source: str, original: str) -> str:
    """An id that is one is kept; any other becomes 32 digits of its SHA-256."""
    lower = original.lower()
    if _TRACE_ID.fullmatch(lower) and lower.strip("0"):
        return lower
    return _derived(f"{source}\0{original}", 32)


def span_id(source: str, trace: str, original: str) -> str:
    """An id that is one is kept; any other becomes 16 digits of its SHA-256."""
    lower = original.lower()
    if _SPAN_ID.fullmatch(lower) and lower.strip("0"):
        return lower
    return _derived(f"{source}\0{trace}\0{original}", 16)


def _derived(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


@dataclass(slots=True)
class DraftEvent:
    """Something that happened during a span."""

    name: str
    unix_ns: int
    attributes: JsonObject = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """One span; ids as the source has them."""

    trace: str
    span: str
    name: str
    kind: str
    """OpenInference span kind, ``AGENT``, ``LLM``, …; any other is a span of no kind."""
    start_unix_ns: int | None
    end_unix_ns: int | None = None
    parent: str = ""
    error: str | None = None
    """What went wrong; ``""`` when it went wrong without words."""
    attributes: JsonObject = field(default_factory=dict)
    """Values of None are left out."""
    is_ok: bool = False
    """Whether the source says that it went well."""
    is_open: bool = False
    """Whether it was still running; its end is then missing, and not made up."""
    events: Sequence[DraftEvent] = ()
    project: str = ""
    """The project that the source has it in; empty to leave that to the resource."""


def leftovers(
    source: str, record: JsonObject, known: Iterable[str]
) -> Iterator[tuple[str, JsonValue]]:
    """Fields of a record that its importer has no use for, as attributes of their own."""
    for key, value in record.items():
        if key not in known and value not in (None, "", [], {}):
            is_plain = isinstance(value, (str, int, float, bool))
            yield (
                f"import.{source}.{key}",
                value if is_plain else orjson.dumps(value).decode(),
            )


def request_of(source: str, drafts: Iterable[Draft], *, resource: JsonObject) -> bytes:
    """
    Drafts as one ``ExportTraceServiceRequest`` in OTLP/JSON.

    A missing start is that of the span before it plus a microsecond; a missing end
    is the latest end of the span's children, else its start. Both are flagged.
    """
    ordered = list(drafts)
    _fill_starts(ordered)
    _fill_ends(ordered)
    spans: dict[str, list[JsonValue]] = {}
    for draft in ordered:
        spans.setdefault(draft.project, []).append(_span_form(source, draft))
    named: JsonObject = {key: value for key, value in resource.items() if value not in (None, "")}
    request: JsonObject = {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes_form(named | _project_key(project))},
                "scopeSpans": [{"scope": {"name": f"import.{source}"}, "spans": those}],
            }
            for project, those in spans.items()
        ]
    }
    return orjson.dumps(request)


def _project_key(project: str) -> JsonObject:
    return {"openinference.project.name": project} if project else {}


def _fill_starts(drafts: list[Draft]) -> None:
    last = next((ns for draft in drafts if (ns := draft.start_unix_ns) and ns <= _LATEST), 0)
    for draft in drafts:
        if draft.start_unix_ns is None or not 0 <= draft.start_unix_ns <= _LATEST:
            draft.start_unix_ns = last + _STEP_NS
            draft.attributes["import.time"] = "derived"
        last = draft.start_unix_ns


def _fill_ends(drafts: list[Draft]) -> None:
    children: dict[tuple[str, str], list[Draft]] = {}
    for draft in drafts:
        if draft.parent:
            children.setdefault((draft.trace, draft.parent), []).append(draft)
    for draft in drafts:
        if draft.end_unix_ns is not None and not 0 <= draft.end_unix_ns <= _LATEST:
            draft.end_unix_ns = None
        if draft.end_unix_ns is None and not draft.is_open:
            _fill_end(draft, children)


def _fill_end(draft: Draft, children: dict[tuple[str, str], list[Draft]]) -> None:
    """Give *draft* the latest end below it; what is below and has none is looked through."""
    assert draft.start_unix_ns is not None
    latest = draft.start_unix_ns
    waiting, seen = [draft], {id(draft)}
    while waiting:
        above = waiting.pop()
        for child in children.get((above.trace, above.span), ()):
            if id(child) in seen:
                continue
            seen.add(id(child))
            if child.end_unix_ns is None:
                waiting.append(child)
            latest = max(latest, child.end_unix_ns or child.start_unix_ns or 0)
    draft.end_unix_ns = latest
    draft.attributes["import.time"] = "derived"


def _shallow(value: JsonValue) -> JsonValue:
    """A value that the decoder takes: what is nested too deep for it becomes JSON text."""
    level = value if isinstance(value, list) else [value]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, (list, dict))
            for inner in (one if isinstance(one, list) else one.values())
        ]
        if not level:
            return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return "(nested too deep)"


def _span_form(source: str, draft: Draft) -> JsonObject:
    trace = trace_id(source, draft.trace)
    own = span_id(source, trace, draft.span)
    attributes: JsonObject = {"openinference.span.kind": draft.kind} if draft.kind in _KINDS else {}
    attributes |= {
        key: _shallow(value) for key, value in draft.attributes.items() if value is not None
    }
    if trace != draft.trace:
        attributes[f"import.{source}.trace_id"] = draft.trace
    if own != draft.span:
        attributes[f"import.{source}.span_id"] = draft.span
    form: JsonObject = {
        "traceId": trace,
        "spanId": own,
        "name": draft.name,
        "kind": 1,
        "startTimeUnixNano": str(draft.start_unix_ns),
        "endTimeUnixNano": str(draft.end_unix_ns or 0),
        "attributes": attributes_form(attributes),
    }
    if draft.parent:
        form["parentSpanId"] = span_id(source, trace, draft.parent)
    if draft.error is not None:
        form["status"] = {"code": _ERROR, "message": draft.error[:_MESSAGE_CHARS]}
    elif draft.is_ok:
        form["status"] = {"code": _OK}
    if draft.events:
        form["events"] = [
            {
                "timeUnixNano": str(event.unix_ns),
                "name": event.name,
                "attributes": attributes_form(event.attributes),
            }
            for event in draft.events
        ]
    return form
