"""
A run of the agent as spans of its own, made from its journal.

Only on request, and never into the daemon itself: every span carries
``halo.self``, so that receivers can tell them from the traces of others.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from halo_daemon.analyzer.agent.messages import as_list, as_object, as_text
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.line import SELF_MARK
from halo_daemon.proto.times import format_unix_ns

_SERVICE = "halo-daemon-agent"
_NANOS = 10**9


@dataclass(slots=True)
class _Run:
    trace_id: str
    started_unix_ns: int
    model: str
    asked_s: dict[str, float] = field(default_factory=dict)
    """When the newest request of an agent was sent, in seconds of the run."""

    agents: dict[str, JsonObject] = field(default_factory=dict)
    calls: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Name and arguments of a tool call, by agent and call id."""

    def span_id(self, *parts: str) -> str:
        return hashlib.sha256("/".join((self.trace_id, *parts)).encode()).hexdigest()[:16]

    def at(self, elapsed_s: float) -> str:
        return format_unix_ns(self.started_unix_ns + int(elapsed_s * _NANOS))


def spans_of(records: Iterable[JsonObject], *, started_unix_ns: int) -> Iterator[JsonObject]:
    """
    The canonical spans of a journal: one for each agent, answer and tool call.

    Args:
        records: The journal, in order.

        started_unix_ns: When the run began; records tell the seconds since then.
    """
    run = _Run("", started_unix_ns, "")
    for record in records:
        agent_id = as_text(record.get("agent_id"))
        elapsed_s = cast("float", record.get("elapsed_s", 0.0))
        match record.get("type"):
            case "run_start":
                run_id = as_text(record.get("run_id"))
                run.trace_id = hashlib.sha256(run_id.encode()).hexdigest()[:32]
                run.model = as_text(record.get("model"))
            case "agent_start":
                run.agents.setdefault(agent_id, record)
            case "request":
                run.asked_s[agent_id] = elapsed_s
            case "response":
                yield _answer(run, record, agent_id, elapsed_s)
            case "tool_result":
                yield _tool_call(run, record, agent_id, elapsed_s)
            case "agent_end":
                yield _agent(run, record, agent_id, elapsed_s)


def _answer(run: _Run, record: JsonObject, agent_id: str, elapsed_s: float) -> JsonObject:
    message, usage = as_object(record.get("message")), as_object(record.get("usage"))
    for call in map(as_object, as_list(message.get("tool_calls"))):
        function = as_object(call.get("function"))
        made = as_text(function.get("name")), as_text(function.get("arguments"))
        run.calls[agent_id, as_text(call.get("id"))] = made
    span_id = run.span_id(agent_id, "answer", as_text(record.get("sha256")), str(elapsed_s))
    started_s = run.asked_s.get(agent_id, elapsed_s)
    attributes: JsonObject = {
        "inference.llm.model_name": run.model,
        "inference.llm.input_tokens": usage.get("input_tokens"),
        "inference.llm.output_tokens": usage.get("output_tokens"),
        "inference.llm.cost.total": record.get("usd"),
        "output.value": as_text(message.get("content")),
    }
    return _span(
        run, (span_id, run.span_id(agent_id), "chat", "LLM"), (started_s, elapsed_s), attributes
    )


def _tool_call(run: _Run, record: JsonObject, agent_id: str, elapsed_s: float) -> JsonObject:
    call_id = as_text(record.get("call_id"))
    name, arguments = run.calls.get((agent_id, call_id), ("tool", ""))
    started_s = elapsed_s - cast("int", record.get("duration_ms", 0)) / 1000
    attributes: JsonObject = {
        "tool.name": name,
        "input.value": arguments,
        "output.value": as_text(record.get("answer")),
    }
    ids = run.span_id(agent_id, call_id), run.span_id(agent_id), name, "TOOL"
    return _span(run, ids, (max(0.0, started_s), elapsed_s), attributes)


def _agent(run: _Run, record: JsonObject, agent_id: str, elapsed_s: float) -> JsonObject:
    start = run.agents.get(agent_id, {})
    parent_id = as_text(start.get("parent_agent_id"))
    attributes: JsonObject = {
        "inference.agent_id": agent_id,
        "inference.agent_name": agent_id.split("-", maxsplit=1)[0],
        "input.value": as_text(start.get("input")),
        "output.value": as_text(record.get("answer")),
    }
    parent_span_id = run.span_id(parent_id) if parent_id else ""
    started_s = cast("float", start.get("elapsed_s", 0.0))
    ids = run.span_id(agent_id), parent_span_id, "agent", "AGENT"
    return _span(run, ids, (started_s, elapsed_s), attributes)


def _span(
    run: _Run,
    identity: tuple[str, str, str, str],
    times_s: tuple[float, float],
    attributes: JsonObject,
) -> JsonObject:
    span_id, parent_span_id, name, kind = identity
    derived: dict[str, JsonValue] = {
        "inference.export.schema_version": 1,
        "inference.project_id": _SERVICE,
        "inference.observation_kind": kind,
        "inference.llm.provider": None,
        "inference.llm.model_name": None,
        "inference.llm.input_tokens": None,
        "inference.llm.output_tokens": None,
        "inference.llm.cached_input_tokens": None,
        "inference.llm.reasoning_output_tokens": None,
        "inference.llm.cost.total": None,
        "inference.user_id": None,
        "inference.session_id": None,
        "inference.agent_name": "",
        "inference.agent_id": None,
    }
    return {
        "trace_id": run.trace_id,
        "span_id": span_id,
        "parent_span_id": parent_span_id,
        "trace_state": "",
        "name": name,
        "kind": "SPAN_KIND_INTERNAL",
        "start_time": run.at(times_s[0]),
        "end_time": run.at(times_s[1]),
        "status": {"code": "STATUS_CODE_UNSET", "message": ""},
        "resource": {"attributes": {"service.name": _SERVICE, SELF_MARK: True}},
        "scope": {"name": "halo_daemon.agent", "version": ""},
        "attributes": {
            SELF_MARK: True,
            "openinference.span.kind": kind,
            **derived,
            **attributes,
        },
    }
