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
from functools import lru_cache
from typing import Any, Final, cast

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.failures import judge_failure
from halo_daemon.proto.semconv.fills import fill_absent
from halo_daemon.proto.semconv.may_tell import may_tell
from halo_daemon.proto.semconv.names import kind_by_name, name_in_name, only_prepares
from halo_daemon.proto.semconv.plan import KeyPlan, Plan, answer, gate_of, plan_of
from halo_daemon.proto.semconv.readers import is_cut
from halo_daemon.proto.semconv.targets import (
    AGENT,
    AGENT_NAME,
    AGGREGATES,
    CACHE_WRITE_TOKENS,
    CACHED_TOKENS,
    CHAIN,
    CLIENT_PREFIX,
    COST,
    INGEST_WARNING,
    INPUT_COST,
    INPUT_TOKENS,
    KIND,
    KIND_MIRROR,
    KINDS,
    LLM,
    MODEL,
    NAMED_BY_SPAN,
    NAMES,
    OUTPUT_COST,
    OUTPUT_TOKENS,
    OUTPUT_VALUE,
    PROJECT,
    REMARKS,
    REQUEST_MODEL,
    SCALARS,
    SCHEMA_VERSION,
    SPAN,
    TAIL,
    TOKEN_KINDS,
    TOOL,
    TOTAL_TOKENS,
    TRUNCATED,
    VALUES,
)
from halo_daemon.proto.semconv.told import Told, told_by
from halo_daemon.proto.semconv.told_apart import complete_messages, leaves_out
from halo_daemon.proto.separators import without_separators

REPLACED_SEPARATOR: Final = "replaced_separator"
SCHEMA: Final = 1
_MAX_PROJECTS: Final = 1024
"""Projects whose tails are remembered."""


@dataclass(frozen=True, slots=True)
class ScopeContext:
    """What the spans of one instrumentation scope have in common."""

    project_slug: str = ""
    scope_name: str = ""
    is_stored: bool = False
    """Whether the spans come from a shard and not from a sender."""
    gate: str = field(init=False, repr=False)
    """Which attributes count only because the scope is this one (`plan.gate_of`)."""
    tails: dict[str, JsonObject] = field(init=False, repr=False)
    """By kind: the keys of every line with no more known than that; not to be changed."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gate", gate_of(self.scope_name))
        object.__setattr__(self, "tails", _tails(self.project_slug))


@lru_cache(maxsize=_MAX_PROJECTS)
def _tails(project_slug: str) -> dict[str, JsonObject]:
    known: JsonObject = {SCHEMA_VERSION: SCHEMA, PROJECT: project_slug, AGENT_NAME: ""}
    return {kind: dict.fromkeys(TAIL) | known | {KIND: kind} for kind in KINDS}


def project_span(
    fields: Mapping[str, Any],
    context: ScopeContext,
    repairs: list[str],
    remarks: JsonObject | None = None,
) -> JsonObject:
    """
    Add to one span what its attributes mean.

    Args:
        fields: The line's object; ``attributes`` and ``status`` are changed in place,
            ``name``, ``kind`` and ``events`` are read.
        context: The scope that the span belongs to.
        repairs: What was repaired so far; added to, and written as the span's warnings.
        remarks: What was remarked when the span was first written; added to.

    Returns:
        The keys of every line, as they were written; there may be others beside them.
    """
    attributes: JsonObject = fields["attributes"]
    name = fields["name"]
    scope_name = context.scope_name
    keys = plan_of(attributes, context.gate)
    plan = keys.by_answer(attributes) or keys.on(_kind(keys, attributes, name, scope_name))
    told = told_by(fields["events"], context.gate) if "events" in fields else None
    if told is not None and plan.kind == SPAN:
        plan = keys.on(_kind(told.keys, told.attributes, name, scope_name))
    if plan.kind == LLM and only_prepares(name):
        plan = keys.on(CHAIN)
    kind = plan.kind
    remarks = {} if remarks is None else remarks
    _complete(fields, plan, context, remarks, told=told)
    tail = context.tails[kind]
    if keys.sends_tail:
        tail = tail.copy()
    else:
        # Nothing of it was sent, so it can stand where it belongs from the start.
        attributes |= tail
        tail = attributes
    if plan.scalars:
        _read_scalars(plan, attributes, tail)
    if told is not None:
        _read_told(told.keys.on(kind), told.attributes, attributes, tail)
    if plan.has_usage or told is not None:
        _settle_usage(plan, attributes, kind, tail, remarks=remarks)
    if plan.has_names or told is not None:
        _settle_names(plan, attributes, name, scope_name, tail=tail, repairs=repairs)
    if tail is not attributes:
        remarks |= _replaced(attributes, tail)
        attributes |= tail
    if repairs or remarks:
        _write_remarks(attributes, repairs, remarks)
    return tail


def _complete(
    fields: Mapping[str, Any],
    plan: Plan,
    context: ScopeContext,
    remarks: JsonObject,
    *,
    told: Told | None,
) -> None:
    """Write the fields in OpenInference's form that were not sent, and judge the outcome."""
    attributes: JsonObject = fields["attributes"]
    kind = plan.kind
    has_events = "events" in fields
    if plan.fills or has_events or plan.lacks_tool_name:
        fill_absent(fields, plan, kind, remarks, scope_name=context.scope_name, told=told)
    if kind == LLM and leaves_out(context.scope_name):
        complete_messages(attributes)
    if plan.failures or has_events or (kind == TOOL and may_tell(attributes.get(OUTPUT_VALUE))):
        judge_failure(fields, plan, kind, remarks, is_stored=context.is_stored)
    # Looked at when all is filled, so that a stored line reads the same.
    for key in plan.values if not has_events else VALUES:
        if is_cut(attributes.get(key)):
            remarks[TRUNCATED] = True
    if plan.mirrors_kind:
        attributes[KIND_MIRROR] = kind


