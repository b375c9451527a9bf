"""Claude Code's session files: one file is one session, one trace for each thing a user asked."""

from collections.abc import Iterator
from io import BufferedReader
from typing import cast

import orjson

from halo_daemon.exchange.draft import Draft, request_of
from halo_daemon.exchange.incoming import Incoming, Request, Skipped, numbered_lines
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE = "claude-code"

_SAID = ("user", "assistant")
_QUIET = ("system", "summary", "file-history-snapshot", "attachment", "progress", "queue-operation")


def read_claude_code(stream: BufferedReader, name: str) -> Iterator[Incoming]:
    """Read one session; a new trace begins where a user says something that is no tool result."""
    turn: _Turn | None = None
    seen: set[str] = set()
    for where, line in numbered_lines(stream):
        entry = _object(line)
        kind = _text(entry, "type")
        if kind in _QUIET:
            continue
        if kind not in _SAID:
            yield Skipped(f"unknown type {kind[:40]}" if kind else "not a session entry", where)
            continue
        uuid = _text(entry, "uuid") or where
        if uuid in seen:
            continue
        seen.add(uuid)
        blocks = _blocks(entry)
        if kind == "user" and not any(_text(block, "type") == "tool_result" for block in blocks):
            if turn is not None:
                yield turn.request()
            turn = _Turn(entry, uuid, name, blocks)
        elif turn is None:
            yield Skipped("before the first question", where)
        elif kind == "user":
            turn.take_results(entry, blocks)
        else:
            turn.take_answer(entry, uuid, blocks)
    if turn is not None:
        yield turn.request()


class _Turn:
    """What follows one question, up to the next."""

    def __init__(self, entry: JsonObject, uuid: str, name: str, blocks: list[JsonObject]) -> None:
        self._uuid = uuid
        self._clock = iso_unix_ns(entry.get("timestamp"))
        self._session: JsonObject = {"session.id": _text(entry, "sessionId") or name}
        self._resource: JsonObject = {
            "service.name": SOURCE,
            "service.version": _text(entry, "version"),
            "import.claude-code.cwd": _text(entry, "cwd"),
            "import.claude-code.git_branch": _text(entry, "gitBranch"),
        }
        question: JsonObject = {"input.value": _texts_of(blocks), "agent.name": SOURCE}
        self._root = self._draft("turn", "turn", "AGENT", question)
        self._root.parent = ""
        self._drafts = [self._root]
        self._answers: dict[str, Draft] = {}
        self._calls: dict[str, Draft] = {}

    def take_answer(self, entry: JsonObject, uuid: str, blocks: list[JsonObject]) -> None:
        """Add what the model said; one answer may come in several lines with one usage."""
        message = cast("JsonObject", entry.get("message") or {})
        answer = _text(message, "id") or uuid
        draft = self._answers.get(answer)
        if draft is None:
            draft = self._draft(answer, _text(message, "model") or "answer", "LLM", {})
            draft.attributes |= _usage_of(message)
            self._answers[answer] = draft
            self._drafts.append(draft)
        said = _texts_of(blocks)
        if said:
            before = draft.attributes.get("output.value")
            draft.attributes["output.value"] = f"{before}\n{said}" if before else said
            self._root.attributes["output.value"] = said
        self._clock = iso_unix_ns(entry.get("timestamp")) or self._clock
        draft.end_unix_ns = self._clock
        for block in blocks:
            if _text(block, "type") == "tool_use":
                self._take_call(block)

    def take_results(self, entry: JsonObject, blocks: list[JsonObject]) -> None:
        """End the calls whose results came."""
        self._clock = iso_unix_ns(entry.get("timestamp")) or self._clock
        for block in blocks:
            call = self._calls.get(_text(block, "tool_use_id"))
            if call is None:
                continue
            call.end_unix_ns = self._clock
            call.attributes["output.value"] = _result_text(block.get("content"))
            if block.get("is_error") is True:
                call.error = str(call.attributes["output.value"])[:500]

    def request(self) -> Request:
        """The trace of this turn."""
        self._root.end_unix_ns = self._clock
        return Request(request_of(SOURCE, self._drafts, resource=self._resource))

    def _take_call(self, block: JsonObject) -> None:
        tool = _text(block, "name") or "tool"
        arguments = orjson.dumps(block.get("input")).decode()
        call = self._draft(
            _text(block, "id"), tool, "TOOL", {"tool.name": tool, "input.value": arguments}
        )
        self._calls[_text(block, "id")] = call
        self._drafts.append(call)

    def _draft(self, span: str, name: str, kind: str, attributes: JsonObject) -> Draft:
        return Draft(
            self._uuid,
            span,
            name,
            kind,
            self._clock,
            parent="turn",
            attributes={**self._session, **attributes},
        )


def _usage_of(message: JsonObject) -> JsonObject:
    usage = message.get("usage")
    model: JsonObject = {"llm.model_name": _text(message, "model"), "llm.provider": "anthropic"}
    if not isinstance(usage, dict):
        return model
    # The vendor's input count leaves out what was read from and written to its cache.
    cached = _count(usage, "cache_read_input_tokens")
    fresh = _count(usage, "input_tokens") + _count(usage, "cache_creation_input_tokens")
    return model | {
        "llm.token_count.prompt": fresh + cached,
        "llm.token_count.completion": _count(usage, "output_tokens"),
        "llm.token_count.prompt_details.cache_read": cached,
    }


def _object(line: bytes | None) -> JsonObject:
    try:
        found = orjson.loads(line or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(fields: JsonObject, key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _count(fields: JsonObject, key: str) -> int:
    value = fields.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _blocks(entry: JsonObject) -> list[JsonObject]:
    message = entry.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return (
        [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    )


def _texts_of(blocks: list[JsonObject]) -> str:
    return "\n".join(_text(block, "text") for block in blocks if _text(block, "type") == "text")


def _result_text(content: JsonValue) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return _texts_of([block for block in content if isinstance(block, dict)])
    return orjson.dumps(content).decode()
