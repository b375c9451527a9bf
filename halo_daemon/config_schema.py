"""The JSON Schema of the configuration file, for editors; read from the model."""

from collections.abc import Iterator
from typing import Any

from pydantic_core import to_jsonable_python

from halo_daemon.config import Config
from halo_daemon.config_keys import Model, is_secret, known_keys, section_of
from halo_daemon.quantities import TextForm

_REFERENCE: dict[str, Any] = {
    "type": "string",
    "pattern": r"^\$\{(env|file):[^}]+\}$",
    "description": "A value from the environment or a file.",
}


def config_schema() -> dict[str, Any]:
    """Describe every key with its sentence, its default and what it takes."""
    schema: dict[str, Any] = Config.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs")
    for model in _sections(Config):
        described = schema if model is Config else definitions[model.__name__]
        _finish(described, model)
    definitions["Reference"] = _REFERENCE
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "halo.config/v1",
        **schema,
        "$defs": definitions,
    }


def _sections(model: Model) -> Iterator[Model]:
    yield model
    for field in model.model_fields.values():
        section = section_of(field.annotation)
        if section is not None:
            yield from _sections(section)


def _finish(described: dict[str, Any], model: Model) -> None:
    """Write defaults as a file would, and let references stand for what is not plain text."""
    described.pop("title", None)
    for key, field in known_keys(model).items():
        value = described["properties"][key]
        value.pop("title", None)
        section = section_of(field.annotation)
        sentence = value.get("description") or (section and section.__doc__) or ""
        value["description"] = " ".join(sentence.split())
        if is_secret(field):
            value["x-secret"] = True
            value.pop("format", None)
        if not field.is_required():
            value["default"] = _default(field)
        is_restricted = {"pattern", "enum", "const"} & set(value) or value.get("type") != "string"
        if "type" in value and value["type"] not in {"array", "object"} and is_restricted:
            described["properties"][key] = _or_reference(value)


def _default(field: Any) -> Any:
    value = field.get_default(call_default_factory=True)
    form = next((item for item in field.metadata if isinstance(item, TextForm)), None)
    if form is not None:
        return form.format(value)
    return to_jsonable_python(value, by_alias=True, exclude_none=True)


def _or_reference(value: dict[str, Any]) -> dict[str, Any]:
    annotations = {"description", "default", "x-unit", "x-secret"}
    kept = {key: value[key] for key in value if key in annotations}
    itself = {key: value[key] for key in value if key not in annotations}
    return {**kept, "anyOf": [itself, {"$ref": "#/$defs/Reference"}]}
