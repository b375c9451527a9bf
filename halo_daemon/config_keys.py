"""Which keys a configuration has: their kind, unit, default and sentence, read from the model."""

import difflib
import json
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from halo_daemon.config import Config
from halo_daemon.quantities import TextForm

Model = type[BaseModel]

# Texts that YAML reads back as they are, and those among them that it would type.
_PLAIN = re.compile(r"[A-Za-z0-9~/][A-Za-z0-9._/:~-]*(?<!:)")
_TYPED = re.compile(r"[0-9.]+|true|false|null|~", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Setting:
    """
    One key that holds a value.

    Attributes:
        key: Its path; ``[]`` stands for each entry of a list, ``<name>`` for a name that
            the operator chooses.

        kind: What it takes, in words.

        default: The default as a file would write it; empty where the key is required or
            the default is nothing.

        sentence: What it means.

        is_required: Whether the key must be there.

        is_secret: Whether its value is never shown.
    """

    key: str
    kind: str
    default: str
    sentence: str
    is_required: bool
    is_secret: bool


def file_key(name: str, field: FieldInfo) -> str:
    """The key in the file of the field *name*."""
    return field.alias or name


def known_keys(model: Model) -> dict[str, FieldInfo]:
    """The fields of *model* by their keys in the file, in the model's order."""
    return {file_key(name, field): field for name, field in model.model_fields.items()}


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which of *known* was meant, or which there are."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known here: {', '.join(names)}" if names else "none is known here"


def field_at(path: Iterable[str | int]) -> FieldInfo | None:
    """The innermost field on *path*, whose parts are keys and list indexes; None for none."""
    model: Model | None = Config
    field = None
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        found = known_keys(model).get(part)
        if found is not None:
            field, model = found, section_of(found.annotation)
    return field


def model_at(path: Iterable[str | int]) -> Model | None:
    """The section at *path*; None where there is none."""
    model: Model | None = Config
    field: FieldInfo | None = None
    for part in path:
        if isinstance(part, int) or (field is not None and _is_mapping(field.annotation)):
            field = None
            continue
        if model is None or (field := known_keys(model).get(part)) is None:
            return None
        model = section_of(field.annotation)
    return model


def section_of(annotation: Any) -> Model | None:
    """The model inside *annotation*, which may be a list or a mapping of it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (section_of(argument) for argument in get_args(annotation))
    return next(filter(None, inner), None)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is Mapping


def settings(model: Model = Config, prefix: str = "") -> Iterator[Setting]:
    """Every key that holds a value, in the model's order."""
    for key, field in known_keys(model).items():
        section = section_of(field.annotation)
        if section is None:
            yield _setting(prefix + key, field)
            continue
        if get_origin(field.annotation) is tuple:
            yield _setting(prefix + key, field)
            yield from settings(section, f"{prefix}{key}[].")
        elif _is_mapping(field.annotation):
            yield from settings(section, f"{prefix}{key}.<name>.")
        else:
            yield from settings(section, f"{prefix}{key}.")


def _setting(key: str, field: FieldInfo) -> Setting:
    return Setting(
        key=key,
        kind=kind_of(field.annotation, field.metadata),
        default="" if field.is_required() else render(_default(field), field),
        sentence=" ".join((field.description or "").split()),
        is_required=field.is_required(),
        is_secret=is_secret(field),
    )


def settings_at(key: str) -> list[Setting]:
    """
    The settings at *key* or below it; empty when there is no such key.

    List indexes and names that the operator chose may stand in *key*:
    ``analysis.schedule[0].cron``, ``notify.targets.ops.url``.
    """
    wanted = re.sub(r"\[[0-9]*\]", "[]", key)
    pattern = re.compile(
        r"(\[\])?\.".join(
            f"(<name>|{re.escape(part)})(\\[\\])?" for part in wanted.replace("[]", "").split(".")
        )
        + r"(\..*)?"
    )
    return [setting for setting in settings() if pattern.fullmatch(setting.key)]


def flat_values(config: Config) -> dict[str, str]:
    """Every effective value by its key, as a file would write it; secrets masked."""
    plain = config.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dict(_flat(plain, ""))


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _flat(item, f"{key}[{index}]")
    else:
        yield key, render(tuple(value) if isinstance(value, list) else value)


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's value must never be shown."""
    return _holds(field.annotation, SecretStr)


def _holds(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_holds(part, wanted) for part in get_args(annotation))


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def render(value: object, field: FieldInfo | None = None) -> str:
    """Write *value* in one line, as YAML would read it back; nothing for None."""
    form = _form_of(field.annotation, field.metadata) if field is not None else None
    if form is not None and value is not None:
        return form.format(value)
    if isinstance(value, BaseModel):
        given = (
            f"{key}: {text}"
            for key, inner in known_keys(type(value)).items()
            if (text := render(getattr(value, _name(type(value), key)), inner))
        )
        return f"{{ {', '.join(given)} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(render(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {render(item)}' for key, item in value.items())}}}"
    return _render_scalar(value)


def _render_scalar(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    is_plain = not isinstance(value, (str, Path)) or (
        _PLAIN.fullmatch(text) is not None and _TYPED.fullmatch(text) is None
    )
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    """Write *text* in double quotes, with YAML's escapes for what does not print."""
    return "".join(
        character if character.isprintable() else f"\\U{ord(character):08x}"
        for character in json.dumps(text, ensure_ascii=False)
    )


def _name(model: Model, key: str) -> str:
    return next(name for name, field in model.model_fields.items() if file_key(name, field) == key)


def _form(metadata: Iterable[object]) -> TextForm | None:
    return next((item for item in metadata if isinstance(item, TextForm)), None)


def _form_of(annotation: Any, metadata: Iterable[object] = ()) -> TextForm | None:
    """The form of a field's texts, also where the field may be nothing instead."""
    form = _form(metadata)
    if form is None and hasattr(annotation, "__metadata__"):
        return _form(annotation.__metadata__)
    if form is None and get_origin(annotation) in {Union, types.UnionType}:
        return next(filter(None, map(_form_of, get_args(annotation))), None)
    return form


def kind_of(annotation: Any, metadata: Iterable[object] = ()) -> str:
    """Say in words what a field takes."""
    constraints = list(metadata)
    form = _form(constraints)
    if form is not None:
        return " or ".join((form.kind, *(f"`{word}`" for word in form.words)))
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{word}`" for word in arguments)
    if origin is tuple:
        return f"list of: {kind_of(arguments[0])}"
    if origin in {Union, types.UnionType}:
        return kind_of(arguments[0])
    if hasattr(annotation, "__metadata__"):
        return kind_of(arguments[0], annotation.__metadata__)
    return _scalar_kind(annotation, constraints)


def _scalar_kind(annotation: Any, constraints: list[object]) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    if annotation is int:
        least = next(
            (item.ge for item in constraints if isinstance(item, annotated_types.Ge)), None
        )
        most = next((item.le for item in constraints if isinstance(item, annotated_types.Le)), None)
        return f"whole number, {least} to {most:,}" if most is not None else "whole number"
    return {bool: "`true` or `false`", Path: "path", SecretStr: "secret text"}.get(
        annotation, "text"
    )
