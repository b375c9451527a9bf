"""Codex rollout files: one file is one session, one trace for each thing a user asked."""

from collections.abc import Iterator
from io import BufferedReader

import orjson

from halo_daemon.exchange.draft import Draft, request_of
from halo_daemon.exchange.incoming import Incoming, Request, Skipped, numbered_lines
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE = "codex"

_CALLS = ("function_call", "custom_tool_call", "local_shell_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_ENVELOPES = ("session_meta", "turn_context", "response_item", "event_msg", "compacted")


def read_codex(stream: BufferedReader, name: str) -> Iterator[Incoming]:
    """Read one session; spans come from what the model saw, tokens from what the screen showed."""
    session = _Session(name)
    for where, line in numbered_lines(stream):
        try:
            entry = orjson.loads(line or b"")
        except ValueError:
            yield Skipped("not JSON", where)
            continue
        kind = entry.get("type") if isinstance(entry, dict) else None
        payload = entry.get("payload") if isinstance(entry, dict) else None
        if kind not in _ENVELOPES or not isinstance(payload, dict):
            yield Skipped("unknown type", where)
            continue
        finished = session.take(str(kind), payload, iso_unix_ns(entry.get("timestamp")))
        if finished is not None:
            yield finished
    last = session.finish()
    if last is not None:
        yield last


class _Session:
    """The running state of one file."""

    def __init__(self, name: str) -> None:
        self._id = name
        self._version = ""
        self._model = ""
        self._turns = 0
        self._clock: int | None = None
        self._drafts: list[Draft] = []
        self._calls: dict[str, Draft] = {}
        self._tokens: dict[str, int] = {}

    def take(self, kind: str, payload: JsonObject, unix_ns: int | None) -> Request | None:
        """Take one entry; returns the trace that it ends, if any."""
        started_ns, self._clock = self._clock, unix_ns or self._clock
        if kind == "session_meta":
            self._id = str(payload.get("id") or self._id)
            self._version = str(payload.get("cli_version") or "")
        elif kind == "turn_context":
            self._model = str(payload.get("model") or "")
        elif kind == "event_msg":
            self._take_event(payload)
        elif kind == "response_item":
            return self._take_item(payload, started_ns)
        return None

    def finish(self) -> Request | None:
        """The trace under way; None when there is none."""
        if not self._drafts:
            return None
        self._drafts[0].end_unix_ns = self._clock
        drafts, self._drafts, self._calls = self._drafts, [], {}
        resource: JsonObject = {"service.name": SOURCE, "service.version": self._version}
        return Request(request_of(SOURCE, drafts, resource=resource))

    def _take_event(self, payload: JsonObject) -> None:
        if payload.get("type") != "token_count":
            return
        info = payload.get("info")
        total = info.get("total_token_usage") if isinstance(info, dict) else None
        if not isinstance(total, dict):
            return
        # Totals run over the whole session; a span has what came since the one before.
        now = {key: value for key, value in total.items() if isinstance(value, int)}
        new = {key: max(0, value - self._tokens.get(key, 0)) for key, value in now.items()}
        self._tokens = now
        answer = next((d for d in reversed(self._drafts) if d.kind == "LLM"), None)
        if answer is not None:
            for key, target in (
                ("input_tokens", "llm.token_count.prompt"),
                ("output_tokens", "llm.token_count.completion"),
                ("cached_input_tokens", "llm.token_count.prompt_details.cache_read"),
            ):
                before = answer.attributes.get(target)
                earlier = before if isinstance(before, int) else 0
                answer.attributes[target] = earlier + new.get(key, 0)

    def _take_item(self, payload: JsonObject, started_ns: int | None) -> Request | None:
        kind = str(payload.get("type"))
        if kind == "message" and payload.get("role") == "user":
            return self._begin(_texts_of(payload.get("content")))
        if not self._drafts:
            return None
        if kind in {"message", "reasoning"}:
            self._answer(payload, started_ns)
        elif kind in _CALLS:
            self._call(payload)
        elif kind in _OUTPUTS:
            self._output(payload)
        return None

    def _begin(self, question: str) -> Request | None:
        if len(self._drafts) == 1:
            # What the program tells the model about its surroundings comes as a user's
            # message before the question.
            before = self._drafts[0].attributes.get("input.value")
            self._drafts[0].attributes["input.value"] = f"{before}\n{question}"
            return None
        finished = self.finish()
        self._turns += 1
        self._add("turn", "turn", "AGENT", {"input.value": question, "agent.name": SOURCE})
        return finished

    def _answer(self, payload: JsonObject, started_ns: int | None) -> None:
        said = _texts_of(payload.get("content") or payload.get("summary"))
        draft = self._add(
            f"answer-{len(self._drafts)}",
            self._model or "answer",
            "LLM",
            {"llm.model_name": self._model, "output.value": said},
        )
        draft.start_unix_ns, draft.end_unix_ns = started_ns or self._clock, self._clock
        if payload.get("type") == "message":
            self._drafts[0].attributes["output.value"] = said

    def _call(self, payload: JsonObject) -> None:
        tool = str(payload.get("name") or payload.get("type"))
        arguments = payload.get("arguments") or payload.get("input") or payload.get("action")
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
        call = str(payload.get("call_id") or len(self._drafts))
        self._calls[call] = self._add(call, tool, "TOOL", {"tool.name": tool, "input.value": text})

    def _output(self, payload: JsonObject) -> None:
        call = self._calls.get(str(payload.get("call_id")))
        if call is None:
            return
        call.end_unix_ns = self._clock
        output = payload.get("output")
        if isinstance(output, dict):
            if output.get("success") is False:
                call.error = ""
            output = output.get("content", output)
        call.attributes["output.value"] = (
            output if isinstance(output, str) else orjson.dumps(output).decode()
        )

    def _add(self, span: str, name: str, kind: str, attributes: JsonObject) -> Draft:
        draft = Draft(
            f"{self._id}/{self._turns}",
            span,
            name,
            kind,
            self._clock,
            parent="" if kind == "AGENT" else "turn",
            attributes={"session.id": self._id, **attributes},
        )
        self._drafts.append(draft)
        return draft


def _texts_of(content: JsonValue) -> str:
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    texts = [block.get("text") for block in content if isinstance(block, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
