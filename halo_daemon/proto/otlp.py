"""
Decoding of OTLP export requests in protobuf.

Theory of operation
===================

A request is parsed by the C parser of protobuf, then walked once; a large one piece by
piece (`proto.otlp_pieces`), so that what it costs beside its lines is bounded. Every
attribute access crosses from C into Python, so the walk touches each field at most
once; spans and their attributes come as bytes (`proto.otlp_spans`, `proto.otlp_pairs`).

A request that does not parse is looked at a second time (`proto.otlp_repair`): text
that is not UTF-8 costs its own bytes, not the request.

Rule 1: ids of any length parse; `proto.line` refuses the bad ones span by span.

Rule 2: nesting is bounded by the same number as in JSON, below what the parser
itself would take, so that both encodings accept the same requests.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import DecodeError as ProtobufDecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.proto.batch import MESSAGE_PARTS, DecodedRequest, DecodeLimits, ProjectOf
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.line import LineFields, RequestLines, ResourceParts, ScopeParts
from halo_daemon.proto.otlp_bounds import Bounds, largest_harmless_bytes
from halo_daemon.proto.otlp_pairs import (
    Pairs,
    RawResourceSpans,
    RawScopeSpans,
    RawTraceRequest,
)
from halo_daemon.proto.otlp_pieces import RUN_BYTES, ResourcePiece, Run, split_traces
from halo_daemon.proto.otlp_repair import repaired
from halo_daemon.proto.otlp_signals import may_be_foreign, refuse_foreign
from halo_daemon.proto.otlp_spans import NONE_DROPPED, read_span
from halo_daemon.proto.otlp_wire import MalformedError
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.value import (
    DROPPED_SURPLUS,
    DUPLICATE_KEYS,
    INVALID_LINK_ID,
    INVALID_UTF8,
    STRING_INDEX,
    json_double,
    nesting_error,
)

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8
_DESCRIPTORS: Final = {
    message.DESCRIPTOR.full_name: message.DESCRIPTOR for message in (ResourceSpans, ScopeSpans)
}
_M = TypeVar("_M", ResourceSpans, ScopeSpans)
_PLAIN: Final = frozenset({"string_value", "int_value", "bool_value"})
_DROPPED: Final = ("dropped_attributes_count", "dropped_events_count", "dropped_links_count")


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
    try:
        try:
            return _decoded(body, project_of=project_of, limits=limits)
        except (ProtobufDecodeError, MalformedError):
            # Before the repair, or metrics would be repaired into spans.
            refuse_foreign(body)
        return _decoded(body, project_of=project_of, limits=limits, repairs=True)
    except LimitError:
        refuse_foreign(body)
        raise
    except (ProtobufDecodeError, MalformedError) as exc:
        raise DecodeError(
            f"cannot decode {len(body)} bytes as an OTLP trace export request",
            hint="send an ExportTraceServiceRequest as application/x-protobuf",
        ) from exc


def _decoded(
    body: bytes, *, project_of: ProjectOf, limits: DecodeLimits, repairs: bool = False
) -> DecodedRequest:
    lines = RequestLines(project_of, limits)
    walk = _Walk(lines, limits)
    run_bytes = min(RUN_BYTES, largest_harmless_bytes(limits))
    if len(body) <= run_bytes and not repairs:
        walk.walk(RawTraceRequest.FromString(body))
    else:
        pieces = split_traces(body, limits, run_bytes=0 if repairs else run_bytes)
        walk.walk_pieces(pieces, _Reader(body, limits, repairs=repairs))
    if walk.may_be_foreign:
        refuse_foreign(body)
    return lines.finish()


class _Reader:
    """Reads the pieces of one request: trims, counts and, when asked to, repairs them first."""

    def __init__(self, body: bytes, limits: DecodeLimits, *, repairs: bool) -> None:
        self._body = body
        self._bounds = Bounds(limits)
        self._max_depth = limits.max_depth
        self._repairs = repairs

    def run(self, run: Run) -> tuple[ScopeSpans, tuple[str, ...]]:
        """The scope that holds nothing but the spans of *run*, and what was done to them."""
        return self.head(self._body[run.start : run.end], RawScopeSpans)

    def head(self, raw: bytes, message: type[_M]) -> tuple[_M, tuple[str, ...]]:
        """The message in *raw*, and what was done to it before it was parsed."""
        done: tuple[str, ...] = ()
        descriptor = _DESCRIPTORS[message.DESCRIPTOR.full_name]
        if self._bounds.may_exceed(len(raw)):
            raw = self._bounds.trimmed(raw, descriptor)
            self._bounds.count(raw, descriptor)
            if self._bounds.has_dropped:
                done = (DROPPED_SURPLUS,)
        if self._repairs:
            fixed = repaired(raw, descriptor, max_depth=self._max_depth)
            if fixed is not raw:
                raw, done = fixed, (INVALID_UTF8, *done)
        return message.FromString(raw), done


class _Values:
    """
    Reads the values that are not plain.

    Apart from `_Walk`, which holds the pairs that ask it: a request that refers to itself
    would keep its lines until the garbage collector comes.
    """

    def __init__(self, lines: RequestLines, max_depth: int) -> None:
        self._lines = lines
        self._max_depth = max_depth

    def read(self, value: AnyValue) -> JsonValue:
        """The value as JSON; counts its parts, and warns of what it cannot hold."""
        return self._value(value, 0)

    def note_indexed_keys(self, pairs: Iterable[KeyValue]) -> None:
        """Warn of keys that are indexes into a table that a trace does not have."""
        if indices := sum(1 for pair in pairs if pair.key_strindex):
            self._lines.warnings[STRING_INDEX] += indices

    def _object(self, pairs: Sequence[KeyValue], depth: int) -> JsonObject:
        self._lines.take_parts(len(pairs))
        found: JsonObject = {pair.key: self._value(pair.value, depth) for pair in pairs}
        if len(found) != len(pairs):
            self._lines.warnings[DUPLICATE_KEYS] += len(pairs) - len(found)
        if "" in found:
            self.note_indexed_keys(pairs)
        return found

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
            items = value.array_value.values
            self._lines.take_parts(len(items))
            return [self._value(item, inner) for item in items]
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


class _Walk:
    """
    One walk over one parsed request.

    Attributes:
        may_be_foreign: Whether a span looked like a record of another signal.
    """

    def __init__(self, lines: RequestLines, limits: DecodeLimits) -> None:
        self._lines = lines
        self._values = _Values(lines, limits.max_depth)
        self._pairs = Pairs(self._values.read)
        self.may_be_foreign = False

    def walk(self, request: ExportTraceServiceRequest) -> None:
        """Take a request that was parsed as a whole."""
        for resource_spans in request.resource_spans:
            scopes = resource_spans.scope_spans
            self._open_resource(resource_spans, scopes=len(scopes))
            for scope_spans in scopes:
                spans = scope_spans.spans
                self._open_scope(scope_spans, spans=len(spans))
                self._spans(spans[:])

    def walk_pieces(self, pieces: Iterable[ResourcePiece], reader: "_Reader") -> None:
        """Take a request piece by piece, none of which outlives its spans' lines."""
        for piece in pieces:
            self._open_resource(
                *reader.head(piece.head, RawResourceSpans), scopes=len(piece.scopes)
            )
            for scope in piece.scopes:
                self._open_scope(*reader.head(scope.head, RawScopeSpans), spans=scope.records)
                for run in scope.runs:
                    scope_spans, repairs = reader.run(run)
                    self._spans(scope_spans.spans[:], repairs)

    def _open_resource(
        self, found: ResourceSpans, repairs: tuple[str, ...] = (), *, scopes: int
    ) -> None:
        self._lines.take_parts(MESSAGE_PARTS)
        resource = self._resource(found.resource, found.schema_url, repairs)
        if scopes:
            self._lines.open_resource(resource)

    def _open_scope(self, found: ScopeSpans, repairs: tuple[str, ...] = (), *, spans: int) -> None:
        self._lines.take_parts(MESSAGE_PARTS)
        self._lines.open_scope(self._scope(found.scope, found.schema_url, repairs), spans=spans)

    def _resource(
        self, resource: Resource, schema_url: str, repairs: tuple[str, ...]
    ) -> ResourceParts:
        return ResourceParts(
            attributes=self._attributes(resource.attributes),
            dropped_attributes_count=resource.dropped_attributes_count,
            schema_url=schema_url,
            entity_refs=[self._entity_ref(ref) for ref in resource.entity_refs],
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

    def _spans(self, spans: Sequence[Any], done: tuple[str, ...] = ()) -> None:
        for raw in spans:
            span = read_span(raw)
            start, end = span.start_unix_ns, span.end_unix_ns
            fields: LineFields = {
                "trace_id": span.trace_id,
                "span_id": span.span_id,
                "parent_span_id": span.parent_span_id,
                "trace_state": span.trace_state,
                "name": span.name,
                "kind": span.kind,
                "start_time": format_unix_ns(start),
                "end_time": format_unix_ns(end),
                "status": {"code": span.status_code, "message": span.status_message},
                "resource": None,
                "scope": None,
                "attributes": self._attributes(span.attributes),
            }
            repairs = [*done]
            if span.flags:
                fields["flags"] = span.flags
            if span.events:
                fields["events"] = [self._event(event) for event in span.events]
            if span.links:
                fields["links"] = [self._link(link, repairs) for link in span.links]
            if span.dropped != NONE_DROPPED:
                fields |= {
                    key: count for key, count in zip(_DROPPED, span.dropped, strict=True) if count
                }
            if not start and not end and may_be_foreign(span.name):
                self.may_be_foreign = True
            self._lines.add(fields, repairs, ends_early=0 < end < start)

    def _event(self, event: Span.Event) -> JsonObject:
        self._lines.take_parts(MESSAGE_PARTS)
        fields: JsonObject = {
            "time": format_unix_ns(event.time_unix_nano),
            "name": event.name,
            "attributes": self._attributes(event.attributes),
        }
        if dropped := event.dropped_attributes_count:
            fields["dropped_attributes_count"] = dropped
        return fields

    def _link(self, link: Span.Link, repairs: list[str]) -> JsonObject:
        self._lines.take_parts(MESSAGE_PARTS)
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

    def _attributes(self, raw_pairs: Sequence[Any]) -> JsonObject:
        # The last of duplicate keys wins at the place of the first: a dict's own rule.
        # A slice takes them out of the message at once, which is quicker than one by one.
        raw_pairs = raw_pairs[:]
        self._lines.take_parts(len(raw_pairs))
        found = self._pairs.taken(raw_pairs)
        if len(found) != len(raw_pairs):
            self._lines.warnings[DUPLICATE_KEYS] += len(raw_pairs) - len(found)
        if "" in found:
            self._values.note_indexed_keys(
                KeyValue.FromString(cast("bytes", raw)) for raw in raw_pairs
            )
        return found

    def _entity_ref(self, ref: EntityRef) -> JsonObject:
        self._lines.take_parts(MESSAGE_PARTS + len(ref.id_keys) + len(ref.description_keys))
        return {
            "schema_url": ref.schema_url,
            "type": ref.type,
            "id_keys": list(ref.id_keys),
            "description_keys": list(ref.description_keys),
        }
