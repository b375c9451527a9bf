"""What a `ScriptedModelServer` can answer: good answers, and every way to fail."""

import itertools
import json
from collections.abc import Mapping, Sequence

from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.testing.scripted_model import Exchange, Step

Call = tuple[str, str | Mapping[str, JsonValue]]
"""A tool's name and its arguments, as an object or as the exact text."""

USAGE: JsonObject = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
_TEXT_PIECE = 7
_SSE = "text/event-stream"
_JSON = "application/json"


def ok(
    text: str = "",
    *calls: Call,
    usage: JsonObject | None = USAGE,
    finish_reason: str | None = None,
    refusal: str = "",
    reasoning: str = "",
) -> Step:
    """A good answer in the API and form (JSON or events) that the request asks for."""
    answer = _Answer(text, calls, usage, finish_reason, refusal, reasoning)

    def step(exchange: Exchange) -> None:
        response_id = f"r{exchange.request.number + 1}"
        responses = exchange.request.is_responses
        whole = answer.responses_object(response_id) if responses else answer.chat_object()
        if not exchange.request.is_stream:
            exchange.send_head(200, _JSON, [])
            exchange.send(json.dumps(whole).encode())
            return
        exchange.send_head(200, _SSE, [])
        for event in answer.responses_events(response_id) if responses else answer.chat_events():
            exchange.send(event)

    return step


def status(
    code: int,
    body: JsonValue = None,
    *,
    headers: Mapping[str, str] | None = None,
    html: str = "",
) -> Step:
    """Any status with a JSON, HTML or empty body."""

    def step(exchange: Exchange) -> None:
        exchange.send_head(code, "text/html" if html else _JSON, [*(headers or {}).items()])
        exchange.send(html.encode() if html else b"" if body is None else json.dumps(body).encode())

    return step


def error(code: int, message: str, *, kind: str = "", param: str = "", **headers: str) -> Step:
    """A status with OpenAI's error object; header names are written with underscores."""
    body: JsonObject = {
        "error": {"message": message, "code": kind or None, "param": param or None, "type": "x"}
    }
    return status(code, body, headers={n.replace("_", "-"): v for n, v in headers.items()})


def sse(*pieces: bytes, content_type: str = _SSE, status_code: int = 200) -> Step:
    """Exact bytes, each piece flushed on its own."""

    def step(exchange: Exchange) -> None:
        exchange.send_head(status_code, content_type, [])
        for piece in pieces:
            exchange.send(piece)

    return step


def cut_at(raw: bytes, *offsets: int) -> tuple[bytes, ...]:
    """Cut *raw* at *offsets*, for `sse`."""
    bounds = [0, *offsets, len(raw)]
    return tuple(raw[start:end] for start, end in itertools.pairwise(bounds))