def _read_scalars(plan: Plan, attributes: JsonObject, tail: JsonObject) -> None:
    # What most attributes hold is looked at here: calling a reader costs more than all else.
    for target, key in plan.texts:
        text = attributes[key]
        if type(text) is str and text:
            tail[target] = text
        else:
            _set(tail, target, answer(plan.scalars[target], attributes))
    for target, key in plan.counts:
        count = attributes[key]
        if type(count) is int and count >= 0:
            tail[target] = count
        else:
            _set(tail, target, answer(plan.scalars[target], attributes))
    for target in plan.others:
        _set(tail, target, answer(plan.scalars[target], attributes))


def _read_told(plan: Plan, told: JsonObject, attributes: JsonObject, tail: JsonObject) -> None:
    """Write what the events tell where the attributes said nothing."""
    found: JsonObject = dict.fromkeys(SCALARS)
    _read_scalars(plan, told, found)
    _complete_usage(plan, told, found)
    if tail[MODEL] == attributes.get(REQUEST_MODEL) and found[MODEL] != told.get(REQUEST_MODEL):
        # The model that served stands before the one that was asked for, wherever told.
        _set(tail, MODEL, found[MODEL])
    for target, value in found.items():
        if tail[target] is None or tail[target] == "":
            _set(tail, target, value)


def _set(tail: JsonObject, target: str, value: JsonValue) -> None:
    if value is not None:
        tail[target] = value


def _kind(keys: KeyPlan, attributes: JsonObject, name: str, scope_name: str) -> str:
    kind = answer(keys.kind, attributes) if keys.kind else None
    if kind is None:
        kind = kind_by_name(name, scope_name)
    if kind is None and keys.weak_kind:
        kind = answer(keys.weak_kind, attributes)
    if kind is None:
        kind = LLM if keys.model and answer(keys.model, attributes) is not None else SPAN
    return cast("str", kind)


