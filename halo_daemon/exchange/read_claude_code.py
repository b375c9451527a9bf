"""
Claude Code's session files: one file is one session, one trace for each thing a user asked.

Sub-agents have files of their own, or stand as side chains between the lines of the session,
several at a time: each line names the one before it.
"""

from collections.abc import Iterator
from typing import Final

import orjson

from halo_daemon.exchange.draft import Draft, leftovers, request_of
from halo_daemon.exchange.incoming import Incoming, Input, Request, Skipped
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.json_records import json_records
from halo_daemon.exchange.record_files import UNREADABLE
from halo_daemon.exchange.values import count, mapping, objects, text, texts_of
from halo_daemon.proto.json_value import JsonObject, JsonValue

SOURCE: Final = "claude-code"

_QUIET: Final = frozenset(
    ["system", "summary", "file-history-snapshot", "attachment", "progress", "queue-operation"]
)
"""Lines that hold nothing a span could."""

_KNOWN: Final = frozenset(
    [
        "type",
        "uuid",
        "parentUuid",
        "sessionId",
        "timestamp",
        "cwd",
        "version",
        "gitBranch",
        "isSidechain",
        "message",
        "userType",
        "requestId",
        "toolUseResult",
    ]
)
_TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
_ERROR_CHARS = 500
_INTERRUPTED: Final = "[Request interrupted by user"
_NOT_ASKED: Final = ("<local-command-stdout>", "<local-command-stderr>", _INTERRUPTED)
"""How a user's message begins that the program itself writes."""


def read_claude_code(source: Input) -> Iterator[Incoming]:
    """Read one session; a new trace begins where a user says something that is no tool result."""
    session = _Session(source.name)
    for record in json_records(source):
        if record.value is None:
            yield Skipped(record.reason, record.where)
            continue
        try:
            found = session.take(record.value, record.where)
        except UNREADABLE:
            found = Skipped("not a session entry", record.where)
        if found is not None:
            yield found
    yield from session.finish()


