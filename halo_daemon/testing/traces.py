"""Traces written like a play: an agent, what its model says, what its tools answer."""

from dataclasses import replace
from typing import Self

import orjson

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.span import Span
from halo_daemon.proto.trace import Trace
from halo_daemon.testing.spans import START_UNIX_NS, make_span, trace_id_of

_SECOND_NS = 10**9


class TraceScript:
    """
    Writes one trace step by step; every step takes a second and follows the last one.

    Args:
        number: Which trace it is; makes its id and shifts its start.

        task: What the agent is asked.

        start_s: When it starts, in seconds after `START_UNIX_NS`; an hour after the trace with
            the number before where it is None.
    """

    def __init__(
        self,
        number: int = 1,
        *,
        task: str = "find the order",
        agent: str = "support",
        session: str = "",
        version: str = "",
        start_s: float | None = None,
    ) -> None:
        self.trace_id = trace_id_of(number)
        offset_s = number * 3600 if start_s is None else start_s
        self._start_unix_ns = START_UNIX_NS + int(offset_s * _SECOND_NS)
        self._clock_unix_ns = self._start_unix_ns
        self.task = task
        self.session = session
        self._agent = agent
        self._common: JsonObject = {"inference.agent_name": agent}
        if session:
            self._common["inference.session_id"] = session
        self._resource: JsonObject = {"service.version": version} if version else {}
        self._spans: list[Span] = []
        self._root: JsonObject = {}
        self._root_status = ""

    def model(
        self,
        says: str = "",
        *,
        calls: list[tuple[str, JsonValue]] | None = None,
        offers: JsonObject | None = None,
        finish: str = "",
        tokens: tuple[int, int] | None = (100, 20),
        parent: str = "",
        **attributes: JsonValue,
    ) -> Self:
        """
        A model call that says something and asks for *calls*.

        *offers* maps tool names to the JSON Schemas of their parameters; *parent* is the id
        of the span that the call belongs to, the root where it is empty.
        """
        said: JsonObject = {"llm.output_messages.0.message.role": "assistant"}
        said["llm.output_messages.0.message.content"] = says
        for place, (name, arguments) in enumerate(calls or []):
            prefix = f"llm.output_messages.0.message.tool_calls.{place}.tool_call"
            text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
            said[f"{prefix}.function.name"] = name
            said[f"{prefix}.function.arguments"] = text
        for place, (name, schema) in enumerate((offers or {}).items()):
            offer: JsonObject = {"function": {"name": name, "parameters": schema}}
            said[f"llm.tools.{place}.tool.json_schema"] = orjson.dumps(offer).decode()
        if finish:
            said["gen_ai.response.finish_reasons"] = [finish]
        if tokens:
            said["inference.llm.input_tokens"], said["inference.llm.output_tokens"] = tokens
        said["inference.llm.model_name"] = "m-1"
        return self._step("LLM", "chat", {**said, **attributes}, parent=parent)

    def tool(
        self,
        name: str,
        arguments: JsonValue = None,
        *,
        result: str = "",
        error: str = "",
        **attributes: JsonValue,
    ) -> Self:
        """A tool call with its result; with *error* the span's status says so."""
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
        ran: JsonObject = {"tool.name": name, "input.value": text, "output.value": result}
        return self._step("TOOL", name, {**ran, **attributes}, error=error)

    def step(self, kind: str, name: str, *, error: str = "", **attributes: JsonValue) -> Self:
        """A span of any other kind."""
        return self._step(kind, name, dict(attributes), error=error)

    def lasts(self, seconds: float) -> Self:
        """The last step goes on for *seconds* more, and all that follows is later."""
        longer_ns = int(seconds * _SECOND_NS)
        last = self._spans[-1]
        self._spans[-1] = replace(last, end_unix_ns=last.end_unix_ns + longer_ns)
        self._clock_unix_ns += longer_ns
        return self

    def waits(self, seconds: float) -> Self:
        """Nothing is at work for *seconds*."""
        self._clock_unix_ns += int(seconds * _SECOND_NS)
        return self

    def redefines(self, tool: str, schema: JsonObject) -> Self:
        """All model calls so far offered *tool* with that JSON Schema instead."""
        offer: JsonObject = {"function": {"name": tool, "parameters": schema}}
        for place, span in enumerate(self._spans):
            again = {
                key: orjson.dumps(offer).decode()
                for key, value in span.attributes.items()
                if key.startswith("llm.tools.") and f'"name":"{tool}"' in str(value)
            }
            self._spans[place] = replace(span, attributes={**span.attributes, **again})
        return self

    def answer(self, text: str) -> Self:
        """What the root span says in the end."""
        self._root["output.value"] = text
        return self

    def forget_answer(self) -> Self:
        """The root span records no output at all."""
        self._root.pop("output.value", None)
        return self

    def outcome(self, verdict: str) -> Self:
        """A label on the root span: ``failed`` or ``ok``."""
        self._root["outcome"] = verdict
        return self

    def fails(self, message: str) -> Self:
        """The root span ends with an error."""
        self._root_status = message
        return self

    @property
    def end_s(self) -> float:
        """When the root span ends, in seconds after `START_UNIX_NS`."""
        return (self._clock_unix_ns + _SECOND_NS - START_UNIX_NS) / _SECOND_NS

    def spans(self) -> list[Span]:
        """The root and the steps, in order of start."""
        root = make_span(
            trace_id=self.trace_id,
            span_id=self._span_id(0),
            name="run",
            observation_kind="AGENT",
            start_unix_ns=self._start_unix_ns,
            end_unix_ns=self._clock_unix_ns + _SECOND_NS,
            status_code="STATUS_CODE_ERROR" if self._root_status else "STATUS_CODE_UNSET",
            status_message=self._root_status,
            attributes={**self._common, "input.value": self.task, **self._root},
            resource_attributes=self._resource,
        )
        return [root, *self._spans]

    def build(self, *, is_open: bool = False) -> Trace:
        """The trace."""
        return Trace.merge(self.spans(), is_open=is_open)

    def _step(
        self, kind: str, name: str, attributes: JsonObject, *, error: str = "", parent: str = ""
    ) -> Self:
        self._clock_unix_ns += _SECOND_NS
        self._spans.append(
            make_span(
                trace_id=self.trace_id,
                span_id=self._span_id(len(self._spans) + 1),
                parent_span_id=parent or self._span_id(0),
                name=name,
                observation_kind=kind,
                start_unix_ns=self._clock_unix_ns,
                end_unix_ns=self._clock_unix_ns + _SECOND_NS - 1_000_000,
                status_code="STATUS_CODE_ERROR" if error else "STATUS_CODE_UNSET",
                status_message=error,
                attributes={**self._common, **attributes},
                resource_attributes=self._resource,
            )
        )
        return self

    def _span_id(self, place: int) -> str:
        return f"{self.trace_id[-12:]}{place + 1:04x}"
