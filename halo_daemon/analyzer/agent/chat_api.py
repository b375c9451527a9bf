"""Chat completions: the body of a request, and an answer out of its pieces."""

from dataclasses import dataclass, field

import orjson

from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.messages import (
    Message,
    Role,
    ToolCall,
    as_list,
    as_object,
    as_text,
    joined,
)
from halo_daemon.analyzer.agent.model import Finish, ModelReply, ModelRequest, TextSink
from halo_daemon.analyzer.agent.usage import read_usage
from halo_daemon.proto.json_value import JsonObject, JsonValue

_FINISHES = {
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
    "refusal": Finish.REFUSED,
}


def chat_body(request: ModelRequest) -> JsonObject:
    """The fields that say what *request* says; model and parameters are added by the caller."""
    body: JsonObject = {"messages": [message.to_json() for message in request.messages]}
    if request.tools:
        body["tools"] = [tool.to_json() for tool in request.tools]
    if request.force_tool:
        body["tool_choice"] = {"type": "function", "function": {"name": request.force_tool}}
    return body


@dataclass(slots=True)
class _CallInPieces:
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def add(self, delta: JsonObject) -> None:
        function = as_object(delta.get("function"))
        self.call_id = self.call_id or as_text(delta.get("id"))
        name = as_text(function.get("name"))
        if name != self.name:
            self.name += name
        arguments = function.get("arguments")
        # Some servers send the arguments as an object, which is not the protocol.
        self.arguments.append(arguments if isinstance(arguments, str) else _as_json(arguments))


@dataclass(slots=True)
class ChatAssembler:
    """
    Puts the chunks of one answer together.

    Only the first choice counts. A call is told apart by its ``index``, or by
    its id where the index is missing or used twice.
    """

    on_text: TextSink
    _text: list[str] = field(default_factory=list)
    _refusal: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _calls: list[_CallInPieces] = field(default_factory=list)
    _by_index: dict[int, _CallInPieces] = field(default_factory=dict)
    _finish_reason: str = ""
    _usage: JsonValue = None
    _request_id: str = ""
    _choice: JsonValue = None
    _seen_choice: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether a finish reason came; without one, only the end mark completes the answer."""
        return bool(self._finish_reason)

    def add(self, chunk: JsonObject) -> None:
        """Take one chunk of a stream, or the whole object of a plain answer."""
        self._request_id = self._request_id or as_text(chunk.get("id"))
        self._usage = chunk.get("usage") or self._usage
        for choice in map(as_object, as_list(chunk.get("choices"))):
            if not self._seen_choice:
                self._seen_choice, self._choice = True, choice.get("index")
            if choice.get("index") == self._choice:
                self._add_choice(choice)

    def reply(self) -> ModelReply:
        """
        The answer so far.

        Raises:
            ModelError: There is neither text nor call nor refusal nor finish reason.
        """
        text, refusal = joined(self._text), joined(self._refusal)
        calls = tuple(
            ToolCall(call.call_id, call.name, joined(call.arguments))
            for call in sorted(self._calls, key=self._position)
        )
        if not (text or calls or refusal or self._finish_reason):
            raise ModelError("cannot use an empty answer", action=Action.RETRY)
        finish = Finish.REFUSED if refusal else _FINISHES.get(self._finish_reason, Finish.DONE)
        return ModelReply(
            message=Message(Role.ASSISTANT, text or refusal, calls),
            finish=finish,
            usage=read_usage(self._usage, answer_is_empty=not (text or calls)),
            reasoning=joined(self._reasoning),
            request_id=self._request_id,
        )

    def _add_choice(self, choice: JsonObject) -> None:
        delta = as_object(choice.get("delta") or choice.get("message"))
        text = _text_of(delta.get("content") or choice.get("text"))
        if text:
            self._text.append(text)
            self.on_text(joined([text]))
        self._refusal.append(as_text(delta.get("refusal")))
        self._reasoning.append(as_text(delta.get("reasoning_content") or delta.get("reasoning")))
        for call in as_list(delta.get("tool_calls")):
            self._add_call(as_object(call))
        if delta.get("function_call"):
            self._add_call({"index": 0, "function": delta["function_call"]})
        self._finish_reason = as_text(choice.get("finish_reason")) or self._finish_reason

    def _add_call(self, delta: JsonObject) -> None:
        index, call_id = delta.get("index"), as_text(delta.get("id"))
        known = self._calls[-1] if self._calls else None
        if isinstance(index, int):
            known = self._by_index.get(index)
        if known is None or (call_id and known.call_id and call_id != known.call_id):
            known = _CallInPieces()
            self._calls.append(known)
        if isinstance(index, int):
            self._by_index[index] = known
        known.add(delta)

    def _position(self, call: _CallInPieces) -> int:
        places = [index for index, other in self._by_index.items() if other is call]
        return places[0] if places else -1


def _text_of(content: JsonValue) -> str:
    if isinstance(content, list):
        return "".join(as_text(as_object(part).get("text")) for part in content)
    return as_text(content)


def _as_json(arguments: JsonValue) -> str:
    return "" if arguments is None else orjson.dumps(arguments).decode()
