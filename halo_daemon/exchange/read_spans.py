"""Span files of Phoenix, Langfuse and the OpenAI Agents SDK, and ATIF trajectories."""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader

import orjson

from halo_daemon.exchange.draft import Draft, request_of
from halo_daemon.exchange.files import document
from halo_daemon.exchange.incoming import MAX_SPANS_A_REQUEST, Incoming, Request, Skipped
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.proto.json_value import JsonObject, JsonValue

_LANGFUSE_KINDS = {"GENERATION": "LLM", "SPAN": "CHAIN", "EVENT": "CHAIN"}
_AGENTS_KINDS = {
    "agent": "AGENT",
    "generation": "LLM",
    "response": "LLM",
    "function": "TOOL",
    "guardrail": "GUARDRAIL",
}
_ENVELOPES = ("data", "spans", "observations")

DraftOf = Callable[[JsonObject], Draft]


def read_phoenix(stream: BufferedReader, name: str) -> Iterator[Incoming]:
    """Read spans as Phoenix's API and command line write them."""
    return _read_records(stream, "phoenix", name, _phoenix_draft)


def read_langfuse(stream: BufferedReader, name: str) -> Iterator[Incoming]:
    """Read observations as Langfuse's API and exports write them."""
    return _read_records(stream, "langfuse", name, _langfuse_draft)


def read_openai_agents(stream: BufferedReader, name: str) -> Iterator[Incoming]:
    """Read what a tracing processor of the OpenAI Agents SDK wrote, one object a line."""
    traces: dict[str, JsonObject] = {}
    spans: dict[str, list[Draft]] = {}
    for where, record in _records(stream):
        try:
            if record is not None and record.get("object") == "trace":
                traces[str(record["id"])] = record
            elif record is not None and record.get("object") == "trace.span":
                draft = _agents_draft(record)
                spans.setdefault(draft.trace, []).append(draft)
            else:
                yield Skipped("not a span", where)
        except (KeyError, TypeError, AttributeError):
            yield Skipped("not a span", where)
    for trace, drafts in spans.items():
        drafts.insert(0, _agents_root(trace, traces.get(trace, {}), drafts))
        resource: JsonObject = {
            "service.name": str(traces.get(trace, {}).get("workflow_name") or name)
        }
        yield Request(request_of("openai-agents", drafts, resource=resource))


def read_atif(stream: BufferedReader, name: str) -> Iterator[Incoming]:
    """Read one agent trajectory."""
    data = document(stream)
    try:
        found = orjson.loads(data or b"")
        agent = found["agent"]
        drafts = list(_atif_drafts(found, str(found.get("session_id") or name)))
    except (ValueError, KeyError, TypeError, AttributeError):
        yield Skipped("not a trajectory", "document")
        return
    resource: JsonObject = {
        "service.name": str(agent.get("name") or name),
        "service.version": str(agent.get("version") or ""),
    }
    yield Request(request_of("atif", drafts, resource=resource))


