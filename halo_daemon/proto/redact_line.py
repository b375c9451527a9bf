"""Secrets out of a canonical line: which of its fields hold text of strangers, and which never do."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import redact_text, redact_value

_TEXTS: Final = ("name", "trace_state")
_OWN_KEYS: Final = "inference."
"""What every line must have stays on it."""

_MAX_KEYS: Final = 4096


def masked(fields: JsonObject) -> JsonObject:
    """A canonical line without the secrets in its texts; ids and times stay as they are."""
    result = dict(fields)
    for key in _TEXTS:
        if isinstance(text := fields.get(key), str):
            result[key] = redact_text(text).text
    status = fields.get("status")
    if isinstance(status, dict) and "message" in status:
        result["status"] = {**status, "message": _masked_values(status["message"])}
    for key in ("events", "links"):
        if isinstance(entries := result.get(key), list):
            result[key] = [_masked_name(entry) for entry in entries]
    return _with_attributes(result, _masked_attributes)


@dataclass(frozen=True, slots=True)
class Redaction:
    """
    What is taken out of spans before they are stored.

    Attributes:
        masks_secrets: Whether secrets in texts are replaced.
        dropped: Attributes to leave out, as patterns with ``*`` and ``?``.
        allowed: Attributes that are stored as they came, as such patterns.
    """

    masks_secrets: bool = False
    dropped: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether anything is ever taken out."""
        return self.masks_secrets or bool(self.dropped)

    def line(self, fields: JsonObject) -> JsonObject:
        """The canonical line as it is to be stored; equal to *fields* where nothing is taken out."""
        kept = masked(fields) if self.masks_secrets else fields
        if self.masks_secrets and self.allowed:
            kept = _restored(kept, fields, self.allowed)
        return _with_attributes(kept, self._without_dropped) if self.dropped else kept

    def _without_dropped(self, attributes: JsonObject) -> JsonObject:
        return {
            key: value
            for key, value in attributes.items()
            if key.startswith(_OWN_KEYS) or not _matches(key, self.dropped)
        }


@lru_cache(maxsize=_MAX_KEYS)
def _matches(key: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _restored(kept: JsonObject, sent: JsonObject, allowed: tuple[str, ...]) -> JsonObject:
    """*kept* with the span's own attributes and those of its resource as sent, where allowed."""

    def restore(masked_ones: JsonValue, sent_ones: JsonValue) -> JsonValue:
        if not (isinstance(masked_ones, dict) and isinstance(sent_ones, dict)):
            return masked_ones
        let = {key: value for key, value in sent_ones.items() if _matches(key, allowed)}
        return {**masked_ones, **let}

    result = {**kept, "attributes": restore(kept.get("attributes"), sent.get("attributes"))}
    resource, sent_resource = kept.get("resource"), sent.get("resource")
    if isinstance(resource, dict) and isinstance(sent_resource, dict):
        attributes = restore(resource.get("attributes"), sent_resource.get("attributes"))
        result["resource"] = {**resource, "attributes": attributes}
    return result


def _with_attributes(fields: JsonObject, change: Callable[[JsonObject], JsonObject]) -> JsonObject:
    """*fields* with every set of attributes on the line changed, wherever it stands."""
    result = dict(fields)
    for key in ("attributes", "scope_attributes"):
        if isinstance(found := result.get(key), dict):
            result[key] = change(found)
    if isinstance(resource := result.get("resource"), dict):
        result["resource"] = _with_own_attributes(resource, change)
    for key in ("events", "links"):
        if isinstance(entries := result.get(key), list):
            result[key] = [_with_own_attributes(entry, change) for entry in entries]
    return result


def _with_own_attributes(outer: JsonValue, change: Callable[[JsonObject], JsonObject]) -> JsonValue:
    attributes = outer.get("attributes") if isinstance(outer, dict) else None
    if not isinstance(outer, dict) or not isinstance(attributes, dict):
        return outer
    return {**outer, "attributes": change(attributes)}


def _masked_attributes(attributes: JsonObject) -> JsonObject:
    found = _masked_values(attributes)
    return found if isinstance(found, dict) else attributes


def _masked_name(entry: JsonValue) -> JsonValue:
    """An event with its name masked; what names another span is left alone."""
    if not isinstance(entry, dict) or "name" not in entry:
        return entry
    return {**entry, "name": _masked_values(entry["name"])}


def _masked_values(value: JsonValue) -> JsonValue:
    found, values = redact_value(value)
    return found if values else value
