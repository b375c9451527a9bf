"""
Decoding of OTLP export requests in protobuf.

Theory of operation
===================

The request is parsed once by the C parser of protobuf, then walked once. Every
attribute access crosses from C into Python, so the walk touches each field at most
once; the attributes of spans come as bytes (`proto.otlp_pairs`).

A request that does not parse is looked at a second time (`proto.otlp_repair`): text
that is not UTF-8 costs its own bytes, not the request.

Rule 1: ids of any length parse; `proto.line` refuses the bad ones span by span.

Rule 2: nesting is bounded by the same number as in JSON, below what the parser
itself would take, so that both encodings accept the same requests.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, cast

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from halo_daemon.proto.batch import DecodedRequest, DecodeLimits, ProjectOf
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.line import LineFields, RequestLines, ResourceParts, ScopeParts
from halo_daemon.proto.otlp_bounds import check_parts
from halo_daemon.proto.otlp_pairs import Pair, Pairs, RawTraceRequest
from halo_daemon.proto.otlp_repair import NO_REPAIRS, Repairs, repair_trace_request
from halo_daemon.proto.otlp_signals import may_be_foreign, refuse_foreign
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.value import (
    DUPLICATE_KEYS,
    INVALID_LINK_ID,
    INVALID_UTF8,
    STRING_INDEX,
    json_double,
    nesting_error,
)

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_PLAIN: Final = frozenset({"string_value", "int_value", "bool_value"})
_DROPPED: Final = ("dropped_attributes_count", "dropped_events_count", "dropped_links_count")
_NONE_DROPPED: Final = [0, 0, 0]
_extras_of: Final = attrgetter("flags", "events", "links", *_DROPPED)
"""Fields that few spans have, in one step: asking for one costs as much as for a used one."""


def decode_protobuf(body: bytes, *, project_of: ProjectOf, limits: DecodeLimits) -> DecodedRequest:
    """
    Decode one serialised ``ExportTraceServiceRequest``.

    Args:
        body: The request, already decompressed; empty is an empty request, a success.
        project_of: Called once for each resource, and again where text is repaired.
        limits: What the request may hold.

    Returns:
        The spans as canonical lines in wire order, by project, and what was refused.

    Raises:
        DecodeError: *body* is not such a request, or a value is nested too deep.
        LimitError: *body* holds more than *limits* allow.
    """
    check_parts(body, limits)
    try:
        return _decoded(body, NO_REPAIRS, project_of=project_of, limits=limits)
    except ProtobufDecodeError as exc:
        # Before the repair, or metrics would be repaired into spans.
        refuse_foreign(body)
        body, repairs = repair_trace_request(body, cause=exc, max_depth=limits.max_depth)
    return _decoded(body, repairs, project_of=project_of, limits=limits)


def _decoded(
    body: bytes, repairs: Repairs, *, project_of: ProjectOf, limits: DecodeLimits
) -> DecodedRequest:
    request = RawTraceRequest.FromString(body)
    lines = RequestLines(project_of, limits)
    walk = _Walk(lines, limits, repairs)
    walk.walk(request)
    if walk.may_be_foreign:
        refuse_foreign(body)
    return lines.finish()


class _Walk:
    """
    One walk over one parsed request.

    Attributes:
        may_be_foreign: Whether a span looked like a record of another signal.
    """

    def __init__(self, lines: RequestLines, limits: DecodeLimits, repairs: Repairs) -> None:
        self._lines = lines
        self._max_depth = limits.max_depth
        self._repairs = repairs
        self._pair_of: Callable[[Any], Pair] = Pairs(self._value_of).__getitem__
        self.may_be_foreign = False

    def walk(self, request: ExportTraceServiceRequest) -> None:
        for i, resource_spans in enumerate(request.resource_spans):
            self._lines.open_resource(
                self._resource(
                    resource_spans.resource, resource_spans.schema_url, self._repaired((i,))
                )
            )
            for j, scope_spans in enumerate(resource_spans.scope_spans):
                spans = scope_spans.spans
                self._lines.open_scope(
                    self._scope(scope_spans.scope, scope_spans.schema_url, self._repaired((i, j))),
                    spans=len(spans),
                )
                self._spans(spans, (i, j))

    def _repaired(self, path: tuple[int, ...]) -> tuple[str, ...]:
        return (INVALID_UTF8,) if path in self._repairs else ()

    def _resource(
        self, resource: Resource, schema_url: str, repairs: tuple[str, ...]
    ) -> ResourceParts:
        return ResourceParts(
            attributes=self._attributes(resource.attributes),
            dropped_attributes_count=resource.dropped_attributes_count,
            schema_url=schema_url,
            entity_refs=[_entity_ref(ref) for ref in resource.entity_refs],
            repairs=repairs,
        )

    def _scope(
        self, scope: InstrumentationScope, schema_url: str, repairs: tuple[str, ...]
    ) -> ScopeParts:
        return ScopeParts(
            name=scope.name,
            version=scope.version,
            attributes=self._attributes(scope.attributes),
            dropped_attributes_count=scope.dropped_attributes_count,
            schema_url=schema_url,
            repairs=repairs,
        )

    def _spans(self, spans: Sequence[Span], path: tuple[int, int]) -> None:
        add = self._lines.add
        attributes_of = self._attributes
        for k, span in enumerate(spans[:]):
            start = span.start_time_unix_nano
            end = span.end_time_unix_nano
            status = span.status
            fields: LineFields = {
                "trace_id": span.trace_id.hex(),
                "span_id": span.span_id.hex(),
                "parent_span_id": span.parent_span_id.hex(),
                "trace_state": span.trace_state,
                "name": span.name,
                "kind": span.kind,
                "start_time": format_unix_ns(start),
                "end_time": format_unix_ns(end),
                "status": {"code": status.code, "message": status.message},
                "resource": None,
                "scope": None,
                "attributes": attributes_of(span.attributes),
            }
            repairs = [INVALID_UTF8] if self._repairs and (*path, k) in self._repairs else []
            flags, events, links, *dropped = _extras_of(span)
            if flags:
                fields["flags"] = flags
            if events:
                fields["events"] = [self._event(event) for event in events]
            if links:
                fields["links"] = [self._link(link, repairs) for link in links]
            if dropped != _NONE_DROPPED:
                fields |= {
                    key: count for key, count in zip(_DROPPED, dropped, strict=True) if count
                }
            if not start and not end and may_be_foreign(fields["name"]):
                self.may_be_foreign = True
            add(fields, repairs, ends_early=0 < end < start)

    def _event(self, event: Span.Event) -> JsonObject:
        fields: JsonObject = {
            "time": format_unix_ns(event.time_unix_nano),
            "name": event.name,
            "attributes": self._attributes(event.attributes),
        }
        if dropped := event.dropped_attributes_count:
            fields["dropped_attributes_count"] = dropped
        return fields

    def _link(self, link: Span.Link, repairs: list[str]) -> JsonObject:
        trace_id, span_id = link.trace_id, link.span_id
        if len(trace_id) != _TRACE_ID_BYTES or len(span_id) != _SPAN_ID_BYTES:
            repairs.append(INVALID_LINK_ID)
        fields: JsonObject = {
            "trace_id": trace_id.hex(),
            "span_id": span_id.hex(),
            "trace_state": link.trace_state,
            "attributes": self._attributes(link.attributes),
        }
        if dropped := link.dropped_attributes_count:
            fields["dropped_attributes_count"] = dropped
        if flags := link.flags:
            fields["flags"] = flags
        return fields

    def _attributes(self, raw_pairs: Sequence[object]) -> JsonObject:
        # The last of duplicate keys wins at the place of the first: a dict's own rule.
        # A slice takes them out of the message at once, which is quicker than one by one.
        raw_pairs = raw_pairs[:]
        found = dict(map(self._pair_of, raw_pairs))
        if len(found) != len(raw_pairs):
            self._lines.warnings[DUPLICATE_KEYS] += len(raw_pairs) - len(found)
        if "" in found:
            self._note_indexed_keys(KeyValue.FromString(cast("bytes", raw)) for raw in raw_pairs)
        return found

    def _object(self, pairs: Sequence[KeyValue], depth: int) -> JsonObject:
        found: JsonObject = {pair.key: self._value(pair.value, depth) for pair in pairs}
        if len(found) != len(pairs):
            self._lines.warnings[DUPLICATE_KEYS] += len(pairs) - len(found)
        if "" in found:
            self._note_indexed_keys(pairs)
        return found

    def _note_indexed_keys(self, pairs: Iterable[KeyValue]) -> None:
        if indices := sum(1 for pair in pairs if pair.key_strindex):
            self._lines.warnings[STRING_INDEX] += indices

    def _value_of(self, value: AnyValue) -> JsonValue:
        return self._value(value, 0)

    def _value(self, value: AnyValue, depth: int) -> JsonValue:
        which = value.WhichOneof("value")
        if which in _PLAIN:
            return cast("JsonValue", getattr(value, which))
        if which == "double_value":
            return json_double(value.double_value)
        if which == "bytes_value":
            return b64encode(value.bytes_value).decode("ascii")
        if which == "array_value":
            inner = self._deeper(depth)
            return [self._value(item, inner) for item in value.array_value.values]
        if which == "kvlist_value":
            return self._object(value.kvlist_value.values, self._deeper(depth))
        if which == "string_value_strindex":
            # An index into the string table of a profile, which a trace does not have.
            self._lines.warnings[STRING_INDEX] += 1
        return None

    def _deeper(self, depth: int) -> int:
        if depth >= self._max_depth:
            raise nesting_error(self._max_depth)
        return depth + 1


def _entity_ref(ref: EntityRef) -> JsonObject:
    return {
        "schema_url": ref.schema_url,
        "type": ref.type,
        "id_keys": list(ref.id_keys),
        "description_keys": list(ref.description_keys),
    }
