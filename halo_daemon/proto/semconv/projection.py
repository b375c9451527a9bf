"""
What a span's attributes mean, written beside them.

Raw attributes stay as they were sent. After them come, in a fixed order, fields in
OpenInference's form that the client did not fill, the ``inference.*`` keys that every
line has, and the daemon's own remarks (``halo.*``).

Rule 1: only one model call carries ``inference.llm.*_tokens``; what other kinds report is
a total of their children and goes to ``halo.aggregate.*``, or sums would count twice.

Rule 2: input tokens include the cached ones.

Rule 3: projecting what was already projected changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from halo_daemon.proto.json_value import Attributes, JsonObject, JsonValue
from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.failures import judge_failure
from halo_daemon.proto.semconv.fills import fill_absent
from halo_daemon.proto.semconv.names import kind_by_name
from halo_daemon.proto.semconv.plan import Plan, answer, plan_of
from halo_daemon.proto.semconv.targets import (
    CLIENT_PREFIX,
    INGEST_WARNING,
    KIND,
    KIND_MIRROR,
    LLM,
    PROJECT,
    REMARKS,
    SCALARS,
    SCHEMA_VERSION,
    SPAN,
    TAIL,
    TAIL_SCALARS,
    TOKEN_KINDS,
    TOOL,
)
from halo_daemon.proto.separators import without_separators

REPLACED_SEPARATOR: Final = "replaced_separator"
SCHEMA: Final = 1

_MODEL = SCALARS.index(targets.MODEL)
_AGENT_NAME = SCALARS.index(targets.AGENT_NAME)
_AGENT_ID = SCALARS.index(targets.AGENT_ID)
_INPUT = SCALARS.index(targets.INPUT_TOKENS)
_OUTPUT = SCALARS.index(targets.OUTPUT_TOKENS)
_CACHED = SCALARS.index(targets.CACHED_TOKENS)
_CACHE_WRITE = SCALARS.index(targets.CACHE_WRITE_TOKENS)
_TOTAL = SCALARS.index(targets.TOTAL_TOKENS)
_INDEXED_NAMES = (_MODEL, _AGENT_NAME, _AGENT_ID)
_AGGREGATED = tuple((SCALARS.index(target), key) for target, key in targets.AGGREGATES.items())
_NOTHING: Final[list[JsonValue]] = [None] * len(SCALARS)


@dataclass(frozen=True, slots=True)
class ScopeContext:
    """What the spans of one instrumentation scope have in common."""

    project_slug: str = ""
    resource_attributes: Attributes = field(default_factory=dict)
    scope_name: str = ""


def project_span(fields: Mapping[str, Any], context: ScopeContext, repairs: list[str]) -> None:
    """
    Add to one span what its attributes mean.

    Args:
        fields: The line's object; ``attributes`` and ``status`` are changed in place,
            ``name``, ``kind`` and ``events`` are read.
        context: The scope that the span belongs to.
        repairs: What was repaired so far; added to, and written as the span's warnings.
    """
    attributes: JsonObject = fields["attributes"]
    plan = plan_of(attributes)
    kind = _kind(plan, attributes, fields["name"], context)
    values = _scalars(plan, attributes, kind)
    remarks: JsonObject = {}
    if plan.fills:
        fill_absent(plan, attributes, kind)
    if plan.failures or "events" in fields or kind == TOOL:
        judge_failure(fields, plan, kind, remarks)
    if not plan.has_kind_mirror and kind != SPAN:
        attributes[KIND_MIRROR] = kind
    if kind not in TOKEN_KINDS:
        _set_totals_apart(values, remarks)
    _clean_names(values, repairs)
    if plan.sends_tail:
        remarks |= _write_over_sent(attributes, (SCHEMA, context.project_slug, kind, *values))
    else:
        attributes[SCHEMA_VERSION] = SCHEMA
        attributes[PROJECT] = context.project_slug
        attributes[KIND] = kind
        attributes.update(zip(TAIL_SCALARS, values, strict=False))
    if repairs or remarks:
        _write_remarks(attributes, repairs, remarks)


def _kind(plan: Plan, attributes: JsonObject, name: str, context: ScopeContext) -> str:
    kind = answer(plan.kind, attributes, "")
    if kind is None:
        kind = kind_by_name(name, context.scope_name) or (LLM if plan.has_model else SPAN)
    return cast("str", kind)


def _scalars(plan: Plan, attributes: JsonObject, kind: str) -> list[JsonValue]:
    values = _NOTHING.copy()
    for position, sources in plan.scalars:
        for key, read, only, _ in sources:
            if only is None or kind in only:
                value = read(attributes[key])
                if value is not None:
                    values[position] = value
                    break
    if values[_CACHED] or values[_CACHE_WRITE]:
        _include_cached(plan, attributes, kind, values)
    if values[_AGENT_NAME] is None:
        values[_AGENT_NAME] = ""
    return values


def _include_cached(plan: Plan, attributes: JsonObject, kind: str, values: list[JsonValue]) -> None:
    """Make the input count include cached tokens, by whatever shows that it does not."""
    read, written, given, output, total = (
        cast("int", values[position] or 0)
        for position in (_CACHED, _CACHE_WRITE, _INPUT, _OUTPUT, _TOTAL)
    )
    cached = read + written
    if read > given or total == given + cached + output or _is_exclusive(plan, attributes, kind):
        values[_INPUT] = given + cached


def _is_exclusive(plan: Plan, attributes: JsonObject, kind: str) -> bool:
    """Whether the attribute that gave the input count is one that leaves cached ones out."""
    for position, sources in plan.scalars:
        if position == _INPUT:
            for source in sources:
                if answer((source,), attributes, kind) is not None:
                    return source.excludes_cache
    return False


def _set_totals_apart(values: list[JsonValue], remarks: JsonObject) -> None:
    for position, key in _AGGREGATED:
        if values[position] is not None:
            remarks[key] = values[position]
            values[position] = None


def _clean_names(values: list[JsonValue], repairs: list[str]) -> None:
    for position in _INDEXED_NAMES:
        name = values[position]
        if name and not cast("str", name).isascii():
            cleaned = without_separators(cast("str", name))
            if cleaned != name:
                values[position] = cleaned
                repairs.append(REPLACED_SEPARATOR)


def _write_over_sent(attributes: JsonObject, tail: tuple[JsonValue, ...]) -> JsonObject:
    """Write the keys of every line over those the client sent; what had to be replaced."""
    replaced: JsonObject = {}
    for key, value in zip(TAIL, tail, strict=False):
        sent = attributes.get(key)
        if sent is not None and (sent != value or type(sent) is not type(value)):
            replaced[CLIENT_PREFIX + key] = sent
        attributes[key] = value
    return replaced


def _write_remarks(attributes: JsonObject, repairs: list[str], remarks: JsonObject) -> None:
    if repairs:
        earlier = attributes.get(INGEST_WARNING)
        codes = [*earlier, *repairs] if isinstance(earlier, list) else repairs
        attributes[INGEST_WARNING] = list(dict.fromkeys(cast("list[str]", codes)))
    for key in REMARKS:
        if key in remarks:
            attributes[key] = remarks.pop(key)
    attributes.update(remarks)
