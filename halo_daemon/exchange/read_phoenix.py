"""Spans of Phoenix, as its API and its command line write them."""

from collections.abc import Iterator
from typing import Final

from halo_daemon.exchange.draft import Draft, DraftEvent, leftovers
from halo_daemon.exchange.incoming import Incoming, Input
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.record_files import read_records
from halo_daemon.exchange.values import mapping, needed, objects, text
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "phoenix"

_KNOWN: Final = frozenset(
    [
        "context",
        "name",
        "parent_id",
        "span_kind",
        "start_time",
        "end_time",
        "status_code",
        "status_message",
        "attributes",
        "events",
    ]
)


def read_phoenix(source: Input) -> Iterator[Incoming]:
    """Read one file of spans, alone or in an answer's ``data`` or a trace's ``spans``."""
    return read_records(source, SOURCE, phoenix_draft, unwrap=unwrap_spans)


def unwrap_spans(value: JsonObject) -> JsonValue:
    """The spans of an answer or of a trace."""
    for key in ("data", "spans", "traces"):
        inner = value.get(key)
        if isinstance(inner, list) and "context" not in value:
            return _flat(inner)
    return value


def phoenix_draft(record: JsonObject) -> Draft:
    """
    One span.

    Raises:
        KeyError: It has no ids.
    """
    context = mapping(record.get("context"))
    failed = text(record.get("status_code")).upper() == "ERROR"
    attributes = dict(flatten(record.get("attributes") or {}))
    return Draft(
        trace=needed(context, "trace_id"),
        span=needed(context, "span_id"),
        parent=text(record.get("parent_id")),
        name=text(record.get("name")),
        kind=text(record.get("span_kind")).upper(),
        start_unix_ns=iso_unix_ns(record.get("start_time")),
        end_unix_ns=iso_unix_ns(record.get("end_time")),
        error=text(record.get("status_message")) if failed else None,
        is_ok=text(record.get("status_code")).upper() == "OK",
        events=tuple(map(_event, objects(record.get("events")))),
        attributes={**attributes, **dict(leftovers(SOURCE, record, _KNOWN))},
    )


def flatten(value: JsonValue, prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Nested attributes as the dotted keys that they had on the wire."""
    waiting: list[tuple[str, JsonValue]] = [(prefix, value)]
    while waiting:
        path, one = waiting.pop()
        dot = f"{path}." if path else ""
        if isinstance(one, dict) and one:
            waiting += [(f"{dot}{key}", inner) for key, inner in reversed(one.items())]
        elif isinstance(one, list) and any(isinstance(inner, dict) for inner in one):
            waiting += [(f"{dot}{place}", inner) for place, inner in reversed([*enumerate(one)])]
        elif path:
            yield path, one


def _flat(inner: list[JsonValue]) -> list[JsonValue]:
    flat: list[JsonValue] = []
    for one in inner:
        spans = one.get("spans") if isinstance(one, dict) else None
        flat += spans if isinstance(spans, list) else [one]
    return flat


def _event(event: JsonObject) -> DraftEvent:
    unix_ns = iso_unix_ns(event.get("timestamp"))
    return DraftEvent(text(event.get("name")), unix_ns or 0, dict(flatten(event.get("attributes"))))
