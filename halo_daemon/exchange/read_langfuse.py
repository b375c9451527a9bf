"""Observations of Langfuse, as its API and its exports write them."""

from collections.abc import Iterator
from typing import Final

from halo_daemon.exchange.draft import Draft, leftovers
from halo_daemon.exchange.incoming import Incoming, Input
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.record_files import read_records
from halo_daemon.exchange.values import as_text, count, mapping, needed, text
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "langfuse"

_KINDS: Final = {"GENERATION": "LLM", "SPAN": "", "EVENT": ""}
_WRAPPERS: Final = ("data", "observations")
_KNOWN: Final = frozenset(
    [
        "id",
        "traceId",
        "parentObservationId",
        "type",
        "name",
        "startTime",
        "endTime",
        "level",
        "statusMessage",
        "input",
        "output",
        "model",
        "providedModelName",
        "usage",
        "usageDetails",
        "costDetails",
        "sessionId",
        "userId",
        "version",
        "release",
        "metadata",
        "isRootObservation",
        "tags",
        "traceName",
        "environment",
    ]
)


def read_langfuse(source: Input) -> Iterator[Incoming]:
    """Read one file of observations, alone, in an answer's ``data`` or in their trace."""
    return read_records(source, SOURCE, langfuse_draft, unwrap=unwrap_observations)


def unwrap_observations(value: JsonObject) -> JsonValue:
    """The observations of an answer or of a trace, each with what its trace knows."""
    inner = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), list)), None)
    if not isinstance(inner, list):
        return value
    shared = {
        key: value[key] for key in ("sessionId", "userId", "release", "tags") if value.get(key)
    }
    if value.get("name"):
        shared["traceName"] = value["name"]
    flat: list[JsonValue] = []
    for one in inner:
        nested = unwrap_observations(one) if isinstance(one, dict) else one
        flat += [
            {**shared, **found} if isinstance(found, dict) else found
            for found in (nested if isinstance(nested, list) else [nested])
        ]
    return flat


def langfuse_draft(record: JsonObject) -> Draft:
    """
    One observation; its keys in camelCase, or in snake_case as exports to a bucket have them.

    Raises:
        KeyError: It has no ids.
    """
    if "trace_id" in record and "traceId" not in record:
        record = {_camel(key): value for key, value in record.items()}
    kind = text(record.get("type")).upper() or "SPAN"
    is_root = record.get("isRootObservation") is True
    failed = record.get("level") == "ERROR"
    return Draft(
        trace=needed(record, "traceId"),
        span=needed(record, "id"),
        # The root of an application may stand below a span of another system.
        parent="" if is_root else text(record.get("parentObservationId")),
        name=text(record.get("name")) or kind.lower(),
        kind=_KINDS.get(kind, kind),
        start_unix_ns=iso_unix_ns(record.get("startTime")),
        end_unix_ns=iso_unix_ns(record.get("endTime")),
        error=text(record.get("statusMessage")) if failed else None,
        attributes={
            "input.value": as_text(record.get("input")),
            "output.value": as_text(record.get("output")),
            "llm.model_name": record.get("providedModelName") or record.get("model"),
            **_usage(record),
            "session.id": record.get("sessionId"),
            "user.id": record.get("userId"),
            "service.version": record.get("version") or record.get("release"),
            "deployment.environment.name": record.get("environment"),
            "metadata": as_text(record.get("metadata")),
            "tag.tags": as_text(record.get("tags")) if record.get("tags") else None,
            "import.langfuse.type": kind if kind in {"EVENT", "SPAN"} else None,
            "import.langfuse.trace_name": record.get("traceName"),
            **dict(leftovers(SOURCE, record, _KNOWN)),
        },
    )


def _camel(key: str) -> str:
    first, *others = key.split("_")
    return first + "".join(other.capitalize() for other in others)


def _usage(record: JsonObject) -> JsonObject:
    usage = mapping(record.get("usageDetails")) or mapping(record.get("usage"))
    cost = mapping(record.get("costDetails"))
    cached = [
        key for key in usage if "cache" in key and "creation" not in key and "write" not in key
    ]
    written = [key for key in usage if "cache_creation" in key or "cache_write" in key]
    total_cost = cost.get("total", record.get("calculatedTotalCost", record.get("totalCost")))
    return {
        "llm.token_count.prompt": _first(usage, "input", "promptTokens", "prompt_tokens"),
        "llm.token_count.completion": _first(
            usage, "output", "completionTokens", "completion_tokens"
        ),
        "llm.token_count.total": _first(usage, "total", "totalTokens", "total_tokens"),
        "llm.token_count.prompt_details.cache_read": _sum(usage, cached),
        "llm.token_count.prompt_details.cache_write": _sum(usage, written),
        "llm.cost.total": total_cost if isinstance(total_cost, (int, float)) else None,
    }


def _first(usage: JsonObject, *keys: str) -> int | None:
    return next((found for key in keys if (found := count(usage.get(key))) is not None), None)


def _sum(usage: JsonObject, keys: list[str]) -> int | None:
    return sum(count(usage[key]) or 0 for key in keys) if keys else None
