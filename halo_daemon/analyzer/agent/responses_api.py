"""The Responses API: the body of a request, and an answer out of its events."""

from dataclasses import dataclass, field

from halo_daemon.analyzer.agent.errors import ModelError
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
from halo_daemon.analyzer.agent.provider_errors import classify
from halo_daemon.analyzer.agent.usage import read_usage
from halo_daemon.proto.json_value import JsonObject, JsonValue

_LAST_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed"})


def responses_body(request: ModelRequest) -> JsonObject:
    """
    The fields that say what *request* says; model and parameters are added by the caller.

    Nothing is kept by the provider: the whole conversation goes with each request.
    """
    items: list[JsonValue] = []
    for message in request.messages:
        items += _items_of(message)
    body: JsonObject = {"input": items, "store": False}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in request.tools
        ]
    if request.force_tool:
        body["tool_choice"] = {"type": "function", "name": request.force_tool}
    return body


def _items_of(message: Message) -> list[JsonValue]:
    if message.role is Role.TOOL:
        return [
            {
                "type": "function_call_output",
                "call_id": message.tool_call_id,
                "output": message.content,
            }
        ]
    items: list[JsonValue] = []
    if message.content:
        items.append({"role": message.role.value, "content": message.content})
    items += [
        {
            "type": "function_call",
            "call_id": call.call_id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in message.tool_calls
    ]
    return items


@dataclass(slots=True)
class ResponsesAssembler:
    """
    Puts the events of one answer together; unknown events are passed over.

    The last event carries the whole response; items that it leaves out are
    taken from their own events.
    """

    on_text: TextSink
    _items: list[JsonObject] = field(default_factory=list)
    _response: JsonObject = field(default_factory=dict)
    _is_last: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether the event that ends a response came."""
        return self._is_last

    def add(self, event: JsonObject) -> None:
        """
        Take one event of a stream, or the whole object of a plain answer.

        Raises:
            ModelError: The response failed.
        """
        kind = as_text(event.get("type"))
        if event.get("object") == "response":
            self._end(event)
        elif kind == "response.output_text.delta":
            self.on_text(joined([as_text(event.get("delta"))]))
        elif kind == "response.output_item.done":
            self._items.append(as_object(event.get("item")))
        elif kind in _LAST_EVENTS:
            self._end(as_object(event.get("response")))

    def reply(self) -> ModelReply:
        """The answer."""
        items = [as_object(item) for item in as_list(self._response.get("output"))] or self._items
        text = joined(_texts(items, "output_text", "text"))
        refusal = joined(_texts(items, "refusal", "refusal"))
        calls = tuple(
            ToolCall(
                as_text(item.get("call_id")), as_text(item.get("name")), joined([_arguments(item)])
            )
            for item in items
            if item.get("type") == "function_call"
        )
        return ModelReply(
            message=Message(Role.ASSISTANT, text or refusal, calls),
            finish=Finish.REFUSED if refusal else self._finish(),
            usage=read_usage(self._response.get("usage"), answer_is_empty=not (text or calls)),
            request_id=as_text(self._response.get("id")),
        )

    def _end(self, response: JsonObject) -> None:
        if response.get("status") == "failed":
            raise failed_response(response)
        self._response, self._is_last = response, True

    def _finish(self) -> Finish:
        if self._response.get("status") != "incomplete":
            return Finish.DONE
        details = as_object(self._response.get("incomplete_details"))
        is_filtered = details.get("reason") == "content_filter"
        return Finish.FILTERED if is_filtered else Finish.LENGTH


def failed_response(response: JsonObject) -> ModelError:
    """The error that a failed response carries."""
    return classify(None, {"error": response.get("error")}, {})


def _texts(items: list[JsonObject], kind: str, key: str) -> list[str]:
    parts = [as_object(part) for item in items for part in as_list(item.get("content"))]
    return [as_text(part.get(key)) for part in parts if part.get("type") == kind]


def _arguments(item: JsonObject) -> str:
    return as_text(item.get("arguments"))
