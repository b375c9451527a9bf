"""
The arguments of a tool call, as models write them.

Text around the JSON, a code fence, an object written twice over as a string
are understood. What is wrong otherwise is told with its place, what was
expected and what was found.
"""

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.proto.json_value import JsonObject, JsonValue

_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)
_MAX_SHOWN_CHARS = 120
_MAX_PROBLEMS = 8

Arguments = TypeVar("Arguments", bound="ToolArguments")


class Fields(BaseModel):
    """An object inside arguments; ``null`` stands for a field that is not given."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in value.items() if item is not None}


class ToolArguments(Fields):
    """
    What every tool's arguments share; unknown keys are ignored and named in the answer.

    A subclass's docstring is the tool's description, its fields' docstrings
    describe the parameters.
    """


def read_arguments(text: str) -> JsonObject:
    """
    The object that *text* means; empty text and ``null`` mean ``{}``.

    Raises:
        EngineToolError: *text* is no JSON object.
    """
    fenced = _FENCE.match(text)
    value = _first_value(fenced[1] if fenced else text)
    if isinstance(value, str):
        value = _first_value(value)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EngineToolError(
            f"cannot read the arguments: expected a JSON object, found {_kind(value)}",
            hint='send one object, such as {"trace_id": "…"}',
            retryable=True,
        )
    return value


def _first_value(text: str) -> JsonValue:
    stripped = text.strip()
    if not stripped:
        return None
    try:
        value: JsonValue = json.JSONDecoder().raw_decode(stripped)[0]
    except (json.JSONDecodeError, RecursionError) as exc:
        place = getattr(exc, "pos", 0)
        raise EngineToolError(
            f"cannot read the arguments: not JSON at character {place}: "
            f"`{stripped[place : place + 40]}`",
            hint="send one JSON object with double quotes and no text around it",
            retryable=True,
        ) from exc
    return value


def validate(model: type[Arguments], fields: JsonObject) -> tuple[Arguments, list[str]]:
    """
    Check *fields* against *model*.

    Returns:
        The arguments, and the keys that were ignored, in order of appearance.

    Raises:
        EngineToolError: A field is missing, of another type or out of range; every
            problem is told with its path, up to eight.
    """
    known = {*model.model_fields}
    try:
        return model.model_validate(fields), [key for key in fields if key not in known]
    except ValidationError as exc:
        problems = [_problem(error) for error in exc.errors(include_url=False)[:_MAX_PROBLEMS]]
        raise EngineToolError(
            f"cannot use the arguments: {'; '.join(problems)}",
            hint=f"fields: {', '.join(sorted(known)) or 'none'}",
            retryable=True,
        ) from exc


def _problem(error: Any) -> str:
    path = "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]
    )
    if error["type"] == "missing":
        return f"{path}: required, and missing"
    shown = json.dumps(error["input"], ensure_ascii=False, default=str)[:_MAX_SHOWN_CHARS]
    message = error["msg"][:1].lower() + error["msg"][1:]
    return f"{path}: {message}, found {shown}"


def _kind(value: JsonValue) -> str:
    kinds = {list: "a list", str: "a string", bool: "a boolean", int: "a number"}
    return kinds.get(type(value), "a number")
