"""Fields that are lists: tools that a model was offered, documents that were retrieved."""

from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.readers import (
    NUMBER,
    TEXT,
    Reader,
    as_text,
    at,
    compact_json,
    holding,
    parsed,
)

MAX_LISTED: Final = 10_001
"""Items written for one field; the rest stays in the raw attribute."""

_SCORE_PARTS: Final = frozenset({"score", "label", "explanation"})
_DECLARATIONS: Final = ("functionDeclarations", "function_declarations")
_DOCUMENT_KEYS: Final = {
    "id": ("id", "document_id", "doc_id", "id_"),
    "content": ("content", "page_content", "pageContent", "text", "document"),
    "score": ("score", "similarity", "relevance_score", "distance"),
    "metadata": ("metadata",),
}


def write_tools(attributes: JsonObject, tools: JsonValue) -> None:
    """Write each tool's definition as a JSON schema, in OpenInference's form."""
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        attributes[f"llm.tools.{index}.tool.json_schema"] = tool


def write_documents(attributes: JsonObject, documents: JsonValue) -> None:
    """Write each document's fields, in OpenInference's form."""
    for index, document in enumerate(documents if isinstance(documents, list) else ()):
        for name, value in document.items() if isinstance(document, dict) else ():
            attributes[f"retrieval.documents.{index}.document.{name}"] = value


def _tools(value: JsonValue) -> JsonValue:
    """Definitions of tools as JSON, from a list of objects, JSON strings, or both nested."""
    value = parsed(value)
    if isinstance(value, dict):
        value = _first_list(value, ("function_tools", "tools", *_DECLARATIONS)) or [value]
    found: list[JsonValue] = []
    for item in value[:MAX_LISTED] if isinstance(value, list) else ():
        declared = _first_list(item, _DECLARATIONS) if isinstance(item, dict) else None
        if declared is not None:
            found += [compact_json(one) for one in declared]
        elif isinstance(item, dict):
            found.append(compact_json(item))
        elif isinstance(item, str) and item:
            found.append(item)
    return found[:MAX_LISTED] or None


def _first_list(fields: JsonObject, keys: tuple[str, ...]) -> list[JsonValue] | None:
    return next((found for key in keys if isinstance(found := fields.get(key), list)), None)


def _flat_tools(value: JsonValue) -> JsonValue:
    """The same from flat keys ``N.name``, ``N.description``, ``N.parameters``."""
    tools: dict[int, JsonObject] = {}
    for key, field in value.items() if isinstance(value, dict) else ():
        number, _, name = key.partition(".")
        if name and number.isascii() and number.isdigit() and len(number) < len(str(2**32)):
            schema = parsed(field) if name in {"parameters", "input_schema"} else None
            tools.setdefault(int(number), {})[name] = field if schema is None else schema
    return [compact_json(tools[number]) for number in sorted(tools)[:MAX_LISTED]] or None


def _documents(value: JsonValue) -> JsonValue:
    found = parsed(value)
    if isinstance(found, dict):
        found = found.get("documents", found.get("results"))
    return listed_documents(found if isinstance(found, list) else []) or None


def listed_documents(items: list[JsonValue]) -> list[JsonValue]:
    """Read each item as a document, under the names of OpenInference; empty ones are left out."""
    documents: list[JsonValue] = [_document(item) for item in items[:MAX_LISTED]]
    return [document for document in documents if document]


def _document(item: JsonValue) -> JsonObject:
    if isinstance(item, str):
        return {"content": item} if item else {}
    if not isinstance(item, dict):
        return {}
    if isinstance(node := item.get("node"), dict):
        # LlamaIndex's document with its score beside it.
        item = {**node, **item}
    document: JsonObject = {}
    for name, keys in _DOCUMENT_KEYS.items():
        value = next((item[key] for key in keys if item.get(key) is not None), None)
        if isinstance(value, int | float) and name == "score":
            document[name] = value
        elif value is not None:
            document[name] = as_text(value)
    return document


def _first_pair(value: JsonValue) -> tuple[str, float] | None:
    found = parsed(value)
    for name, score in found.items() if isinstance(found, dict) else ():
        if isinstance(score, int | float) and not isinstance(score, bool):
            return name, score
    return None


def _first_name(value: JsonValue) -> JsonValue:
    pair = _first_pair(value)
    return pair and pair[0]


def _first_number(value: JsonValue) -> JsonValue:
    pair = _first_pair(value)
    return None if pair is None else pair[1]


def _named_scores(value: JsonValue) -> tuple[str, JsonObject]:
    """The first evaluation of flat keys ``NAME.label``, ``NAME.score``, and its fields."""
    found: dict[str, JsonObject] = {}
    for key, field in value.items() if isinstance(value, dict) else ():
        name, _, part = key.rpartition(".")
        if name and part in _SCORE_PARTS and field is not None:
            found.setdefault(name, {})[part] = field
    return next(
        ((name, parts) for name, parts in found.items() if parts.keys() - {"explanation"}), ("", {})
    )


def _score_name(value: JsonValue) -> JsonValue:
    return _named_scores(value)[0] or None


def _of_named_score(part: str, reader: Reader) -> Reader:
    def read(value: JsonValue) -> JsonValue:
        return reader.read(_named_scores(value)[1].get(part))

    return Reader(read, f"flat keys `NAME.{part}`")


NAMED_SCORE: Final[dict[str, Reader]] = {
    "name": Reader(_score_name, "flat keys, `NAME` of `NAME.score` or `NAME.label`"),
    "score": _of_named_score("score", NUMBER),
    "label": _of_named_score("label", TEXT),
    "explanation": _of_named_score("explanation", TEXT),
}
"""The first of the evaluations whose names stand in the keys, by part."""

FIRST_NAME = Reader(_first_name, "the first name of a JSON object of numbers")
FIRST_NUMBER = Reader(_first_number, "the first number of a JSON object of numbers")
TOOL_LIST = Reader(_tools, "list of definitions, structured or JSON")
REQUEST_TOOLS: Final[Reader] = holding(('"tools"',), at("tools", TOOL_LIST))
FLAT_TOOLS = Reader(_flat_tools, "flat keys `N.name`, `N.description`, `N.parameters`")
DOCUMENT_LIST = Reader(_documents, "list of documents, structured or JSON")
