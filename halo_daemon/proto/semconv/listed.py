"""Fields that are lists: tools that a model was offered, documents that were retrieved."""

from typing import Final

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.semconv.readers import Reader, as_text, compact_json, parsed

MAX_LISTED: Final = 10_001
"""Items written for one field; the rest stays in the raw attribute."""

_DOCUMENT_KEYS: Final = {
    "id": ("id", "document_id", "doc_id"),
    "content": ("content", "page_content", "pageContent", "text", "document"),
    "score": ("score", "similarity", "relevance_score"),
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
        for key in ("function_tools", "tools", "functionDeclarations", "function_declarations"):
            if isinstance(value.get(key), list):
                value = value[key]
                break
        else:
            value = [value]
    found: list[JsonValue] = []
    for item in value[:MAX_LISTED] if isinstance(value, list) else ():
        if isinstance(item, dict):
            found.append(compact_json(item))
        elif isinstance(item, str) and item:
            found.append(item)
    return found or None


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
    documents: list[JsonValue] = []
    for item in found[:MAX_LISTED] if isinstance(found, list) else ():
        document = _document(item)
        if document:
            documents.append(document)
    return documents or None


def _document(item: JsonValue) -> JsonObject:
    if isinstance(item, str):
        return {"content": item} if item else {}
    if not isinstance(item, dict):
        return {}
    document: JsonObject = {}
    for name, keys in _DOCUMENT_KEYS.items():
        value = next((item[key] for key in keys if item.get(key) is not None), None)
        if isinstance(value, int | float) and name == "score":
            document[name] = value
        elif value is not None:
            document[name] = as_text(value)
    return document


TOOL_LIST = Reader(_tools, "list of definitions, structured or JSON")
FLAT_TOOLS = Reader(_flat_tools, "flat keys `N.name`, `N.description`, `N.parameters`")
DOCUMENT_LIST = Reader(_documents, "list of documents, structured or JSON")
