"""What a project states about its tools, optional: `contract.yaml`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from halo_daemon.proto.json_value import JsonObject


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Section):
    """A value in a result that means failure."""

    pointer: str
    """JSON pointer into the result, as in ``/status``."""

    in_: tuple[JsonValue, ...] = Field(alias="in")


class Requirement(_Section):
    """A tool that must have succeeded before."""

    tool: str
    same: str = ""
    """JSON pointer into the arguments that must be equal in both calls; ``""`` for any."""


class ToolContract(_Section):
    """What holds for one tool."""

    input_schema: dict[str, JsonValue] | None = None
    output_schema: dict[str, JsonValue] | None = None
    side_effecting: bool = False
    idempotent: bool = True
    polling: bool = False
    failure_when: tuple[Condition, ...] = ()
    requires: tuple[Requirement, ...] = ()


class OutcomeRule(_Section):
    """An attribute that says whether a trace failed."""

    attribute: str
    failed_below: float | None = None
    failed_when: tuple[JsonValue, ...] = ()


class GroupingWhen(_Section):
    """Which findings a grouping rule takes; empty fields take all."""

    rule: str = ""
    agent: str = ""
    tool: str = ""
    template: str = ""
    """Text that the template must contain."""


class Grouping(_Section):
    """A rule that puts findings together under one name."""

    when: GroupingWhen
    merge_as: str = Field(min_length=1, max_length=200)


class Ignore(_Section):
    """A finding that is accepted for a time."""

    finding: str
    until: str | None = None
    reason: str = ""


class Contract(_Section):
    """The whole file; every part may be left out."""

    version: Literal[1] = 1
    tools: dict[str, ToolContract] = Field(default_factory=dict)
    off_limits: tuple[str, ...] = ()
    """Hosts and path patterns, ``*`` for any characters, that must not be used as sources."""

    outcome: tuple[OutcomeRule, ...] = ()
    grouping: tuple[Grouping, ...] = ()
    ignore: tuple[Ignore, ...] = ()


NO_CONTRACT = Contract()


def contract_of(document: object) -> Contract:
    """
    Check a parsed contract file.

    Raises:
        ValueError: It is not a contract; the message names every mistake.
    """
    return Contract.model_validate(document or {})


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


def tool_contract(contract: Contract, name: str) -> ToolContract | None:
    """What is stated about the tool of that name; None when nothing is."""
    return contract.tools.get(name)


def schema_of(contract: Contract, name: str) -> JsonObject | None:
    """The stated schema of a tool's arguments; None when there is none."""
    stated = contract.tools.get(name)
    return dict(stated.input_schema) if stated and stated.input_schema else None
