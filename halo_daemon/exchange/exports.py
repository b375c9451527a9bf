"""
Traces for other tools: each span once, whole traces, the same bytes for the same input.

Secrets are masked on the way out, whatever was masked on the way in: what leaves is
read by people and programs that the traces were not meant for.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson

from halo_daemon import __version__
from halo_daemon.exchange.otlp_form import request_form
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.redact import redact_text, redact_value
from halo_daemon.proto.redact_line import masked
from halo_daemon.proto.semconv import facts_of, with_usage_apart
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace

_SPANS_A_REQUEST = 500
_NS_PER_US = 1_000


def halo_lines(traces: Iterable[Trace], *, unmasked: bool = False) -> Iterator[bytes]:
    """
    HALO's JSONL: canonical lines, trace by trace; without secrets unless *unmasked*.

    HALO adds up the tokens of all spans, so a call that only wraps others states its own
    as a total.
    """
    for trace in traces:
        enclosing = facts_of(trace).enclosing_calls
        for span in trace.spans:
            fields = with_usage_apart(span) if span.span_id in enclosing else span.fields
            yield orjson.dumps(fields if unmasked else masked(fields)) + b"\n"


def otlp_json_lines(traces: Iterable[Trace], *, unmasked: bool = False) -> Iterator[bytes]:
    """OTLP/JSON: one ``ExportTraceServiceRequest`` a line; importing it gives the same lines."""
    spans = (
        span.fields if unmasked else masked(span.fields) for trace in traces for span in trace.spans
    )
    while part := list(islice(spans, _SPANS_A_REQUEST)):
        yield orjson.dumps(request_form(part)) + b"\n"


def chrome_trace(trace: Trace, *, with_values: bool = False) -> bytes:
    """
    One trace for chrome://tracing, Perfetto and speedscope.

    Spans that overlap without being each other's parent stand on tracks of their
    own. Inputs and outputs are left out unless *with_values*.
    """
    tracks = _tracks(trace)
    service = next((span.service_name for span in trace.spans if span.service_name), "trace")
    events: list[JsonObject] = [_meta("process_name", 0, redact_text(service).text)]
    events += [
        _meta("thread_name", track, "trace" if not track else f"parallel {track}")
        for track in sorted(set(tracks.values()))
    ]
    events += [
        {
            "name": redact_text(span.name).text,
            "cat": span.observation_kind,
            "ph": "X",
            "ts": (span.start_unix_ns - trace.start_unix_ns) / _NS_PER_US,
            "dur": span.duration_ns / _NS_PER_US,
            "pid": 1,
            "tid": tracks[span.span_id],
            "args": _arguments(span, with_values=with_values),
        }
        for span in trace.spans
    ]
    document = {
        "displayTimeUnit": "ms",
        "otherData": {
            "generator": f"halo-daemon {__version__}",
            "trace_id": trace.trace_id,
            "start_unix_ns": str(trace.start_unix_ns),
            "spans": str(len(trace.spans)),
        },
        "traceEvents": events,
    }
    return orjson.dumps(document) + b"\n"


def _meta(name: str, track: int, value: str) -> JsonObject:
    return {"name": name, "ph": "M", "pid": 1, "tid": track, "ts": 0, "args": {"name": value}}


def _arguments(span: Span, *, with_values: bool) -> JsonObject:
    shown: JsonObject = {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "status": span.status_code,
        "model": span.model,
        "tool": span.tool_name,
        "input_tokens": span.input_tokens,
        "output_tokens": span.output_tokens,
    }
    if with_values:
        shown["input"] = redact_value(span.attributes.get("input.value"))[0]
        shown["output"] = redact_value(span.attributes.get("output.value"))[0]
    return {key: value for key, value in shown.items() if value is not None and value != ""}


def _tracks(trace: Trace) -> dict[str, int]:
    """A track for each span: its parent's while that one has room, else the first free one."""
    open_ends: list[list[int]] = []
    found: dict[str, int] = {}
    for span in trace.spans:
        end = max(span.end_unix_ns, span.start_unix_ns)
        preferred = found.get(span.parent_span_id)
        order = sorted(range(len(open_ends)), key=lambda track: track != preferred)
        for track in order:
            ends = open_ends[track]
            while ends and ends[-1] <= span.start_unix_ns:
                ends.pop()
            if not ends or (end <= ends[-1] and track == preferred):
                ends.append(end)
                found[span.span_id] = track
                break
        else:
            open_ends.append([end])
            found[span.span_id] = len(open_ends) - 1
    return found
