"""Secrets out of a canonical line: which of its fields hold text of strangers, and which never do."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import Mark, masked_as, redact_text, redact_value

_TEXTS: Final = ("name", "trace_state")
_OWN_KEYS: Final = "inference."
"""What every line must have stays on it."""

_MAX_KEYS: Final = 4096


def masked(fields: JsonObject, mark: Mark = masked_as) -> JsonObject:
    """A canonical line without the secrets in its texts; ids and times stay as they are."""

    def of_attributes(attributes: JsonObject) -> JsonObject:
        found = _masked_values(attributes, mark)
        return found if isinstance(found, dict) else attributes

    return _with_attributes(_with_masked_texts(fields, mark), of_attributes)


def without_secrets(fields: JsonObject) -> JsonObject:
    """
    A canonical line without the attributes that hold secrets, or whose keys do.

    Texts that every line has, and attributes of ours, are masked: they cannot be left out.
    """

    def of_attributes(attributes: JsonObject) -> JsonObject:
        kept: JsonObject = {}
        for key, value in attributes.items():
            found, values = redact_value({key: value})
            if not values:
                kept[key] = value
            elif key.startswith(_OWN_KEYS) and isinstance(found, dict):
                kept.update(found)
        return kept

    return _with_attributes(_with_masked_texts(fields, masked_as), of_attributes)


def _with_masked_texts(fields: JsonObject, mark: Mark) -> JsonObject:
    result = dict(fields)
    for key in _TEXTS:
        if isinstance(text := fields.get(key), str):
            result[key] = redact_text(text, mark).text
    status = fields.get("status")
    if isinstance(status, dict) and "message" in status:
        result["status"] = {**status, "message": _masked_values(status["message"], mark)}
    for key in ("events", "links"):
        if isinstance(entries := result.get(key), list):
            result[key] = [_masked_name(entry, mark) for entry in entries]
    return result


@dataclass(frozen=True, slots=True)
class Redaction:
    """
    What is taken out of spans before they are stored.

    Attributes:
        secrets: What becomes of a line with secrets in its texts: `masked`,
            `without_secrets`, or `masked` with a mark of its own; None keeps them.
        dropped: Attributes to leave out, as patterns with ``*`` and ``?``.
        allowed: Attributes that are stored as they came, as such patterns.
    """

    secrets: Callable[[JsonObject], JsonObject] | None = None
    dropped: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether anything is ever taken out."""
        return self.secrets is not None or bool(self.dropped)

    def line(self, fields: JsonObject) -> JsonObject:
        """The canonical line as it is to be stored; equal to *fields* where nothing is taken out."""
        kept = fields
        if self.secrets is not None:
            kept = self.secrets(fields)
            if self.allowed:
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


def _masked_name(entry: JsonValue, mark: Mark) -> JsonValue:
    """An event with its name masked; what names another span is left alone."""
    if not isinstance(entry, dict) or "name" not in entry:
        return entry
    return {**entry, "name": _masked_values(entry["name"], mark)}


def _masked_values(value: JsonValue, mark: Mark) -> JsonValue:
    found, values = redact_value(value, mark)
    return found if values else value
