"""
Trace files by path, read as one data set.

One canonical span a line, as HALO and halo-daemon write them, plain or gzip,
with the liberties that files in the field take. A trace may be spread over
files; a damaged line is counted and left out.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import orjson

from halo_daemon.analyzer.agent.messages import as_object, as_text
from halo_daemon.analyzer.agent.trace_source import distinct
from halo_daemon.errors import ConfigError
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv import facts_of
from halo_daemon.proto.span import Span
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.trace import Trace
from halo_daemon.store.trace_reader import WHOLE, Overview, Share, TraceSummary, Window, WindowBy

_GZIP_MAGIC = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_NANOS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EVERYTHING = Window(0, 2**64 - 1, WindowBy.START)
"""A window that holds all spans."""


class FileTraceReader:
    """A `TraceReader` over files in memory."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """
        Read *paths*.

        Raises:
            ConfigError: A file cannot be read.
        """
        self._bad_lines = 0
        spans: dict[str, list[Span]] = {}
        for path in paths:
            for span in self._spans_of(path):
                spans.setdefault(span.trace_id, []).append(span)
        self._traces = {trace_id: Trace.merge(spans[trace_id]) for trace_id in sorted(spans)}

    def overview(self, window: Window) -> Overview:
        """Count what *window* holds."""
        traces = [*self.iter_traces(window)]
        spans = [span for trace in traces for span in trace.spans]
        usage = [facts_of(trace).usage for trace in traces]
        return Overview(
            traces=len(traces),
            spans=len(spans),
            duplicate_spans=sum(trace.duplicate_spans for trace in traces),
            error_traces=sum(any(s.has_error_status for s in trace.spans) for trace in traces),
            input_tokens=sum(used.input_tokens for used in usage),
            output_tokens=sum(used.output_tokens for used in usage),
            services=distinct(span.service_name for span in spans),
            models=distinct(span.model for span in spans),
            tools=distinct(span.tool_name for span in spans),
            agents=distinct(span.agent_name for span in spans),
            quarantined_lines=self._bad_lines,
        )

    def list_traces(
        self, window: Window, *, limit: int = 50, offset: int = 0
    ) -> list[TraceSummary]:
        """List traces, the one that started last first, ties by trace id."""
        traces = sorted(self.iter_traces(window), key=lambda t: (-t.start_unix_ns, t.trace_id))
        return [_summary(trace) for trace in traces[offset : offset + limit]]

    def load_trace(self, trace_id: str) -> Trace | None:
        """Load one whole trace; None when there is no span of it."""
        return self._traces.get(trace_id)

    def iter_traces(self, window: Window, *, share: Share = WHOLE) -> Iterator[Trace]:
        """Load every trace of *window* that *share* has, in ascending order of trace id."""
        for trace in self._traces.values():
            if share.has(trace.trace_id) and any(
                window.from_unix_ns <= span.start_unix_ns < window.to_unix_ns
                for span in trace.spans
            ):
                yield trace

    def _spans_of(self, path: Path) -> Iterator[Span]:
        for line in _lines(path):
            try:
                yield Span.from_fields(canonical(as_object(orjson.loads(line))))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._bad_lines += 1


def canonical(fields: JsonObject) -> JsonObject:
    """
    The fields of a line with what may be missing filled in and times in their one form.

    Raises:
        KeyError, TypeError, ValueError: An id, a name, a time or the attributes are
            missing or of another type.
    """
    status, scope = as_object(fields.get("status")), as_object(fields.get("scope"))
    resource = as_object(fields.get("resource"))
    attributes = cast("JsonObject", {**cast("JsonObject", fields["attributes"])})
    if "inference.observation_kind" not in attributes:
        kind = as_text(attributes.get("openinference.span.kind"))
        attributes["inference.observation_kind"] = kind or "SPAN"
    return {
        **fields,
        "trace_id": _required(fields, "trace_id"),
        "span_id": _required(fields, "span_id"),
        "parent_span_id": as_text(fields.get("parent_span_id")),
        "name": _required(fields, "name"),
        "kind": as_text(fields.get("kind")) or "SPAN_KIND_UNSPECIFIED",
        "start_time": format_unix_ns(_unix_ns(fields["start_time"])),
        "end_time": format_unix_ns(_unix_ns(fields.get("end_time"))),
        "status": {
            **status,
            "code": as_text(status.get("code")) or "STATUS_CODE_UNSET",
            "message": as_text(status.get("message")),
        },
        "resource": {**resource, "attributes": as_object(resource.get("attributes"))},
        "scope": {
            **scope,
            "name": as_text(scope.get("name")),
            "version": as_text(scope.get("version")),
        },
        "attributes": attributes,
        "events": _objects(fields.get("events")),
        "links": _objects(fields.get("links")),
    }


def _lines(path: Path) -> Iterable[bytes]:
    try:
        raw = path.read_bytes()
        if raw.startswith(_GZIP_MAGIC):
            raw = gzip.decompress(raw)
    except (OSError, EOFError) as exc:
        raise ConfigError(
            f"cannot read {path}: {exc}", hint="give a JSONL file with one span a line"
        ) from exc
    lines = raw.removeprefix(_BOM).split(b"\n")
    return (line for line in lines if line.strip())


def _required(fields: JsonObject, key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"`{key}` is not a text")
    return value


def _objects(value: JsonValue) -> list[JsonValue]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _unix_ns(value: JsonValue) -> int:
    """Nanoseconds of an ISO 8601 text of any precision; 0 for nothing."""
    if not value:
        return 0
    text = as_text(value)
    head, dot, tail = text.partition(".")
    digits = "".join(char for char in tail if char.isdigit()) if dot else ""
    zone = tail.lstrip("0123456789") if dot else ""
    if dot and ("+" in zone or "-" in zone):
        digits = tail[: len(tail) - len(zone)]
    moment = datetime.fromisoformat(head + (zone if dot else ""))
    delta = moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH
    whole_s = delta.days * 86_400 + delta.seconds
    return whole_s * _NANOS + int(digits[:9].ljust(9, "0") or 0)


def _summary(trace: Trace) -> TraceSummary:
    spans, usage = trace.spans, facts_of(trace).usage
    return TraceSummary(
        trace_id=trace.trace_id,
        root_name=trace.roots[0].name if trace.roots else "",
        service_name=spans[0].service_name,
        start_unix_ns=trace.start_unix_ns,
        end_unix_ns=trace.end_unix_ns,
        last_received_unix_ns=0,
        spans=len(spans),
        error_spans=sum(span.has_error_status for span in spans),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
