"""Fields in OpenInference's form, written where the client sent none."""

from typing import cast

from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.semconv.messages import write_messages
from halo_daemon.proto.semconv.plan import Plan, answer
from halo_daemon.proto.semconv.targets import INPUT_MESSAGES, OUTPUT_MESSAGES

_MESSAGES = frozenset({INPUT_MESSAGES, OUTPUT_MESSAGES})


def fill_absent(plan: Plan, attributes: JsonObject, kind: str) -> None:
    """Write the fields that the span lacks and other attributes of it answer."""
    for target, sources in plan.fills:
        value = answer(sources, attributes, kind)
        if value is None:
            continue
        if target in _MESSAGES:
            write_messages(attributes, target, cast("list[JsonObject]", value))
        else:
            attributes[target] = value
