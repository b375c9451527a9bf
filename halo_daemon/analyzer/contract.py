"""
What a project states about its tools, optional: `contract.yaml`.

Every process of the miner has it, so it is plain; `contract_file` reads and checks it.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from halo_daemon.proto.json_value import JsonObject, JsonValue

_MAX_NAME_CHARS = 200


class _Section:
    """How a section is read: a key that no field has is a mistake, ``in`` is no name here."""

    __slots__ = ()
    __pydantic_config__: ClassVar = {
        "extra": "forbid",
        "alias_generator": lambda name: name.rstrip("_"),
    }


@dataclass(frozen=True, slots=True)
class Condition(_Section):
    """A value in a result that means failure."""

    pointer: str
    """JSON pointer into the result, as in ``/status``."""

    in_: tuple[Any, ...]
    """``in`` in the file."""


@dataclass(frozen=True, slots=True)
class Requirement(_Section):
    """A tool that must have succeeded before."""

    tool: str
    same: str = ""
    """JSON pointer into the arguments that must be equal in both calls; ``""`` for any."""


@dataclass(frozen=True, slots=True)
class ToolContract(_Section):
    """What holds for one tool."""

    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    side_effecting: bool = False
    idempotent: bool = True
    polling: bool = False
    failure_when: tuple[Condition, ...] = ()
    requires: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class OutcomeRule(_Section):
    """An attribute that says whether a trace failed."""

    attribute: str
    failed_below: float | None = None
    failed_when: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupingWhen(_Section):
    """Which findings a grouping rule takes; empty fields take all."""

    rule: str = ""
    agent: str = ""
    tool: str = ""
    template: str = ""
    """Text that the template must contain."""


@dataclass(frozen=True, slots=True)
class Grouping(_Section):
    """A rule that puts findings together under one name."""

    when: GroupingWhen
    merge_as: str
    """1 to 200 characters."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.merge_as) <= _MAX_NAME_CHARS:
            raise ValueError(f"`merge_as` has 1 to {_MAX_NAME_CHARS} characters")


@dataclass(frozen=True, slots=True)
class Ignore(_Section):
    """A finding that is accepted for a time."""

    finding: str
    until: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Contract(_Section):
    """The whole file; every part may be left out."""

    version: Literal[1] = 1
    tools: dict[str, ToolContract] = field(default_factory=dict)
    off_limits: tuple[str, ...] = ()
    """Hosts and path patterns, ``*`` for any characters, that must not be used as sources."""

    outcome: tuple[OutcomeRule, ...] = ()
    grouping: tuple[Grouping, ...] = ()
    ignore: tuple[Ignore, ...] = ()


NO_CONTRACT = Contract()


def at_pointer(value: JsonValue, pointer: str) -> JsonValue:
    """The value at a JSON pointer; None when there is none."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def schema_of(contract: Contract, name: str) -> JsonObject | None:
    """The stated schema of a tool's arguments; None when there is none."""
    stated = contract.tools.get(name)
    return dict(stated.input_schema) if stated and stated.input_schema else None
