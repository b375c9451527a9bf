"""
From decoded spans to canonical lines, one request at a time.

Both decoders end here, so that one request gives the same bytes whether it came
as protobuf or as JSON. A decoder hands over each span as the dictionary of its
line, keys in their final order, except that ``kind`` and ``status.code`` are still
numbers and ids are hex of any length; this module checks, repairs, projects
(`proto.semconv`) and serialises it.

Rule 1: resource and scope are serialised once, however many spans they have.

Rule 2: a repair is named in the span's ``halo.ingest.warning``, never silent.

Rule 3: a bad span is counted and left out; it never costs a good one.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from halo_daemon.proto.batch import (
    DecodedRequest,
    DecodeLimits,
    ProjectOf,
    SpanBatch,
    too_many_line_bytes,
    too_many_parts,
    too_many_spans,
)
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.project import Project
from halo_daemon.proto.semconv import ScopeContext, project_span
from halo_daemon.proto.separators import without_separators
from halo_daemon.proto.times import format_unix_ns

INVALID_TRACE_ID: Final = "invalid_trace_id"
INVALID_SPAN_ID: Final = "invalid_span_id"

OWN_TELEMETRY: Final = "own_telemetry"
"""Spans of halo-daemon itself: taking them in, it would analyse itself for ever."""

SELF_MARK: Final = "halo.self"
"""The resource attribute that marks them."""

INVALID_PARENT: Final = "invalid_parent_span_id"
SELF_PARENT: Final = "self_parent"
END_BEFORE_START: Final = "end_before_start"
REPLACED_SEPARATOR: Final = "replaced_separator"

KIND_NAMES: Final = tuple(
    f"SPAN_KIND_{name}"
    for name in ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
)
STATUS_NAMES: Final = tuple(f"STATUS_CODE_{name}" for name in ("UNSET", "OK", "ERROR"))
_KINDS: Final = len(KIND_NAMES)
_STATUSES: Final = len(STATUS_NAMES)
_SPAN_TYPE: Final = "logfire.span_type"
_PENDING: Final = "pending_span"
_PENDING_PARENT: Final = "logfire.pending_parent_id"
_SENT_SPAN_ID: Final = "halo.client.span_id"
_MAX_MESSAGE_BYTES: Final = 1024
_MAX_SHOWN_NAME_CHARS: Final = 100
_TRACE_ID_DIGITS: Final = 32
_SPAN_ID_DIGITS: Final = 16
_ZERO_TRACE_ID: Final = "0" * _TRACE_ID_DIGITS
_ZERO_SPAN_ID: Final = "0" * _SPAN_ID_DIGITS
_HEX_DIGITS: Final = "0123456789abcdef"
_NO_PROJECT: Final = Project("", "")
_NO_SCOPE: Final = ScopeContext()
_NO_JSON: Final = orjson.Fragment(b"{}")
_dumps: Final = orjson.dumps
_NEWLINE: Final = orjson.OPT_APPEND_NEWLINE

LineFields = dict[str, Any]
"""The object of one line while it is built: JSON, but for parts already serialised."""


def trimmed_message(text: str, *, max_bytes: int = _MAX_MESSAGE_BYTES) -> str:
    """Cut *text* to *max_bytes* of UTF-8, never inside a character."""
    return text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")


@dataclass(slots=True)
class ResourceParts:
    """One resource, decoded."""

    attributes: JsonObject = field(default_factory=dict)
    dropped_attributes_count: int = 0
    schema_url: str = ""
    entity_refs: list[JsonValue] = field(default_factory=list)
    repairs: tuple[str, ...] = ()
    """Repairs made to the resource; every span of it carries them."""


@dataclass(slots=True)
class ScopeParts:
    """One instrumentation scope, decoded."""

    name: str = ""
    version: str = ""
    attributes: JsonObject = field(default_factory=dict)
    dropped_attributes_count: int = 0
    schema_url: str = ""
    repairs: tuple[str, ...] = ()
    """Repairs made to the scope; every span of it carries them."""


@dataclass(slots=True)
class _Lines:
    """
    Lines of one project so far.

    One growing buffer, not a list of lines: each line's own memory is free again
    for the next one, which keeps it in the processor's cache.
    """

    content: bytearray = field(default_factory=bytearray)
    spans: int = 0


_NO_RESOURCE: Final = ResourceParts()


class RequestLines:
    """
    Collects the lines of one request: open a resource, open a scope, add its spans.

    Attributes:
        warnings: What was repaired or passed over, by code.
    """

    def __init__(self, project_of: ProjectOf, limits: DecodeLimits) -> None:
        self.warnings: Counter[str] = Counter()
        self._project_of = project_of
        self._max_spans = limits.max_spans
        self._max_parts = self._free_parts = limits.max_parts
        self._max_line_bytes = self._free_line_bytes = limits.max_line_bytes
        self._lines: dict[Project, _Lines] = {}
        self._open_lines: _Lines | None = None
        self._received_spans = 0
        self._rejected: dict[str, int] = {}
        self._first_rejected_name = ""
        self._project = _NO_PROJECT
        self._is_own = False
        self._resource = _NO_RESOURCE
        self._resource_json = self._scope_json = _NO_JSON
        self._scope_extras: LineFields = {}
        self._outer_repairs: tuple[str, ...] = ()
        self._context = _NO_SCOPE

    def take_parts(self, parts: int) -> None:
        """
        Count what is about to be read.

        Raises:
            LimitError: The request has more than `DecodeLimits.max_parts`.
        """
        self._free_parts -= parts
        if self._free_parts < 0:
            raise too_many_parts(self._max_parts)

    def open_resource(self, resource: ResourceParts) -> None:
        """Begin *resource*; the scopes that follow belong to it."""
        attributes = resource.attributes
        service_name = attributes.get("service.name")
        if isinstance(service_name, str) and service_name != without_separators(service_name):
            attributes["service.name"] = without_separators(service_name)
            resource.repairs = (*resource.repairs, REPLACED_SEPARATOR)
        self._resource = resource
        self._is_own = attributes.get(SELF_MARK) is True
        self._resource_json = orjson.Fragment(orjson.dumps({"attributes": attributes}))
        self._project = self._project_of(attributes)

    def open_scope(self, scope: ScopeParts, *, spans: int) -> None:
        """
        Begin *scope* of the open resource, with that many spans to come.

        Raises:
            LimitError: The request has more than `DecodeLimits.max_spans` spans.
        """
        self._received_spans += spans
        if self._received_spans > self._max_spans:
            raise too_many_spans(self._max_spans, spans=self._received_spans)
        resource = self._resource
        self._scope_json = orjson.Fragment(
            orjson.dumps({"name": scope.name, "version": scope.version})
        )
        extras = {
            "scope_attributes": scope.attributes,
            "scope_dropped_attributes_count": scope.dropped_attributes_count,
            "scope_schema_url": scope.schema_url,
            "resource_dropped_attributes_count": resource.dropped_attributes_count,
            "resource_schema_url": resource.schema_url,
            "resource_entity_refs": resource.entity_refs,
        }
        self._scope_extras = {key: value for key, value in extras.items() if value}
        self._outer_repairs = resource.repairs + scope.repairs
        self._open_lines = None
        self._context = ScopeContext(
            project_slug=self._project.slug,
            scope_name=scope.name,
        )

    def add(self, fields: LineFields, repairs: list[str], *, ends_early: bool) -> None:
        """
        Take one span of the open scope, or count it as rejected.

        Args:
            fields: The line's object as described at the top of this module; the values
                of ``resource`` and ``scope`` are filled in here. Changed in place.
            repairs: What the decoder repaired in this span; added to.
            ends_early: Whether the span has an end, and it is before its start.

        Raises:
            LimitError: The lines have more than `DecodeLimits.max_line_bytes`.
        """
        span_id: str = fields["span_id"]
        reason = OWN_TELEMETRY if self._is_own else _defect(fields["trace_id"], span_id)
        if reason:
            self.reject(reason, fields["name"])
            return
        if self._outer_repairs:
            repairs[:0] = self._outer_repairs
        parent: str = fields["parent_span_id"]
        if parent and (len(parent) != _SPAN_ID_DIGITS or parent in (span_id, _ZERO_SPAN_ID)):
            _repair_parent(fields, repairs)
        if ends_early:
            repairs.append(END_BEFORE_START)
        fields["resource"] = self._resource_json
        fields["scope"] = self._scope_json
        if self._scope_extras:
            fields.update(self._scope_extras)
        _name_enums(fields)
        if _SPAN_TYPE in fields["attributes"]:
            _make_pending(fields)
        project_span(fields, self._context, repairs)
        if repairs:
            self.warnings.update(repairs)
        lines = self._open_lines
        if lines is None:
            lines = self._open_lines = self._lines.setdefault(self._project, _Lines())
        line = _dumps(fields, None, _NEWLINE)
        self._free_line_bytes -= len(line)
        if self._free_line_bytes < 0:
            raise too_many_line_bytes(self._max_line_bytes)
        lines.content += line
        lines.spans += 1

    def reject(self, reason: str, span_name: str) -> None:
        """Count a span of the open scope that is left out."""
        self._rejected[reason] = self._rejected.get(reason, 0) + 1
        self._first_rejected_name = self._first_rejected_name or span_name

    def finish(self, *, hint: str = "") -> DecodedRequest:
        """
        Close the request.

        Args:
            hint: Said to the sender beside the counts of refused spans.
        """
        return DecodedRequest(
            batches=tuple(
                SpanBatch(project, lines.content, lines.spans)
                for project, lines in self._lines.items()
            ),
            received_spans=self._received_spans,
            rejected=self._rejected,
            error_message=trimmed_message("; ".join(filter(None, (self._refusals(), hint)))),
            warnings=dict(self.warnings),
        )

    def _refusals(self) -> str:
        if not self._rejected:
            return ""
        counts = ", ".join(f"{reason}: {count}" for reason, count in self._rejected.items())
        name = self._first_rejected_name[:_MAX_SHOWN_NAME_CHARS]
        return (
            f"refused {sum(self._rejected.values())} of {self._received_spans} spans ({counts}); "
            f"the first is named `{name}`"
        )


def _defect(trace_id: str, span_id: str) -> str:
    """Why a span with these ids cannot be stored; ``""`` when it can."""
    if len(trace_id) != _TRACE_ID_DIGITS or trace_id == _ZERO_TRACE_ID:
        return INVALID_TRACE_ID
    if len(span_id) != _SPAN_ID_DIGITS or span_id == _ZERO_SPAN_ID:
        return INVALID_SPAN_ID
    return ""


def _repair_parent(fields: LineFields, repairs: list[str]) -> None:
    parent = fields["parent_span_id"]
    if parent == _ZERO_SPAN_ID:
        fields["parent_span_id"] = ""
    elif len(parent) != _SPAN_ID_DIGITS:
        fields["parent_span_id"] = ""
        repairs.append(INVALID_PARENT)
    elif parent == fields["span_id"]:
        fields["parent_span_id"] = ""
        repairs.append(SELF_PARENT)


def _make_pending(fields: LineFields) -> None:
    """
    Store what Logfire sends when a span begins as that span, not yet ended; leave others.

    It comes under an id of its own, below the span that it announces.
    """
    announced = fields["parent_span_id"]
    attributes = fields["attributes"]
    if not announced or attributes[_SPAN_TYPE] != _PENDING:
        return
    parent = attributes.get(_PENDING_PARENT)
    attributes[_SENT_SPAN_ID] = fields["span_id"]
    fields["span_id"] = announced
    fields["parent_span_id"] = parent if isinstance(parent, str) and _is_span_id(parent) else ""
    fields["end_time"] = format_unix_ns(0)


def _is_span_id(text: str) -> bool:
    return len(text) == _SPAN_ID_DIGITS and text != _ZERO_SPAN_ID and not text.strip(_HEX_DIGITS)


def _name_enums(fields: LineFields) -> None:
    kind: int = fields["kind"]
    if 0 <= kind < _KINDS:
        fields["kind"] = KIND_NAMES[kind]
    else:
        fields["kind"] = KIND_NAMES[0]
        fields["kind_raw"] = kind
    status: dict[str, Any] = fields["status"]
    code: int = status["code"]
    if 0 <= code < _STATUSES:
        status["code"] = STATUS_NAMES[code]
    else:
        status["code"] = STATUS_NAMES[0]
        fields["status_code_raw"] = code
