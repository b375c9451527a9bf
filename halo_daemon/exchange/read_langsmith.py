"""Runs of LangSmith, as its API and its exports write them."""

from collections.abc import Iterator
from typing import Final

from halo_daemon.exchange.draft import Draft, leftovers
from halo_daemon.exchange.incoming import Incoming, Input
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.record_files import read_records
from halo_daemon.exchange.values import as_text, count, items, mapping, needed, text
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "langsmith"

_NS_PER_MS: Final = 1_000_000
_KINDS: Final = {"parser": "CHAIN"}
_CHILDREN: Final = "child_runs"
_CHAT_KEYS: Final = ("session_id", "thread_id", "conversation_id")
_KNOWN: Final = frozenset(
    [
        "id",
        "trace_id",
        "parent_run_id",
        "name",
        "run_type",
        "start_time",
        "end_time",
        "inputs",
        "outputs",
        "error",
        "extra",
        "tags",
        "status",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "total_cost",
        "session_name",
    ]
)


def read_langsmith(source: Input) -> Iterator[Incoming]:
    """Read one file of runs, alone, in an answer's ``runs``, or each in its parent."""
    return read_records(source, SOURCE, langsmith_draft, unwrap=unwrap_runs)


def unwrap_runs(value: JsonObject) -> JsonValue:
    """The runs of an answer, and those inside them."""
    inner = value.get("runs")
    if not isinstance(inner, list):
        return _with_children(value) if value.get(_CHILDREN) else value
    flat: list[JsonValue] = []
    for one in inner:
        flat += _with_children(one) if isinstance(one, dict) else [one]
    return flat


def _with_children(run: JsonObject) -> list[JsonValue]:
    """A run and all below it, which know what the one above them says of both."""
    found: list[JsonValue] = []
    waiting: list[JsonValue] = [run]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict) or not isinstance(one.get(_CHILDREN), list):
            found.append(one)
            continue
        own = {key: value for key, value in one.items() if key != _CHILDREN}
        found.append(own)
        told: JsonObject = {"parent_run_id": own.get("id")}
        told["trace_id"] = own.get("trace_id") or own.get("id")
        told["session_name"] = own.get("session_name")
        waiting += [
            {**child, **{key: told[key] for key in told if not child.get(key)}}
            if isinstance(child, dict)
            else child
            for child in reversed(items(one[_CHILDREN]))
        ]
    return found


def langsmith_draft(record: JsonObject) -> Draft:
    """
    One run.

    Raises:
        KeyError: It has no id.
    """
    kind = text(record.get("run_type")).lower()
    extra = mapping(record.get("extra"))
    metadata = mapping(extra.get("metadata"))
    invocation = mapping(extra.get("invocation_params"))
    error = record.get("error")
    return Draft(
        trace=text(record.get("trace_id")) or needed(record, "id"),
        span=needed(record, "id"),
        parent=text(record.get("parent_run_id")),
        name=text(record.get("name")) or kind,
        kind=_KINDS.get(kind, kind.upper()),
        start_unix_ns=_time(record.get("start_time")),
        end_unix_ns=_time(record.get("end_time")),
        error=as_text(error) if error else None,
        is_open=record.get("status") == "pending",
        project=text(record.get("session_name")),
        attributes={
            "input.value": as_text(record.get("inputs")),
            "output.value": as_text(record.get("outputs")),
            "llm.model_name": _first(metadata, "ls_model_name")
            or _first(invocation, "model", "model_name"),
            "llm.provider": _first(metadata, "ls_provider"),
            "llm.token_count.prompt": count(record.get("prompt_tokens")),
            "llm.token_count.completion": count(record.get("completion_tokens")),
            "llm.token_count.total": count(record.get("total_tokens")),
            "llm.cost.total": _cost(record.get("total_cost")),
            "tool.name": text(record.get("name")) if kind == "tool" else None,
            # `session_id` of a run is its project; the chat is in the metadata.
            "session.id": _first(metadata, *_CHAT_KEYS),
            "user.id": _first(metadata, "user_id"),
            "metadata": as_text(metadata) if metadata else None,
            "tag.tags": as_text(record.get("tags")) if record.get("tags") else None,
            "import.langsmith.project": record.get("session_name"),
            **dict(leftovers(SOURCE, record, _KNOWN)),
        },
    )


def _time(value: JsonValue) -> int | None:
    """ISO 8601, or milliseconds as the JavaScript client counts them."""
    millis = count(value)
    return iso_unix_ns(value) if millis is None else millis * _NS_PER_MS


def _first(fields: JsonObject, *keys: str) -> str | None:
    return next((found for key in keys if (found := text(fields.get(key)))), None)


def _cost(value: JsonValue) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, (int, float)) else None
