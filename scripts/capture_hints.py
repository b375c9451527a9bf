"""
What a captured request says that should be recognised, told without the mapping.

The mapping cannot be its own judge: these patterns look at names and values alone, as
somebody would who reads the capture and knows no convention.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_USAGE_KEY: Final = re.compile(r"token", re.IGNORECASE)
_NO_USAGE: Final = re.compile(r"max|limit|budget|type|detail|cache|reason", re.IGNORECASE)
_USAGE_IN_JSON: Final = re.compile(
    r'\\?"(?:prompt|completion|input|output|candidates)_?tokens?(?:_?count)?\\?"\s*:\s*[1-9]',
    re.IGNORECASE,
)
_ASKED: Final = re.compile(r"prompt|input|messages?$|chat_ctx", re.IGNORECASE)
_ANSWERED: Final = re.compile(r"completion|output|response|choice", re.IGNORECASE)
_NO_MESSAGE: Final = re.compile(
    r"token|usage|mime|model|[._]id$|type|version|finish|reason$|name|role|temperature|tier|max"
    r"|cost|count|format|stop|duration|time|fingerprint|schema",
    re.IGNORECASE,
)
_OBSERVED: Final = re.compile(
    r"^(gen_ai|llm|ai|openinference|traceloop|langfuse\.observation|langsmith|mlflow|genkit|lk)[.:]"
)
_EMPTY: Final = frozenset({"", "[]", "{}", "null", '""'})


class Hints(NamedTuple):
    """What one span of a capture lets one expect."""

    usage: bool
    """It names tokens, more than none."""
    asked: bool
    """It holds text in an attribute or event that sounds like a prompt."""
    answered: bool
    """The same for an answer."""
    observed: bool
    """It carries a key of a vocabulary for agents, so that it should have a kind."""


def hints_of(directory: Path) -> Iterator[tuple[tuple[str, str], Hints]]:
    """By trace and span id, in hex, for every span of the ``*.pb`` requests there."""
    for path in sorted(directory.glob("*.pb")):
        request = ExportTraceServiceRequest.FromString(path.read_bytes())
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    yield (span.trace_id.hex(), span.span_id.hex()), _hints(span)


def _hints(span: Span) -> Hints:
    own = [(pair.key, _text(pair.value)) for pair in span.attributes]
    told = own + [
        (f"{event.name} {pair.key}", _text(pair.value))
        for event in span.events
        if event.name != "exception"
        for pair in event.attributes
    ]
    return Hints(
        usage=any(_names_usage(key, text) for key, text in told),
        asked=any(_holds(key, text, _ASKED) and not _ANSWERED.search(key) for key, text in told),
        answered=any(_holds(key, text, _ANSWERED) for key, text in told),
        observed=any(_OBSERVED.match(key) for key, _ in own),
    )


def _text(value: AnyValue) -> str:
    field = value.WhichOneof("value")
    if field is None:
        return ""
    held = getattr(value, field)
    return str(held) if field not in {"array_value", "kvlist_value"} or held.values else ""


def _names_usage(key: str, text: str) -> bool:
    if _USAGE_KEY.search(key) and not _NO_USAGE.search(key):
        try:
            return float(text) > 0
        except ValueError:
            pass
    return _USAGE_IN_JSON.search(text) is not None


def _holds(key: str, text: str, pattern: re.Pattern[str]) -> bool:
    return bool(pattern.search(key)) and not _NO_MESSAGE.search(key) and text not in _EMPTY
