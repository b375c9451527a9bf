"""Canonical lines and other records as OTLP/JSON, the one road into the decoder; pure."""

from collections.abc import Iterable
from typing import cast

import orjson

from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.proto.json_value import JsonObject, JsonValue

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_KIND_NUMBERS = {f"SPAN_KIND_{name}": number for number, name in enumerate(_KINDS)}
_STATUS_NUMBERS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_COUNTS = {
    "dropped_attributes_count": "droppedAttributesCount",
    "dropped_events_count": "droppedEventsCount",
    "dropped_links_count": "droppedLinksCount",
}
_INT64 = range(-(2**63), 2**63)
_LATEST = 2**64 - 1
"""Times of OTLP have no sign."""


def value_form(value: JsonValue) -> JsonObject:
    """A JSON value as an ``AnyValue``; integers beyond 64 bits become doubles."""
    form: JsonObject = {}
    match value:
        case bool():
            form = {"boolValue": value}
        case int():
            exact = value in _INT64
            form = {"intValue": str(value)} if exact else {"doubleValue": float(value)}
        case float():
            form = {"doubleValue": value}
        case str():
            form = {"stringValue": value}
        case list():
            form = {"arrayValue": {"values": [value_form(one) for one in value]}}
        case dict():
            form = {"kvlistValue": {"values": attributes_form(value)}}
    return form


def attributes_form(attributes: JsonObject) -> list[JsonValue]:
    """Attributes as a list of ``KeyValue``, in their order."""
    return [{"key": key, "value": value_form(value)} for key, value in attributes.items()]


def span_form(fields: JsonObject) -> JsonObject:
    """
    One canonical line as an OTLP span.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: *fields* is no canonical span.
    """
    status = cast("JsonObject", fields["status"])
    attributes = cast("JsonObject", fields["attributes"])
    span: JsonObject = {
        "traceId": fields["trace_id"],
        "spanId": fields["span_id"],
        "parentSpanId": fields.get("parent_span_id", ""),
        "traceState": fields.get("trace_state", ""),
        "name": fields["name"],
        "kind": fields.get("kind_raw") or _KIND_NUMBERS.get(str(fields["kind"]), 0),
        "startTimeUnixNano": _nanos(fields["start_time"]),
        "endTimeUnixNano": _nanos(fields["end_time"]),
        "attributes": attributes_form(attributes),
        "status": {
            "code": fields.get("status_code_raw") or _STATUS_NUMBERS.get(str(status["code"]), 0),
            "message": status.get("message") or "",
        },
    }
    if fields.get("flags"):
        span["flags"] = fields["flags"]
    for key, form in _COUNTS.items():
        if fields.get(key):
            span[form] = fields[key]
    span["events"] = [_event_form(event) for event in _objects(fields.get("events"))]
    span["links"] = [_link_form(link) for link in _objects(fields.get("links"))]
    return span


def request_form(lines: Iterable[JsonObject]) -> JsonObject:
    """
    Canonical lines as one ``ExportTraceServiceRequest``, grouped by resource and scope.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: A line is no canonical span.
    """
    resources: dict[bytes, dict[bytes, JsonObject]] = {}
    outer: dict[bytes, JsonObject] = {}
    for fields in lines:
        resource = _resource_form(fields)
        scope = _scope_form(fields)
        resource_key, scope_key = orjson.dumps(resource), orjson.dumps(scope)
        outer.setdefault(resource_key, resource)
        scopes = resources.setdefault(resource_key, {})
        spans = scopes.setdefault(scope_key, {**scope, "spans": []})["spans"]
        cast("list[JsonValue]", spans).append(span_form(fields))
    return {
        "resourceSpans": [
            {**outer[key], "scopeSpans": list(scopes.values())} for key, scopes in resources.items()
        ]
    }


def _nanos(text: JsonValue) -> str:
    unix_ns = iso_unix_ns(text, latest_unix_ns=_LATEST)
    if unix_ns is None:
        raise ValueError("not a time")
    return str(unix_ns)


def _resource_form(fields: JsonObject) -> JsonObject:
    resource = cast("JsonObject", fields["resource"])
    form: JsonObject = {
        "resource": {
            "attributes": attributes_form(cast("JsonObject", resource["attributes"])),
            "droppedAttributesCount": fields.get("resource_dropped_attributes_count", 0),
        },
        "schemaUrl": fields.get("resource_schema_url", ""),
    }
    if fields.get("resource_entity_refs"):
        cast("JsonObject", form["resource"])["entityRefs"] = fields["resource_entity_refs"]
    return form


def _scope_form(fields: JsonObject) -> JsonObject:
    scope = cast("JsonObject", fields.get("scope") or {})
    return {
        "scope": {
            "name": scope.get("name") or "",
            "version": scope.get("version") or "",
            "attributes": attributes_form(cast("JsonObject", fields.get("scope_attributes") or {})),
            "droppedAttributesCount": fields.get("scope_dropped_attributes_count", 0),
        },
        "schemaUrl": fields.get("scope_schema_url", ""),
    }


def _objects(value: JsonValue) -> list[JsonObject]:
    return cast("list[JsonObject]", value) if isinstance(value, list) else []


def _event_form(event: JsonObject) -> JsonObject:
    return {
        "timeUnixNano": _nanos(event["time"]),
        "name": event["name"],
        "attributes": attributes_form(cast("JsonObject", event.get("attributes") or {})),
        "droppedAttributesCount": event.get("dropped_attributes_count", 0),
    }


def _link_form(link: JsonObject) -> JsonObject:
    form: JsonObject = {
        "traceId": link["trace_id"],
        "spanId": link["span_id"],
        "traceState": link.get("trace_state", ""),
        "attributes": attributes_form(cast("JsonObject", link.get("attributes") or {})),
        "droppedAttributesCount": link.get("dropped_attributes_count", 0),
    }
    if link.get("flags"):
        form["flags"] = link["flags"]
    return form
