"""
Projecting a stored line anew, with the mapping as it is now.

The raw attributes of a line stand first and are kept. The keys that every line has, and
the daemon's remarks after them, are worked out again; what an earlier mapping knew and
today's does not is kept. A field in OpenInference's form that is there is never written
over: it cannot be told from one that the client sent.

Rule 1: with the mapping that wrote the line, nothing changes.

Rule 2: doing it twice is doing it once.
"""

from typing import Final, cast

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.projection import ScopeContext, project_span
from halo_daemon.proto.semconv.targets import (
    AGGREGATES,
    INGEST_WARNING,
    KIND,
    PROJECT,
    SCALARS,
    SCHEMA_VERSION,
    SPAN,
    TAIL,
    TOKEN_KINDS,
)

_REMARK_PREFIX: Final = "halo."


def project_fields(fields: JsonObject) -> JsonObject:
    """
    Project the object of one stored line anew.

    Args:
        fields: The line's object; not changed.

    Returns:
        A new object, equal to *fields* when the mapping has nothing new to say.

    Raises:
        KeyError, TypeError, AttributeError, ValueError: *fields* is not a canonical span.
    """
    stored = cast("JsonObject", fields["attributes"])
    raw, tail, remarks = _parts(stored)
    context = ScopeContext(
        project_slug=cast("str", stored[PROJECT]),
        scope_name=cast("str", _object(fields["scope"])["name"]),
        is_stored=True,
    )
    projected: JsonObject = {
        **fields,
        "status": dict(_object(fields["status"])),
        "attributes": raw,
    }
    warnings = remarks.pop(INGEST_WARNING, [])
    repairs = [str(code) for code in warnings] if isinstance(warnings, list) else []
    totals = [key for key in AGGREGATES.values() if key in remarks]
    written = project_span(projected, context, repairs, remarks)
    _keep_known(raw, tail, written, totals)
    return projected


def _parts(stored: JsonObject) -> tuple[JsonObject, JsonObject, JsonObject]:
    """The raw attributes, the keys of every line, and the remarks; the last two may be empty.

    They are told apart by their place: a client that sent such keys itself sent them
    earlier, and then all stay where they are.
    """
    keys = list(stored)
    start = keys.index(SCHEMA_VERSION)
    end = start + len(TAIL)
    if tuple(keys[start:end]) != TAIL or not all(
        key.startswith(_REMARK_PREFIX) for key in keys[end:]
    ):
        return dict(stored), {}, {}
    return (
        {key: stored[key] for key in keys[:start]},
        {key: stored[key] for key in TAIL},
        {key: stored[key] for key in keys[end:]},
    )


def _keep_known(
    attributes: JsonObject, tail: JsonObject, written: JsonObject, totals: list[str]
) -> None:
    """Keep what the line knew and the mapping of today does not; *totals* were remarked."""
    if tail and written[KIND] == SPAN != tail[KIND]:
        attributes[KIND] = written[KIND] = tail[KIND]
    for key in SCALARS:
        is_usage = key in AGGREGATES
        if is_usage and written[KIND] not in TOKEN_KINDS:
            continue
        if tail.get(key) and not written[key]:
            attributes[key] = tail[key]
        if is_usage and attributes[key] is not None and AGGREGATES[key] in totals:
            # A model call's own usage is no total of others.
            attributes.pop(AGGREGATES[key], None)


def _object(value: JsonValue) -> JsonObject:
    return cast("JsonObject", value)