def chat_event(delta: JsonValue, *, finish_reason: str | None = None, **extra: JsonValue) -> bytes:
    """One event of a chat completion stream; *extra* joins the chunk's fields."""
    choice: JsonObject = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event({"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **extra})


def event(fields: JsonValue, *, name: str = "") -> bytes:
    """One server-sent event that carries JSON."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(fields)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
"""The last event of a chat completion stream."""


def drop_before_headers() -> Step:
    """Close the connection without a word."""
    return Exchange.drop


def drop_mid_stream(*pieces: bytes) -> Step:
    """Send *pieces* as events, then reset the connection."""

    def step(exchange: Exchange) -> None:
        exchange.send_head(200, _SSE, [])
        for piece in pieces:
            exchange.send(piece)
        exchange.pause(0.02)
        exchange.drop()

    return step


def stall(*pieces: bytes) -> Step:
    """Send *pieces* as events, then nothing more, until the server is closed."""

    def step(exchange: Exchange) -> None:
        exchange.send_head(200, _SSE, [])
        for piece in pieces:
            exchange.send(piece)
        exchange.pause(60)

    return step


def comments_only(every_s: float = 0.01) -> Step:
    """Keep the connection warm with comment lines and never answer."""

    def step(exchange: Exchange) -> None:
        exchange.send_head(200, _SSE, [])
        while not exchange.pause(every_s):
            exchange.send(b": still here\n\n")
            if exchange.connection.fileno() == -1:
                return

    return step


def drip(*pieces: bytes, every_s: float = 0.01) -> Step:
    """Send *pieces* as events, one at a time with a wait before each."""

    def step(exchange: Exchange) -> None:
        exchange.send_head(200, _SSE, [])
        for piece in pieces:
            if exchange.pause(every_s):
                return
            exchange.send(piece)

    return step


def after(seconds: float, then: Step) -> Step:
    """Wait, then answer with *then*."""

    def step(exchange: Exchange) -> None:
        if not exchange.pause(seconds):
            then(exchange)

    return step


class _Answer:
    """One good answer, in the forms of both APIs."""

    def __init__(  # noqa: PLR0917 -- built in one place
        self,
        text: str,
        calls: Sequence[Call],
        usage: JsonObject | None,
        finish_reason: str | None,
        refusal: str,
        reasoning: str,
    ) -> None:
        self._text = text
        self._calls = [
            (name, arguments if isinstance(arguments, str) else json.dumps(arguments))
            for name, arguments in calls
        ]
        self._usage = usage
        self._finish_reason = finish_reason or ("tool_calls" if calls else "stop")
        self._refusal = refusal
        self._reasoning = reasoning

    def chat_object(self) -> JsonObject:
        message: JsonObject = {"role": "assistant", "content": self._text or None}
        if self._calls:
            message["tool_calls"] = [
                {"id": f"call_{i}", "type": "function", "function": {"name": n, "arguments": a}}
                for i, (n, a) in enumerate(self._calls)
            ]
        if self._refusal:
            message["refusal"] = self._refusal
        choice: JsonObject = {
            "index": 0,
            "message": message,
            "finish_reason": self._finish_reason,
        }
        whole: JsonObject = {"id": "c1", "object": "chat.completion", "choices": [choice]}
        return {**whole, "usage": self._usage} if self._usage is not None else whole

    def chat_events(self) -> list[bytes]:
        events = [chat_event({"role": "assistant", "content": ""})]
        if self._reasoning:
            events.append(chat_event({"reasoning_content": self._reasoning}))
        events += [chat_event({"content": piece}) for piece in _pieces(self._text)]
        if self._refusal:
            events.append(chat_event({"refusal": self._refusal}))
        for index, (name, arguments) in enumerate(self._calls):
            events += _call_events(index, name, arguments)
        events.append(chat_event({}, finish_reason=self._finish_reason))
        if self._usage is not None:
            events.append(event({"id": "c1", "choices": [], "usage": self._usage}))
        return [*events, DONE]

    def responses_object(self, response_id: str) -> JsonObject:
        output: list[JsonValue] = []
        if self._text or self._refusal:
            part: JsonObject = {"type": "output_text", "text": self._text}
            if self._refusal:
                part = {"type": "refusal", "refusal": self._refusal}
            output.append({"type": "message", "role": "assistant", "id": "m1", "content": [part]})
        output += [
            {"type": "function_call", "call_id": f"call_{i}", "name": n, "arguments": a}
            for i, (n, a) in enumerate(self._calls)
        ]
        whole: JsonObject = {"id": response_id, "object": "response", "output": output}
        whole["status"] = "completed"
        if self._finish_reason in {"length", "content_filter"}:
            whole["status"] = "incomplete"
            reason = "max_output_tokens" if self._finish_reason == "length" else "content_filter"
            whole["incomplete_details"] = {"reason": reason}
        if self._usage is not None:
            whole["usage"] = {
                "input_tokens": self._usage.get("prompt_tokens"),
                "output_tokens": self._usage.get("completion_tokens"),
            }
        return whole

    def responses_events(self, response_id: str) -> list[bytes]:
        whole = self.responses_object(response_id)
        events = [event({"type": "response.created", "response": {"id": response_id}})]
        events += [
            event({"type": "response.output_text.delta", "delta": piece})
            for piece in _pieces(self._text)
        ]
        kind = f"response.{whole['status']}"
        return [
            *events,
            event({"type": "response.unheard_of"}),
            event({"type": kind, "response": whole}),
        ]


def _call_events(index: int, name: str, arguments: str) -> list[bytes]:
    first: JsonObject = {
        "index": index,
        "id": f"call_{index}",
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }
    deltas: list[JsonObject] = [first]
    deltas += [{"index": index, "function": {"arguments": p}} for p in _pieces(arguments)]
    return [chat_event({"tool_calls": [delta]}) for delta in deltas]


def _pieces(text: str) -> list[str]:
    return [text[at : at + _TEXT_PIECE] for at in range(0, len(text), _TEXT_PIECE)]
