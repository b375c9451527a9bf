"""What a tracing processor of the OpenAI Agents SDK wrote, one exported object a line."""

from collections.abc import Iterator
from typing import Final

from halo_daemon.exchange.draft import Draft, leftovers, request_of
from halo_daemon.exchange.incoming import (
    MAX_SPANS_A_REQUEST,
    Incoming,
    Input,
    Request,
    Skipped,
)
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.json_records import json_records
from halo_daemon.exchange.record_files import UNREADABLE
from halo_daemon.exchange.values import as_text, count, mapping, needed, text
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "openai-agents"

_KINDS: Final = {
    "agent": "AGENT",
    "generation": "LLM",
    "response": "LLM",
    "function": "TOOL",
    "guardrail": "GUARDRAIL",
}
_KNOWN: Final = frozenset(
    ["object", "id", "trace_id", "parent_id", "started_at", "ended_at", "span_data", "error"]
)
_KNOWN_DATA: Final = frozenset(["type", "name", "input", "output", "model", "usage", "response_id"])
_MAX_WAITING_SPANS = 20_000
_MAX_WAITING_CHARS = 64 * 1024**2


def read_openai_agents(source: Input) -> Iterator[Incoming]:
    """Read traces and spans in any order; a trace has no times, its root is made from its spans."""
    waiting = _Traces(source.name)
    for record in json_records(source, _unwrap):
        told = record.value
        if told is None:
            yield Skipped(record.reason, record.where)
            continue
        try:
            waiting.take(told)
        except UNREADABLE:
            yield Skipped("not a span", record.where)
        if waiting.is_full:
            yield from waiting.requests()
    yield from waiting.roots()
    yield from waiting.requests()


def _unwrap(value: JsonObject) -> JsonValue:
    """What an exporter sends at once: traces and spans in ``data``."""
    inner = value.get("data")
    return inner if isinstance(inner, list) and "object" not in value else value


class _Traces:
    """Spans until their trace is known, and what is needed to make its root."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._traces: dict[str, JsonObject] = {}
        self._spans: dict[str, list[Draft]] = {}
        self._times: dict[str, list[int]] = {}
        self._waiting_spans = 0
        self._waiting_chars = 0

    @property
    def is_full(self) -> bool:
        """Whether what waits has to go."""
        return (
            self._waiting_spans >= _MAX_WAITING_SPANS or self._waiting_chars >= _MAX_WAITING_CHARS
        )

    def take(self, record: JsonObject) -> None:
        """
        Take one object.

        Raises:
            ValueError: It is neither a trace nor a span.
            KeyError: It has no id.
        """
        kind = record.get("object")
        if kind == "trace":
            self._traces[needed(record, "id")] = record
            return
        if kind != "trace.span":
            raise ValueError("neither a trace nor a span")
        draft = _draft(record)
        self._spans.setdefault(draft.trace, []).append(draft)
        self._waiting_spans += 1
        self._waiting_chars += sum(
            len(value) for value in draft.attributes.values() if isinstance(value, str)
        )
        ends = self._times.setdefault(draft.trace, [])
        ends += [ns for ns in (draft.start_unix_ns, draft.end_unix_ns) if ns is not None]
        ends[:] = [min(ends), max(ends)] if ends else []

    def requests(self) -> Iterator[Incoming]:
        """The spans that wait, trace by trace."""
        for trace, drafts in self._spans.items():
            session: JsonObject = {"session.id": self._traces.get(trace, {}).get("group_id")}
            for draft in drafts:
                draft.attributes |= session
            for start in range(0, len(drafts), MAX_SPANS_A_REQUEST):
                yield self._request(trace, drafts[start : start + MAX_SPANS_A_REQUEST])
        self._spans, self._waiting_spans, self._waiting_chars = {}, 0, 0

    def roots(self) -> Iterator[Incoming]:
        """A root for each trace that had a span."""
        for trace, ends in self._times.items():
            record = self._traces.get(trace, {})
            root = Draft(
                trace=trace,
                span=trace,
                name=text(record.get("workflow_name")) or "workflow",
                kind="AGENT",
                start_unix_ns=ends[0] if ends else None,
                end_unix_ns=ends[1] if ends else None,
                attributes={
                    "session.id": record.get("group_id"),
                    "metadata": as_text(record.get("metadata")) if record.get("metadata") else None,
                    "import.time": "derived",
                },
            )
            yield self._request(trace, [root])

    def _request(self, trace: str, drafts: list[Draft]) -> Request:
        workflow = text(self._traces.get(trace, {}).get("workflow_name"))
        return Request(
            request_of(SOURCE, drafts, resource={"service.name": workflow or self._name})
        )


def _draft(record: JsonObject) -> Draft:
    told = mapping(record["span_data"])
    error = record.get("error")
    kind = text(told.get("type"))
    usage = mapping(told.get("usage"))
    trace = needed(record, "trace_id")
    data: JsonObject = {f"span_data.{key}": value for key, value in told.items()}
    return Draft(
        trace=trace,
        span=needed(record, "id"),
        parent=text(record.get("parent_id")) or trace,
        name=text(told.get("name")) or kind,
        kind=_KINDS.get(kind, "CHAIN"),
        start_unix_ns=iso_unix_ns(record.get("started_at")),
        end_unix_ns=iso_unix_ns(record.get("ended_at")),
        error=_message(error) if error else None,
        attributes={
            "input.value": as_text(told.get("input")),
            "output.value": as_text(told.get("output")),
            "llm.model_name": text(told.get("model")) or None,
            "llm.token_count.prompt": count(usage.get("input_tokens")),
            "llm.token_count.completion": count(usage.get("output_tokens")),
            "tool.name": text(told.get("name")) if kind == "function" else None,
            "agent.name": text(told.get("name")) if kind == "agent" else None,
            "import.openai-agents.type": kind,
            "import.openai-agents.response_id": told.get("response_id"),
            **dict(leftovers(SOURCE, record, _KNOWN)),
            **dict(leftovers(SOURCE, data, {f"span_data.{key}" for key in _KNOWN_DATA})),
        },
    )


def _message(error: object) -> str:
    return text(error.get("message")) if isinstance(error, dict) else str(error)