def flatten(attributes: JsonValue, prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Nested attributes as the dotted keys that they had on the wire."""
    if isinstance(attributes, dict):
        for key, value in attributes.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else key)
    elif isinstance(attributes, list) and any(isinstance(one, dict) for one in attributes):
        for place, value in enumerate(attributes):
            yield from flatten(value, f"{prefix}.{place}")
    else:
        yield prefix, attributes


def _read_records(
    stream: BufferedReader, source: str, name: str, draft_of: DraftOf
) -> Iterator[Incoming]:
    drafts: list[Draft] = []
    resource: JsonObject = {"service.name": name}
    for where, record in _records(stream):
        try:
            if record is None:
                yield Skipped("not a span", where)
                continue
            drafts.append(draft_of(record))
        except (KeyError, TypeError, AttributeError):
            yield Skipped("not a span", where)
    # Parents first, so that times can be filled in from the children.
    drafts.sort(key=lambda draft: (draft.trace, draft.start_unix_ns or 0, bool(draft.parent)))
    for start in range(0, len(drafts), MAX_SPANS_A_REQUEST):
        part = drafts[start : start + MAX_SPANS_A_REQUEST]
        yield Request(request_of(source, part, resource=resource))


def _records(stream: BufferedReader) -> Iterator[tuple[str, JsonObject | None]]:
    """Objects of a document, of an answer's list, or by line; None for what is none."""
    data = document(stream)
    if data is None:
        yield "document", None
        return
    try:
        found: JsonValue = orjson.loads(data)
    except ValueError:
        for number, line in enumerate(data.split(b"\n"), start=1):
            if line.strip():
                yield f"line {number}", _object(line)
        return
    if isinstance(found, dict):
        inner = next((key for key in _ENVELOPES if isinstance(found.get(key), list)), "")
        found = found[inner] if inner else [found]
    for number, one in enumerate(found if isinstance(found, list) else [], start=1):
        yield f"record {number}", one if isinstance(one, dict) else None


def _object(line: bytes) -> JsonObject | None:
    try:
        found = orjson.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _mapping(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _list(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _as_text(value: JsonValue) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _phoenix_draft(record: JsonObject) -> Draft:
    context = _mapping(record["context"])
    failed = record.get("status_code") == "ERROR"
    attributes = dict(flatten(record.get("attributes") or {}))
    return Draft(
        trace=str(context["trace_id"]),
        span=str(context["span_id"]),
        parent=str(record.get("parent_id") or ""),
        name=str(record.get("name") or ""),
        kind=str(record.get("span_kind") or "CHAIN").upper(),
        start_unix_ns=iso_unix_ns(record["start_time"]),
        end_unix_ns=iso_unix_ns(record.get("end_time")),
        error=str(record.get("status_message") or "") if failed else None,
        attributes=attributes,
    )


def _langfuse_draft(record: JsonObject) -> Draft:
    kind = str(record.get("type") or "SPAN").upper()
    usage = _mapping(record.get("usageDetails") or record.get("usage") or {})
    cost = _mapping(record.get("costDetails") or {})
    return Draft(
        trace=str(record["traceId"]),
        span=str(record["id"]),
        parent=str(record.get("parentObservationId") or ""),
        name=str(record.get("name") or kind.lower()),
        kind=_LANGFUSE_KINDS.get(kind, kind),
        start_unix_ns=iso_unix_ns(record["startTime"]),
        end_unix_ns=iso_unix_ns(record.get("endTime")),
        error=str(record.get("statusMessage") or "") if record.get("level") == "ERROR" else None,
        attributes={
            "input.value": _as_text(record.get("input")),
            "output.value": _as_text(record.get("output")),
            "llm.model_name": record.get("model") or record.get("providedModelName"),
            "llm.token_count.prompt": usage.get("input"),
            "llm.token_count.completion": usage.get("output"),
            "llm.cost.total": cost.get("total"),
            "session.id": record.get("sessionId"),
            "user.id": record.get("userId"),
            "service.version": record.get("version") or record.get("release"),
            "metadata": _as_text(record.get("metadata")),
        },
    )


def _agents_draft(record: JsonObject) -> Draft:
    told = _mapping(record["span_data"])
    error = record.get("error")
    kind = str(told.get("type"))
    usage = told.get("usage")
    tokens = usage if isinstance(usage, dict) else {}
    return Draft(
        trace=str(record["trace_id"]),
        span=str(record["id"]),
        parent=str(record.get("parent_id") or record["trace_id"]),
        name=str(told.get("name") or kind),
        kind=_AGENTS_KINDS.get(kind, "CHAIN"),
        start_unix_ns=iso_unix_ns(record.get("started_at")),
        end_unix_ns=iso_unix_ns(record.get("ended_at")),
        error=str(error.get("message") or "") if isinstance(error, dict) else None,
        attributes={
            "input.value": _as_text(told.get("input")),
            "output.value": _as_text(told.get("output")),
            "llm.model_name": told.get("model"),
            "llm.token_count.prompt": tokens.get("input_tokens"),
            "llm.token_count.completion": tokens.get("output_tokens"),
            "tool.name": told.get("name") if kind == "function" else None,
            "agent.name": told.get("name") if kind == "agent" else None,
            "import.openai-agents.type": kind,
            "import.openai-agents.response_id": told.get("response_id"),
        },
    )


def _agents_root(trace: str, record: JsonObject, drafts: Iterable[Draft]) -> Draft:
    starts = [draft.start_unix_ns for draft in drafts if draft.start_unix_ns is not None]
    return Draft(
        trace=trace,
        span=trace,
        name=str(record.get("workflow_name") or "workflow"),
        kind="AGENT",
        start_unix_ns=min(starts, default=None),
        attributes={
            "session.id": record.get("group_id"),
            "metadata": _as_text(record.get("metadata")),
        },
    )


def _atif_drafts(found: JsonObject, session: str) -> Iterator[Draft]:
    agent = _mapping(found["agent"])
    steps = _list(found["steps"])
    kept = [step for step in steps if isinstance(step, dict) and not step.get("is_copied_context")]
    session_id: JsonObject = {"session.id": session}
    yield Draft(
        session,
        "root",
        str(agent.get("name") or "agent"),
        "AGENT",
        next((ns for step in kept if (ns := iso_unix_ns(step.get("timestamp")))), None),
        attributes={**session_id, "agent.name": agent.get("name")},
    )
    for step in kept:
        yield from _atif_step(step, session, agent)


def _atif_step(step: JsonObject, session: str, agent: JsonObject) -> Iterator[Draft]:
    own = f"step-{step['step_id']}"
    source = str(step.get("source"))
    model = step.get("model_name") or agent.get("model_name")
    is_answer = source == "agent"
    attributes: JsonObject = {
        "session.id": session,
        "output.value" if is_answer else "input.value": _as_text(step.get("message")),
        "import.atif.reasoning": _as_text(step.get("reasoning_content")),
    }
    if is_answer:
        attributes |= {"llm.model_name": model, **_atif_usage(step.get("metrics"))}
    yield Draft(
        session,
        own,
        str(model or source) if is_answer else source,
        "LLM" if is_answer else "CHAIN",
        iso_unix_ns(step.get("timestamp")),
        parent="root",
        attributes=attributes,
    )
    calls = step.get("tool_calls")
    outputs = _atif_outputs(step.get("observation"))
    for call in map(_mapping, calls if isinstance(calls, list) else []):
        tool, call_id = str(call["function_name"]), str(call["tool_call_id"])
        yield Draft(
            session,
            f"{own}/{call_id}",
            tool,
            "TOOL",
            iso_unix_ns(step.get("timestamp")),
            parent=own,
            attributes={
                "session.id": session,
                "tool.name": tool,
                "input.value": _as_text(call.get("arguments")),
                "output.value": _as_text(outputs.get(call_id)),
            },
        )


def _atif_usage(metrics: JsonValue) -> JsonObject:
    counts = metrics if isinstance(metrics, dict) else {}
    return {
        "llm.token_count.prompt": counts.get("prompt_tokens"),
        "llm.token_count.completion": counts.get("completion_tokens"),
        "llm.token_count.prompt_details.cache_read": counts.get("cached_tokens"),
        "llm.cost.total": counts.get("cost_usd"),
    }


def _atif_outputs(observation: JsonValue) -> JsonObject:
    """What each call gave back, by the call's id."""
    results = observation.get("results") if isinstance(observation, dict) else None
    return {
        str(one.get("source_call_id")): one.get("content")
        for one in (results if isinstance(results, list) else [])
        if isinstance(one, dict)
    }