def _settle_names(
    plan: Plan,
    attributes: JsonObject,
    name: str,
    scope_name: str,
    *,
    tail: JsonObject,
    repairs: list[str],
) -> None:
    if tail[KIND] == AGENT and not tail[AGENT_NAME]:
        is_named = _other(plan, NAMED_BY_SPAN, attributes) is not None
        tail[AGENT_NAME] = name if is_named else name_in_name(name, scope_name, AGENT)
    for target in NAMES:
        found = tail[target]
        if isinstance(found, str) and not found.isascii():
            cleaned = without_separators(found)
            if cleaned != found:
                tail[target] = cleaned
                repairs.append(REPLACED_SEPARATOR)


def _settle_usage(
    plan: Plan, attributes: JsonObject, kind: str, tail: JsonObject, *, remarks: JsonObject
) -> None:
    _complete_usage(plan, attributes, tail)
    if kind not in TOKEN_KINDS:
        _set_totals_apart(tail, remarks)


def _complete_usage(plan: Plan, attributes: JsonObject, tail: JsonObject) -> None:
    if plan.has_cache_counts:
        _include_cached(plan, attributes, tail)
    if plan.has_part_costs:
        _add_up_costs(plan, attributes, tail)


def _include_cached(plan: Plan, attributes: JsonObject, tail: JsonObject) -> None:
    """Make the input count include cached tokens, by whatever shows that it does not."""
    read = cast("int", tail[CACHED_TOKENS] or 0)
    written = cast("int", _other(plan, CACHE_WRITE_TOKENS, attributes) or 0)
    total = _other(plan, TOTAL_TOKENS, attributes)
    given = cast("int", tail[INPUT_TOKENS] or 0)
    output = cast("int", tail[OUTPUT_TOKENS] or 0)
    cached = read + written
    if cached and (
        read > given or total == given + cached + output or _is_exclusive(plan, attributes)
    ):
        tail[INPUT_TOKENS] = given + cached


def _is_exclusive(plan: Plan, attributes: JsonObject) -> bool:
    """Whether the attribute that gave the input count is one that leaves cached ones out."""
    for source in plan.scalars.get(INPUT_TOKENS, ()):
        if answer((source,), attributes) is not None:
            return source.excludes_cache
    return False


def _add_up_costs(plan: Plan, attributes: JsonObject, tail: JsonObject) -> None:
    parts = [_other(plan, target, attributes) for target in (INPUT_COST, OUTPUT_COST)]
    known = [part for part in parts if isinstance(part, int | float)]
    if known and tail[COST] is None:
        tail[COST] = sum(known)


def _other(plan: Plan, target: str, attributes: JsonObject) -> JsonValue:
    return answer(plan.other.get(target, ()), attributes)


def _set_totals_apart(tail: JsonObject, remarks: JsonObject) -> None:
    for target, key in AGGREGATES.items():
        if tail[target] is not None:
            remarks[key] = tail[target]
            tail[target] = None


def _replaced(attributes: JsonObject, own: JsonObject) -> JsonObject:
    """What the client sent under the daemon's own keys, where the daemon says otherwise."""
    replaced: JsonObject = {}
    for key, value in own.items():
        sent = attributes.get(key)
        if sent is not None and (sent != value or type(sent) is not type(value)):
            replaced[CLIENT_PREFIX + key] = sent
    return replaced


def _write_remarks(attributes: JsonObject, repairs: list[str], remarks: JsonObject) -> None:
    own = {key: remarks.pop(key) for key in REMARKS if key in remarks}
    remarks = _replaced(attributes, own) | remarks
    if repairs:
        earlier = attributes.get(INGEST_WARNING)
        known = earlier if isinstance(earlier, list) else []
        if earlier is not None and not (known and all(isinstance(code, str) for code in known)):
            remarks.setdefault(CLIENT_PREFIX + INGEST_WARNING, earlier)
        codes = [code for code in known if isinstance(code, str)]
        attributes[INGEST_WARNING] = [*dict.fromkeys([*codes, *repairs])]
    attributes |= own
    attributes |= remarks
