"""The text that stands at a named place of a span."""

import re

from halo_daemon.analyzer.content import text_of
from halo_daemon.proto.span import Span

_EVENT_PATH = re.compile(r"events\[([0-9]{1,6})\]\.(.+)", re.DOTALL)


def value_at(span: Span, path: str) -> str | None:
    """
    The text that *path* names in *span*: an attribute key, ``name``, ``status.message``
    or ``events[N].<key>``; None when there is no such value.

    An attribute called ``name`` or ``status.message`` is not reachable: the span's
    own field wins. ``events[N].name`` is the event's own name where it has no such key.
    """
    if path == "name":
        return span.name
    if path == "status.message":
        return span.status_message
    event = _EVENT_PATH.fullmatch(path)
    if event and path not in span.attributes:
        return _event_value(span, int(event[1]), event[2])
    return text_of(span.attributes[path]) if path in span.attributes else None


def _event_value(span: Span, place: int, key: str) -> str | None:
    if place >= len(span.events):
        return None
    event = span.events[place]
    attributes = event.get("attributes")
    if isinstance(attributes, dict) and key in attributes:
        return text_of(attributes[key])
    return text_of(event.get("name")) if key == "name" else None
