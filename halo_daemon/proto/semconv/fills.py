"""Fields in the common form, written where the client sent none."""

from collections.abc import Mapping
from typing import Any, Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.events import fields_of_events, is_any_cut
from halo_daemon.proto.semconv.listed import write_documents, write_tools
from halo_daemon.proto.semconv.message_keys import write_messages
from halo_daemon.proto.semconv.names import name_in_name
from halo_daemon.proto.semconv.plan import Plan, answer
from halo_daemon.proto.semconv.readers import is_cut
from halo_daemon.proto.semconv.targets import (
    DOCUMENTS,
    FILLED,
    INPUT_MESSAGES,
    INSTRUCTIONS,
    LISTS,
    NAMED_BY_SPAN,
    OUTPUT_MESSAGES,
    TOOL,
    TOOL_NAME,
    TOOLS,
    TRUNCATED,
)
from halo_daemon.proto.semconv.told import Told

_MESSAGES: Final = frozenset({INPUT_MESSAGES, OUTPUT_MESSAGES})


def fill_absent(
    fields: Mapping[str, Any],
    plan: Plan,
    kind: str,
    remarks: JsonObject,
    *,
    scope_name: str,
    told: Told | None,
) -> None:
    """
    Write the fields that the span lacks and other attributes, its events or its name answer.

    Args:
        fields: The span; ``attributes`` is added to.
        plan: The plan of its attributes as they were sent.
        kind: Its observation kind.
        remarks: The daemon's remarks; ``halo.truncated`` is added where JSON arrived cut.
        scope_name: Its instrumentation scope.
        told: What its events tell in place of attributes.
    """
    attributes: JsonObject = fields["attributes"]
    if not plan.lacks_tool_name and "events" not in fields and INSTRUCTIONS not in plan.other:
        # Most spans have nothing but attributes to ask, and those stand in order.
        for target, value in _answers(plan, attributes, remarks):
            _write(attributes, target, value)
        return
    found = dict(_answers(plan, attributes, remarks))
    events: list[JsonObject] = fields.get("events", [])
    if events:
        found = fields_of_events(events, kind) | found
        if told is not None:
            found = _told_fields(told.keys.on(kind), told.attributes, remarks) | found
        if is_any_cut(events):
            remarks[TRUNCATED] = True
    if plan.lacks_tool_name and TOOL_NAME not in found:
        name = fields["name"]
        is_named = answer(plan.other.get(NAMED_BY_SPAN, ()), attributes) is not None
        found[TOOL_NAME] = (name if is_named else name_in_name(name, scope_name, TOOL)) or None
    if INSTRUCTIONS in plan.other and INPUT_MESSAGES not in plan.sent:
        _prepend_instructions(plan, attributes, found)
    for target in FILLED:
        value = found.get(target)
        if value is not None and target not in plan.sent:
            _write(attributes, target, value)


def _answers(
    plan: Plan, attributes: JsonObject, remarks: JsonObject
) -> list[tuple[str, JsonValue]]:
    """What the attributes answer, in the order in which it is written."""
    found: list[tuple[str, JsonValue]] = []
    for target, sources in plan.fills:
        value = answer(sources, attributes)
        if value is not None:
            found.append((target, value))
        # What was read into a list was whole.
        if not isinstance(value, list) and any(
            is_cut(attributes.get(source.key)) for source in sources
        ):
            remarks[TRUNCATED] = True
    return found


def _told_fields(plan: Plan, told: JsonObject, remarks: JsonObject) -> dict[str, JsonValue]:
    """What events answer as attributes do, under the name of the field itself as well."""
    found = dict(_answers(plan, told, remarks))
    if INSTRUCTIONS in plan.other:
        _prepend_instructions(plan, told, found)
    return found | {
        target: told[target] for target in FILLED if target in told and target not in LISTS
    }


def _prepend_instructions(plan: Plan, attributes: JsonObject, found: dict[str, JsonValue]) -> None:
    instructions = answer(plan.other[INSTRUCTIONS], attributes)
    messages = found.get(INPUT_MESSAGES)
    if not isinstance(instructions, list):
        return
    if not isinstance(messages, list):
        messages = []
    if not any(isinstance(item, dict) and item.get("role") == "system" for item in messages[:1]):
        found[INPUT_MESSAGES] = [*instructions, *messages]


def _write(attributes: JsonObject, target: str, value: JsonValue) -> None:
    if target in _MESSAGES:
        write_messages(attributes, target, value)
    elif target == TOOLS:
        write_tools(attributes, value)
    elif target == DOCUMENTS:
        write_documents(attributes, value)
    else:
        attributes[target] = value
