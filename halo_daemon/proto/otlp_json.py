"""
Decoding of OTLP export requests in JSON.

OTLP/JSON is not protobuf's own JSON: ids are hex, unknown fields are ignored, and
exporters send more than the specification allows. Read here: ids in either letter case,
integers as text or number, bytes in both base64 alphabets, ``null`` as absent, enum names,
and snake_case keys. What is read gives the same line as the same request in protobuf.

Rule 1: a value of the wrong type, or an id that is not hex, fails the span that it stands
in, and its JSON path is told. It fails the request where it stands outside of spans, where
no other span is good, and where it is a number out of range.

Rule 2: nothing recurses deeper than `DecodeLimits.max_depth` values.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Final, cast

import orjson

from halo_daemon.errors import DecodeError, LimitError
from halo_daemon.proto import otlp_json_fields as read
from halo_daemon.proto.batch import MESSAGE_PARTS, DecodedRequest, DecodeLimits, ProjectOf
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.line import (
    KIND_NAMES,
    STATUS_NAMES,
    LineFields,
    RequestLines,
    ResourceParts,
    ScopeParts,
)
from halo_daemon.proto.otlp_json_bounds import check_json_parts
from halo_daemon.proto.otlp_json_fields import OutOfRangeError, WrongTypeError, name
from halo_daemon.proto.otlp_json_values import JsonValues
from halo_daemon.proto.otlp_signals import hint_of_json, refuse_foreign_json
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.proto.value import (
    DROPPED_SURPLUS,
    INVALID_LINK_ID,
    INVALID_UTF8,
    MAX_DROPPED,
    nesting_error,
)

MALFORMED_SPAN: Final = "malformed_span"
ENUM_NAME: Final = "enum_name"
LONE_SURROGATE: Final = "lone_surrogate"

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(KIND_NAMES)}
_STATUS_NUMBERS: Final = {code: number for number, code in enumerate(STATUS_NAMES)}
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)

_RESOURCE_SPANS = name("resourceSpans")
_RESOURCE = name("resource")
_SCOPE_SPANS = name("scopeSpans")
_SCOPE = name("scope")
_SPANS = name("spans")
_SCHEMA_URL = name("schemaUrl")
_ATTRIBUTES = name("attributes")
_DROPPED_ATTRIBUTES = name("droppedAttributesCount")
_DROPPED_EVENTS = name("droppedEventsCount")
_DROPPED_LINKS = name("droppedLinksCount")
_ENTITY_REFS = name("entityRefs")
_TYPE = name("type")
_ID_KEYS = name("idKeys")
_DESCRIPTION_KEYS = name("descriptionKeys")
_NAME = name("name")
_VERSION = name("version")
_TRACE_ID = name("traceId")
_SPAN_ID = name("spanId")
_PARENT = name("parentSpanId")
_TRACE_STATE = name("traceState")
_FLAGS = name("flags")
_KIND = name("kind")
_START = name("startTimeUnixNano")
_END = name("endTimeUnixNano")
_TIME = name("timeUnixNano")
_STATUS = name("status")
_CODE = name("code")
_MESSAGE = name("message")
_EVENTS = name("events")
_LINKS = name("links")


def decode_json(body: bytes, *, project_of: ProjectOf, limits: DecodeLimits) -> DecodedRequest:
    """
    Decode one ``ExportTraceServiceRequest`` in OTLP/JSON.

    Args:
        body: The request, already decompressed; ``{}`` is an empty request, a success.
        project_of: Called once for each resource.
        limits: What the request may hold.

    Returns:
        What `proto.otlp.decode_protobuf` returns for the same request, byte for byte.

    Raises:
        DecodeError: *body* is not JSON, a value is of the wrong type or out of range (the
            message names its path), or nested too deep.
        LimitError: *body* holds more than *limits* allow.
    """
    try:
        check_json_parts(body, limits)
    except LimitError:
        refuse_foreign_json(body)
        raise
    lines = RequestLines(project_of, limits)
    request = _parsed(body, lines, limits)
    if not isinstance(request, dict):
        raise DecodeError(
            f"cannot decode the JSON request: it is a {type(request).__name__}, not an object",
            hint='send an object with the key "resourceSpans"',
        )
    walk = _Walk(lines, limits)
    try:
        walk.walk(request)
    except WrongTypeError as exc:
        raise exc.as_decode_error() from exc
    malformed = walk.first_malformed
    decoded = lines.finish(hint=malformed.told() if malformed else hint_of_json(request))
    if malformed and not decoded.batches:
        raise malformed.as_decode_error()
    return decoded


def _parsed(body: bytes, lines: RequestLines, limits: DecodeLimits) -> JsonValue:
    try:
        return cast("JsonValue", orjson.loads(body))
    except orjson.JSONDecodeError as exc:
        if "depth limit" in str(exc):
            raise nesting_error(limits.max_depth) from exc
        repaired, lone = without_lone_surrogates(_as_utf8(body, lines))
        if repaired == body:
            raise _not_json(body, exc) from exc
    if lone:
        lines.warnings[LONE_SURROGATE] += lone
    try:
        return cast("JsonValue", orjson.loads(repaired))
    except orjson.JSONDecodeError as exc:
        raise _not_json(body, exc) from exc


def _as_utf8(body: bytes, lines: RequestLines) -> bytes:
    """The same without a byte order mark, and with U+FFFD for what is not UTF-8."""
    found = body.removeprefix(BOM_UTF8)
    text = found.decode("utf-8", "replace").encode()
    if text != found:
        lines.warnings[INVALID_UTF8] += 1
    return text


def _not_json(body: bytes, cause: orjson.JSONDecodeError) -> DecodeError:
    return DecodeError(
        f"cannot decode {len(body)} bytes as JSON: {cause}",
        hint="send an OTLP trace export request as application/json",
    )


def without_lone_surrogates(body: bytes) -> tuple[bytes, int]:
    r"""Replace each ``\uD8xx`` without its other half by U+FFFD; also how many there were."""
    lone = 0

    def replacement(match: re.Match[bytes]) -> bytes:
        nonlocal lone
        if match[1] is None:
            return match[0]
        lone += 1
        return rb"\ufffd"

    return _ESCAPE.sub(replacement, body), lone


class _Walk:
    """
    One walk over one parsed request.

    Attributes:
        first_malformed: What is wrong in the first span that could not be read; None when
            all could.
    """

    def __init__(self, lines: RequestLines, limits: DecodeLimits) -> None:
        self._lines = lines
        self._max_items = limits.max_items
        self._values = JsonValues(lines.warnings, limits, lines.take_parts)
        self._has_surplus = False
        self.first_malformed: WrongTypeError | None = None

    def walk(self, request: JsonObject) -> None:
        """
        Take a request.

        Raises:
            WrongTypeError: A value outside of spans is of the wrong type.
            OutOfRangeError: A number is not one that its field can hold.
        """
        for index, resource_spans in enumerate(read.objects(request, _RESOURCE_SPANS)):
            try:
                self._resource_spans(resource_spans, f"resourceSpans[{index}]")
            except WrongTypeError as exc:
                exc.path.append(f"resourceSpans[{index}]")
                raise

    def _resource_spans(self, resource_spans: JsonObject, place: str) -> None:
        schema_url = read.text(resource_spans, _SCHEMA_URL)
        resource = self._resource(read.message(resource_spans, _RESOURCE), schema_url)
        scopes = read.objects(resource_spans, _SCOPE_SPANS)
        if scopes:
            self._lines.open_resource(resource)
        for index, scope_spans in enumerate(scopes):
            try:
                self._scope_spans(scope_spans, f"{place}.scopeSpans[{index}]")
            except WrongTypeError as exc:
                exc.path.append(f"scopeSpans[{index}]")
                raise

    def _scope_spans(self, scope_spans: JsonObject, place: str) -> None:
        spans = read.items(scope_spans, _SPANS)
        schema_url = read.text(scope_spans, _SCHEMA_URL)
        scope = self._scope(read.message(scope_spans, _SCOPE), schema_url)
        self._lines.open_scope(scope, spans=len(spans))
        for index, span in enumerate(spans):
            try:
                self._span(span)
            except WrongTypeError as exc:
                exc.path.append(f"spans[{index}]")
                if isinstance(exc, OutOfRangeError):
                    raise
                exc.path.append(place)
                self.first_malformed = self.first_malformed or exc
                self._lines.reject(MALFORMED_SPAN, _name_of(span))

    def _resource(self, resource: JsonObject, schema_url: str) -> ResourceParts:
        self._lines.take_parts(MESSAGE_PARTS)
        self._has_surplus = False
        attributes, dropped = self._attributes(resource)
        return ResourceParts(
            attributes=attributes,
            dropped_attributes_count=dropped,
            schema_url=schema_url,
            entity_refs=[self._entity_ref(ref) for ref in read.objects(resource, _ENTITY_REFS)],
            repairs=self._surplus(),
        )

    def _scope(self, scope: JsonObject, schema_url: str) -> ScopeParts:
        self._lines.take_parts(MESSAGE_PARTS)
        self._has_surplus = False
        attributes, dropped = self._attributes(scope)
        return ScopeParts(
            name=read.text(scope, _NAME),
            version=read.text(scope, _VERSION),
            attributes=attributes,
            dropped_attributes_count=dropped,
            schema_url=schema_url,
            repairs=self._surplus(),
        )

    def _surplus(self) -> tuple[str, ...]:
        return (DROPPED_SURPLUS,) if self._has_surplus else ()

    def _span(self, span: JsonValue) -> None:
        if not isinstance(span, dict):
            raise WrongTypeError("", "an object", span)
        start = read.integer(span, _START, read.UINT64)
        end = read.integer(span, _END, read.UINT64)
        self._has_surplus = False
        attributes, dropped_attributes = self._attributes(span)
        fields: LineFields = {
            "trace_id": read.hex_id(span, _TRACE_ID, _TRACE_ID_BYTES),
            "span_id": read.hex_id(span, _SPAN_ID, _SPAN_ID_BYTES),
            "parent_span_id": read.hex_id(span, _PARENT, _SPAN_ID_BYTES),
            "trace_state": read.text(span, _TRACE_STATE),
            "name": read.text(span, _NAME),
            "kind": self._enum(span, _KIND, _KIND_NUMBERS),
            "start_time": format_unix_ns(start),
            "end_time": format_unix_ns(end),
            "status": self._status(span),
            "resource": None,
            "scope": None,
            "attributes": attributes,
        }
        repairs: list[str] = []
        self._add_extras(span, fields, repairs, dropped_attributes)
        repairs[:0] = self._surplus()
        self._lines.add(fields, repairs, ends_early=0 < end < start)

    def _status(self, span: JsonObject) -> JsonObject:
        status = read.message(span, _STATUS)
        try:
            return {
                "code": self._enum(status, _CODE, _STATUS_NUMBERS),
                "message": read.text(status, _MESSAGE),
            }
        except WrongTypeError as exc:
            exc.path.append(_STATUS[0])
            raise

    def _enum(self, fields: JsonObject, field: read.Name, numbers: dict[str, int]) -> int:
        number, by_name = read.enum(fields, field, numbers)
        if by_name:
            self._lines.warnings[ENUM_NAME] += 1
        return number

    def _add_extras(
        self, span: JsonObject, fields: LineFields, repairs: list[str], dropped_attributes: int
    ) -> None:
        """Add what OTLP has besides the twelve fields."""
        events, dropped_events = self._kept(span, _EVENTS, _DROPPED_EVENTS)
        links, dropped_links = self._kept(span, _LINKS, _DROPPED_LINKS)
        extras = {
            "flags": read.integer(span, _FLAGS, read.UINT32),
            "events": self._each(self._event, events, _EVENTS),
            "links": self._each(lambda link: self._link(link, repairs), links, _LINKS),
            "dropped_attributes_count": dropped_attributes,
            "dropped_events_count": dropped_events,
            "dropped_links_count": dropped_links,
        }
        fields.update({key: value for key, value in extras.items() if value})

    def _each(
        self, build: Callable[[JsonObject], JsonObject], items: list[JsonObject], field: read.Name
    ) -> list[JsonObject]:
        built: list[JsonObject] = []
        for index, item in enumerate(items):
            self._lines.take_parts(MESSAGE_PARTS)
            try:
                built.append(build(item))
            except WrongTypeError as exc:
                exc.path.append(f"{field[0]}[{index}]")
                raise
        return built

    def _kept(
        self, fields: JsonObject, field: read.Name, dropped: read.Name
    ) -> tuple[list[JsonObject], int]:
        """As many items of a list as are kept of it, and how many are missing altogether."""
        items = read.objects(fields, field)
        missing = read.integer(fields, dropped, read.UINT32)
        surplus = len(items) - self._max_items
        if surplus <= 0:
            return items, missing
        self._has_surplus = True
        return items[: self._max_items], min(missing + surplus, MAX_DROPPED)

    def _attributes(self, fields: JsonObject) -> tuple[JsonObject, int]:
        pairs, dropped = self._kept(fields, _ATTRIBUTES, _DROPPED_ATTRIBUTES)
        return self._values.attributes(pairs), dropped

    def _event(self, event: JsonObject) -> JsonObject:
        attributes, dropped = self._attributes(event)
        fields: JsonObject = {
            "time": format_unix_ns(read.integer(event, _TIME, read.UINT64)),
            "name": read.text(event, _NAME),
            "attributes": attributes,
        }
        if dropped:
            fields["dropped_attributes_count"] = dropped
        return fields

    def _link(self, link: JsonObject, repairs: list[str]) -> JsonObject:
        trace_id = read.hex_id(link, _TRACE_ID, _TRACE_ID_BYTES)
        span_id = read.hex_id(link, _SPAN_ID, _SPAN_ID_BYTES)
        if len(trace_id) != 2 * _TRACE_ID_BYTES or len(span_id) != 2 * _SPAN_ID_BYTES:
            repairs.append(INVALID_LINK_ID)
            # Kept as received, in lower case where it is hex at all.
            trace_id = read.text(link, _TRACE_ID).lower()
            span_id = read.text(link, _SPAN_ID).lower()
        attributes, dropped = self._attributes(link)
        fields: JsonObject = {
            "trace_id": trace_id,
            "span_id": span_id,
            "trace_state": read.text(link, _TRACE_STATE),
            "attributes": attributes,
        }
        if dropped:
            fields["dropped_attributes_count"] = dropped
        if flags := read.integer(link, _FLAGS, read.UINT32):
            fields["flags"] = flags
        return fields

    def _entity_ref(self, ref: JsonObject) -> JsonObject:
        id_keys, description_keys = read.texts(ref, _ID_KEYS), read.texts(ref, _DESCRIPTION_KEYS)
        self._lines.take_parts(MESSAGE_PARTS + len(id_keys) + len(description_keys))
        return {
            "schema_url": read.text(ref, _SCHEMA_URL),
            "type": read.text(ref, _TYPE),
            "id_keys": id_keys,
            "description_keys": description_keys,
        }


def _name_of(span: JsonValue) -> str:
    found = span.get("name") if isinstance(span, dict) else None
    return found if isinstance(found, str) else ""
