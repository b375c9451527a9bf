"""
A strict reader of the canonical span line, for tests.

It accepts what a shard may hold and nothing more, so that every test that produces
lines can hold them against the format instead of against the code that wrote them.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

_TOP: Final = (
    "trace_id", "span_id", "parent_span_id", "trace_state", "name", "kind", "start_time",
    "end_time", "status", "resource", "scope", "attributes",
)  # fmt: skip
_EXTRAS: Final = (
    "flags", "events", "links", "dropped_attributes_count", "dropped_events_count",
    "dropped_links_count", "scope_attributes", "scope_dropped_attributes_count",
    "scope_schema_url", "resource_dropped_attributes_count", "resource_schema_url",
    "resource_entity_refs", "kind_raw", "status_code_raw",
)  # fmt: skip
_KINDS: Final = {
    f"SPAN_KIND_{name}"
    for name in ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
}
_STATUSES: Final = {f"STATUS_CODE_{name}" for name in ("UNSET", "OK", "ERROR")}
_OBSERVATIONS: Final = {
    "AGENT", "LLM", "TOOL", "CHAIN", "GUARDRAIL", "SPAN", "EMBEDDING", "RETRIEVER", "RERANKER",
    "EVALUATOR", "PROMPT",
}  # fmt: skip
_MODEL_CALLS: Final = {"LLM", "EMBEDDING", "RERANKER"}
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_SEPARATORS: Final = re.compile("[\u0085\u2028\u2029]")
_INT64: Final = range(-(2**63), 2**63)


class NotCanonicalError(AssertionError):
    """A line breaks the format."""


def check_line(line: bytes) -> dict[str, Any]:
    """
    Check one line, its newline included.

    Returns:
        The line's object.

    Raises:
        NotCanonicalError: The line breaks the format; the message says where.
    """
    text = _text_of(line)
    fields = json.loads(
        text, object_pairs_hook=_object_without_duplicates, parse_constant=_refuse_constant
    )
    _require(isinstance(fields, dict), "the line is an object")
    _check_keys(fields)
    _check_ids(fields)
    _check_shapes(fields)
    _check_extras(fields)
    _check_values(fields, "line")
    _check_attributes(fields["attributes"])
    _check_indexed_names(fields)
    return dict(fields)


def check_lines(lines: bytes) -> list[dict[str, Any]]:
    """Check every line of a batch; their objects, in order; empty for no bytes."""
    *whole, torn = lines.split(b"\n")
    _require(torn == b"", "the last line is whole")
    return [check_line(line + b"\n") for line in whole]


def _text_of(line: bytes) -> str:
    _require(line.count(b"\n") == 1 and line.endswith(b"\n"), "one newline, at the end")
    _require(not line.startswith(b"\xef\xbb\xbf"), "no byte order mark")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise NotCanonicalError(f"not UTF-8: {exc}") from exc
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text[:-1])
    _require(not re.search(r"\s", outside), "no white space outside strings")
    escapes = re.findall(r"\\(?:u([0-9a-fA-F]{4})|.)", text)
    _require(all(not code or int(code, 16) < 0x80 for code in escapes), "non-ASCII as itself")  # noqa: PLR2004
    return text


def _check_keys(fields: dict[str, Any]) -> None:
    keys = tuple(fields)
    _require(keys[: len(_TOP)] == _TOP, f"the twelve fields in order, not {keys[:12]}")
    extras = keys[len(_TOP) :]
    _require(
        extras == tuple(key for key in _EXTRAS if key in fields), f"extras in order, not {extras}"
    )
    _require(all(fields[key] for key in extras if not key.endswith("_raw")), "no empty extra")


def _check_ids(fields: dict[str, Any]) -> None:
    for key, digits in (("trace_id", 32), ("span_id", 16), ("parent_span_id", 16)):
        value = fields[key]
        if key == "parent_span_id" and value == "":
            continue
        _require(
            re.fullmatch(rf"[0-9a-f]{{{digits}}}", value) is not None and set(value) != {"0"},
            f"{key} is an id, not {value!r}",
        )
    _require(fields["parent_span_id"] != fields["span_id"], "no span is its own parent")


def _check_shapes(fields: dict[str, Any]) -> None:
    for key in ("trace_state", "name"):
        _require(isinstance(fields[key], str), f"{key} is a string")
    _require(fields["kind"] in _KINDS, f"kind {fields['kind']!r}")
    for key in ("start_time", "end_time"):
        _require(_TIME.fullmatch(fields[key]) is not None, f"{key} {fields[key]!r}")
    _require(tuple(fields["status"]) == ("code", "message"), "status has code and message")
    _require(fields["status"]["code"] in _STATUSES, "a status code")
    _require(isinstance(fields["status"]["message"], str), "status.message is a string")
    _require(tuple(fields["resource"]) == ("attributes",), "resource has attributes only")
    _require(tuple(fields["scope"]) == ("name", "version"), "scope has name and version")
    _require(all(isinstance(text, str) for text in fields["scope"].values()), "scope of strings")


def _check_extras(fields: dict[str, Any]) -> None:
    for event in fields.get("events", ()):
        _require(tuple(event)[:3] == ("time", "name", "attributes"), "an event's fields")
        _require(set(event) <= {"time", "name", "attributes", "dropped_attributes_count"}, "event")
        _require(_TIME.fullmatch(event["time"]) is not None, "an event's time")
    for link in fields.get("links", ()):
        keys = ("trace_id", "span_id", "trace_state", "attributes")
        _require(tuple(link)[:4] == keys, "a link's fields")
        _require(set(link) <= {*keys, "dropped_attributes_count", "flags"}, "a link")


def _check_values(value: object, path: str) -> None:
    if isinstance(value, bool | None):
        return
    if isinstance(value, int):
        _require(value in _INT64 or path.endswith("flags"), f"{path}: an int of 64 bits")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_values(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_values(item, f"{path}.{key}")


def _optional(kind: type | tuple[type, ...]) -> Callable[[object], bool]:
    return lambda value: value is None or (isinstance(value, kind) and not isinstance(value, bool))


_TAIL: Final[dict[str, Callable[[object], bool]]] = {
    "inference.export.schema_version": lambda value: value == 1 and type(value) is int,
    "inference.project_id": lambda value: isinstance(value, str) and value != "",
    "inference.observation_kind": lambda value: value in _OBSERVATIONS,
    "inference.llm.provider": _optional(str),
    "inference.llm.model_name": _optional(str),
    "inference.llm.input_tokens": _optional(int),
    "inference.llm.output_tokens": _optional(int),
    "inference.llm.cached_input_tokens": _optional(int),
    "inference.llm.reasoning_output_tokens": _optional(int),
    "inference.llm.cost.total": _optional((int, float)),
    "inference.user_id": _optional(str),
    "inference.session_id": _optional(str),
    "inference.agent_name": lambda value: isinstance(value, str),
    "inference.agent_id": _optional(str),
}


def _check_attributes(attributes: dict[str, Any]) -> None:
    for key, is_legal in _TAIL.items():
        _require(key in attributes, f"{key} is always written")
        _require(is_legal(attributes[key]), f"{key} is {attributes[key]!r}")
    kind = attributes["inference.observation_kind"]
    usage = [
        attributes[key]
        for key in _TAIL
        if key.startswith("inference.llm.") and key.endswith(("_tokens", "total"))
    ]
    _require(
        kind in _MODEL_CALLS or all(value is None for value in usage),
        f"a {kind} span has no usage of its own",
    )
    counts = (
        attributes["inference.llm.cached_input_tokens"],
        attributes["inference.llm.input_tokens"],
    )
    _require(None in counts or counts[0] <= counts[1], "cached tokens are included in the input")
    if kind != "SPAN":
        _require("openinference.span.kind" in attributes, "the kind is mirrored")


def _check_indexed_names(fields: dict[str, Any]) -> None:
    names = [fields["resource"]["attributes"].get("service.name")]
    names += [
        fields["attributes"][f"inference.{key}"]
        for key in ("project_id", "llm.model_name", "agent_name", "agent_id")
    ]
    for name in names:
        _require(
            not isinstance(name, str) or not _SEPARATORS.search(name),
            f"no line separator in the indexed name {name!r}",
        )


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    _require(len(found) == len(pairs), "no duplicate keys")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise NotCanonicalError(f"bare {name}")


def _require(condition: bool, what: str) -> None:  # noqa: FBT001 -- reads as a sentence
    if not condition:
        raise NotCanonicalError(what)