class _Session:
    """The running state of one file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: set[str] = set()
        self._main: _Turn | None = None
        self._sides: list[_Turn] = []
        """Turns of side chains under way."""
        self._side_of: dict[str, _Turn] = {}
        """To which of them a line belongs, by its id."""

    def take(self, entry: JsonObject, where: str) -> Incoming | None:
        """Take one line; returns the trace that it ends, or why it is left out."""
        kind = text(entry.get("type"))
        is_side = entry.get("isSidechain") is True
        turn = self._side(entry) if is_side else self._main
        uuid = text(entry.get("uuid")) or f"{self._name}/{where}"
        if kind in _QUIET:
            if is_side and turn is not None:
                self._side_of[uuid] = turn
            return None
        if kind not in {"user", "assistant"}:
            return Skipped(f"unknown type {kind[:40]}" if kind else "not a session entry", where)
        # Sessions that were resumed repeat the lines before.
        if uuid in self._seen:
            return None
        self._seen.add(uuid)
        blocks = _blocks(entry)
        may_begin = kind == "user" and not _has_results(blocks)
        finished = None
        if may_begin and (turn is None or not _goes_on(entry, blocks)):
            finished = self._end(turn)
            turn = self._begin(_Turn(entry, uuid, self._name, blocks), is_side=is_side)
        elif turn is None:
            return Skipped("before the first question", where)
        else:
            turn.take(entry, uuid, blocks)
        if is_side:
            self._side_of[uuid] = turn
        return finished

    def finish(self) -> list[Request]:
        """The traces under way."""
        turns = [self._main, *self._sides]
        return [found for turn in turns if turn and (found := turn.request())]

    def _side(self, entry: JsonObject) -> "_Turn | None":
        """The turn of the line before; of a line whose own is not known, the last one."""
        before = text(entry.get("parentUuid"))
        turn = self._side_of.get(before)
        if turn is None and before and before not in self._seen and self._sides:
            turn = self._sides[-1]
        return turn

    def _begin(self, turn: "_Turn", *, is_side: bool) -> "_Turn":
        if is_side:
            self._sides.append(turn)
        else:
            self._main = turn
        return turn

    def _end(self, turn: "_Turn | None") -> Request | None:
        if turn in self._sides:
            self._sides.remove(turn)
        return None if turn is None else turn.request()


class _Turn:
    """What follows one question, up to the next."""

    def __init__(self, entry: JsonObject, uuid: str, name: str, blocks: list[JsonObject]) -> None:
        self._uuid = uuid
        self._was_asked = not _goes_on(entry, blocks)
        self._clock = iso_unix_ns(entry.get("timestamp"))
        self._session: JsonObject = {"session.id": text(entry.get("sessionId")) or name}
        self._resource: JsonObject = {
            "service.name": SOURCE,
            "service.version": text(entry.get("version")),
            "import.claude-code.cwd": text(entry.get("cwd")),
            "import.claude-code.git_branch": text(entry.get("gitBranch")),
        }
        is_sidechain = entry.get("isSidechain") is True
        question: JsonObject = {
            "input.value": _said(blocks),
            "agent.name": "subagent" if is_sidechain else SOURCE,
            "import.claude-code.sidechain": True if is_sidechain else None,
            **dict(leftovers(SOURCE, entry, _KNOWN)),
        }
        self._root = self._draft("turn", "turn", "AGENT", question)
        self._root.parent = ""
        self._drafts = [self._root]
        self._answers: dict[str, Draft] = {}
        self._usage: dict[str, dict[str, int]] = {}
        self._calls: dict[str, Draft] = {}

    def take(self, entry: JsonObject, uuid: str, blocks: list[JsonObject]) -> None:
        """Add what came after the question."""
        if entry.get("type") == "assistant":
            self._take_answer(entry, uuid, blocks)
        elif _has_results(blocks):
            self._take_results(entry, blocks)
        else:
            self._take_told(entry, blocks)

    def _take_answer(self, entry: JsonObject, uuid: str, blocks: list[JsonObject]) -> None:
        """Add what the model said; one answer may come in several lines with one usage."""
        message = mapping(entry.get("message"))
        answer = text(message.get("id")) or uuid
        draft = self._answers.get(answer)
        if draft is None:
            model = text(message.get("model"))
            draft = self._draft(answer, model or "answer", "LLM", {"llm.provider": "anthropic"})
            draft.attributes["llm.model_name"] = model or None
            self._answers[answer] = draft
            self._drafts.append(draft)
        draft.attributes |= self._usage_of(answer, mapping(message.get("usage")))
        draft.attributes["llm.finish_reason"] = text(message.get("stop_reason")) or (
            draft.attributes.get("llm.finish_reason")
        )
        self._clock = iso_unix_ns(entry.get("timestamp")) or self._clock
        draft.end_unix_ns = self._clock
        _append(draft, "import.claude-code.thinking", _thought(blocks))
        said = _said(blocks)
        _append(draft, "output.value", said)
        if said:
            self._root.attributes["output.value"] = said
        if entry.get("isApiErrorMessage") is True:
            draft.error = said[:_ERROR_CHARS]
        for block in blocks:
            if block.get("type") == "tool_use":
                self._take_call(block, f"{answer}/{len(self._drafts)}")

    def _take_results(self, entry: JsonObject, blocks: list[JsonObject]) -> None:
        """End the calls whose results came."""
        self._clock = iso_unix_ns(entry.get("timestamp")) or self._clock
        for block in blocks:
            call = self._calls.get(text(block.get("tool_use_id")))
            if call is None:
                continue
            call.end_unix_ns = self._clock
            call.attributes["output.value"] = output = _result_text(block.get("content"))
            if block.get("is_error") is True:
                call.error = output[:_ERROR_CHARS]

    def _take_told(self, entry: JsonObject, blocks: list[JsonObject]) -> None:
        """Add what the program told the model in the user's place, or that the user stopped it."""
        said = _said(blocks)
        if said.startswith(_INTERRUPTED):
            self._clock = iso_unix_ns(entry.get("timestamp")) or self._clock
            self._root.attributes["import.claude-code.aborted"] = "interrupted"
        else:
            _append(self._root, "import.claude-code.told", said)

    def request(self) -> Request | None:
        """The trace of this turn; None for what nobody asked and nobody answered."""
        if len(self._drafts) == 1 and not self._was_asked:
            return None
        self._root.end_unix_ns = self._clock
        return Request(request_of(SOURCE, self._drafts, resource=self._resource))

    def _take_call(self, block: JsonObject, fallback: str) -> None:
        call_id = text(block.get("id")) or fallback
        tool = text(block.get("name")) or "tool"
        arguments = orjson.dumps(block.get("input")).decode()
        call = self._draft(call_id, tool, "TOOL", {"tool.name": tool, "input.value": arguments})
        self._calls[call_id] = call
        self._drafts.append(call)

    def _usage_of(self, answer: str, usage: JsonObject) -> JsonObject:
        """The answer's tokens so far: its lines repeat one usage, or the last is complete."""
        if not usage:
            return {}
        seen = self._usage.setdefault(answer, {})
        for key in _TOKENS:
            seen[key] = max(seen.get(key, 0), count(usage.get(key)) or 0)
        # The vendor's input count leaves out what was read from and written to its cache.
        cached, written = seen["cache_read_input_tokens"], seen["cache_creation_input_tokens"]
        return {
            "llm.token_count.prompt": seen["input_tokens"] + cached + written,
            "llm.token_count.completion": seen["output_tokens"],
            "llm.token_count.total": sum(seen.values()),
            "llm.token_count.prompt_details.cache_read": cached,
            "llm.token_count.prompt_details.cache_write": written,
        }

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


def _has_results(blocks: list[JsonObject]) -> bool:
    return any(block.get("type") == "tool_result" for block in blocks)


def _goes_on(entry: JsonObject, blocks: list[JsonObject]) -> bool:
    """Whether a user's message belongs to the turn under way: the program wrote it itself."""
    is_written = any(entry.get(key) is True for key in ("isMeta", "isCompactSummary"))
    return is_written or _said(blocks).startswith(_NOT_ASKED)


def _append(draft: Draft, key: str, more: str) -> None:
    if more:
        before = draft.attributes.get(key)
        draft.attributes[key] = f"{before}\n{more}" if before else more


def _blocks(entry: JsonObject) -> list[JsonObject]:
    content = mapping(entry.get("message")).get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects(content)


def _said(blocks: list[JsonObject]) -> str:
    return texts_of([block for block in blocks if block.get("type") == "text"])


def _thought(blocks: list[JsonObject]) -> str:
    thoughts = [text(block.get("thinking")) for block in blocks if block.get("type") == "thinking"]
    return "\n".join(filter(None, thoughts))


def _result_text(content: JsonValue) -> str:
    if isinstance(content, str):
        return content
    said = texts_of(content) if isinstance(content, list) else ""
    return said or orjson.dumps(content).decode()
