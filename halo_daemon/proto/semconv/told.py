"""Events that tell what the attributes of their span could."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.plan import KeyPlan, plan_of

_EVENTS: Final = frozenset(name for convention in CONVENTIONS for name in convention.events)


class Told(NamedTuple):
    """What the events of one span tell; asked where its own attributes say nothing."""

    keys: KeyPlan
    attributes: JsonObject


def told_by(events: Sequence[JsonObject], gate: str) -> Told | None:
    """What those of *events* tell that count as attributes; None when there is none."""
    told: JsonObject = {}
    for event in events:
        attributes = event["attributes"]
        if event["name"] in _EVENTS and isinstance(attributes, dict):
            told |= attributes
    return Told(plan_of(told, gate), told) if told else None
