"""
Codex rollout files: one file is one session, one trace for each thing a user asked.

Spans come from what the model saw (``response_item``), the bounds of a turn and its
tokens from what the screen showed (``event_msg``). Files of older versions hold the
items alone, without an envelope.
"""

from collections.abc import Iterator
from typing import Final

from halo_daemon.exchange.draft import Draft, request_of
from halo_daemon.exchange.incoming import Incoming, Input, Request, Skipped
from halo_daemon.exchange.iso_times import iso_unix_ns
from halo_daemon.exchange.json_records import json_records
from halo_daemon.exchange.record_files import UNREADABLE
from halo_daemon.exchange.values import as_text, count, mapping, text, texts_of
from halo_daemon.proto.json_value import JsonObject

SOURCE: Final = "codex"

_CALLS: Final = frozenset(
    ["function_call", "custom_tool_call", "local_shell_call", "web_search_call", "tool_search_call"]
)
_OUTPUTS: Final = frozenset(
    [
        "function_call_output",
        "custom_tool_call_output",
        "local_shell_call_output",
        "tool_search_output",
    ]
)
_ENVELOPES: Final = frozenset(
    ["session_meta", "turn_context", "response_item", "event_msg", "compacted"]
)
_TOKENS: Final = (
    ("input_tokens", "llm.token_count.prompt"),
    ("output_tokens", "llm.token_count.completion"),
    ("cached_input_tokens", "llm.token_count.prompt_details.cache_read"),
    ("reasoning_output_tokens", "llm.token_count.completion_details.reasoning"),
)


def read_codex(source: Input) -> Iterator[Incoming]:
    """Read one session."""
    session = _Session(source.name)
    for record in json_records(source):
        if record.value is None:
            yield Skipped(record.reason, record.where)
            continue
        try:
            finished = _take(session, record.value)
        except UNREADABLE:
            yield Skipped("not a session entry", record.where)
            continue
        if finished is not None:
            yield finished if isinstance(finished, Request) else Skipped(finished, record.where)
    last = session.finish()
    if last is not None:
        yield last


def _take(session: "_Session", entry: JsonObject) -> Request | str | None:
    """Take one line; returns the trace that it ends, or why it is left out."""
    kind = text(entry.get("type"))
    payload = entry.get("payload")
    unix_ns = iso_unix_ns(entry.get("timestamp"))
    if isinstance(payload, dict):
        if kind in _ENVELOPES:
            return session.take(kind, payload, unix_ns)
        return f"unknown type {kind[:40]}" if kind else "not a session entry"
    if kind in _CALLS | _OUTPUTS | {"message", "reasoning"}:
        return session.take("response_item", entry, unix_ns)
    if "id" in entry and not kind:
        return session.take("session_meta", entry, unix_ns)
    if "record_type" in entry:
        return None
    return f"unknown type {kind[:40]}" if kind else "not a session entry"


class _Session:
    """The running state of one file."""

    def __init__(self, name: str) -> None:
        self._id = name
        self._has_meta = False
        self._resource: JsonObject = {"service.name": SOURCE}
        self._model = ""
        self._turns = 0
        self._clock: int | None = None
        self._drafts: list[Draft] = []
        self._answer: Draft | None = None
        """The model call under way: its parts come as items of their own."""
        self._calls: dict[str, Draft] = {}
        self._tokens: dict[str, int] = {}
        self._early_tokens: dict[str, int] = {}
        """Counted before the call that they belong to was seen."""
        self._has_bounds = False
        """Whether the file tells where turns begin; else the user's messages do."""

    def take(self, kind: str, payload: JsonObject, unix_ns: int | None) -> Request | None:
        """Take one entry; returns the trace that it ends, if any."""
        started_ns, self._clock = self._clock, unix_ns or self._clock
        if kind == "session_meta":
            # A session that was forked off another repeats that one's lines behind its own first.
            if self._has_meta and payload.get("id") != self._id:
                return None
            self._has_meta = True
            self._id = text(payload.get("id")) or self._id
            git = mapping(payload.get("git"))
            self._resource |= {
                "service.version": text(payload.get("cli_version")),
                "import.codex.cwd": text(payload.get("cwd")),
                "import.codex.git_branch": text(git.get("branch")),
            }
        elif kind == "turn_context":
            self._model = text(payload.get("model")) or self._model
        elif kind == "event_msg":
            return self._take_event(payload)
        elif kind == "response_item":
            return self._take_item(payload, started_ns)
        return None

    def finish(self) -> Request | None:
        """The trace under way; None when there is none."""
        if not self._drafts:
            return None
        self._drafts[0].end_unix_ns = self._clock
        drafts, self._drafts, self._calls, self._answer = self._drafts, [], {}, None
        return Request(request_of(SOURCE, drafts, resource=self._resource))

    def _take_event(self, payload: JsonObject) -> Request | None:
        kind = text(payload.get("type"))
        if kind == "token_count":
            self._count_tokens(payload)
        elif kind == "task_started":
            self._has_bounds = True
            return self._begin()
        elif kind == "turn_aborted" and self._drafts:
            self._drafts[0].attributes["import.codex.aborted"] = (
                text(payload.get("reason")) or "aborted"
            )
        elif kind == "error" and self._drafts:
            self._drafts[0].error = text(payload.get("message"))
        return None

    def _count_tokens(self, payload: JsonObject) -> None:
        total = mapping(payload.get("info")).get("total_token_usage")
        if not isinstance(total, dict):
            return
        # Totals run over the whole session; a span has what came since the one before.
        for key, _ in _TOKENS:
            now = count(total.get(key)) or 0
            new = max(0, now - self._tokens.get(key, 0))
            self._tokens[key] = max(now, self._tokens.get(key, 0))
            self._early_tokens[key] = self._early_tokens.get(key, 0) + new
        answer = next((one for one in reversed(self._drafts) if one.kind == "LLM"), None)
        if answer is not None:
            for key, target in _TOKENS:
                earlier = count(answer.attributes.get(target)) or 0
                answer.attributes[target] = earlier + self._early_tokens.get(key, 0)
            self._early_tokens = {}

    def _take_item(self, payload: JsonObject, started_ns: int | None) -> Request | None:
        kind, role = text(payload.get("type")), text(payload.get("role"))
        if kind == "message" and role == "user":
            return self._ask(texts_of(payload.get("content")))
        if not self._drafts or role in {"developer", "system"}:
            return None
        if kind in {"message", "reasoning"}:
            self._say(payload, started_ns)
        elif kind in _CALLS:
            self._call(payload, started_ns)
        elif kind in _OUTPUTS:
            self._output(payload)
        return None

    def _begin(self) -> Request | None:
        """Begin a turn; returns the one before."""
        if len(self._drafts) == 1 and not self._drafts[0].attributes.get("output.value"):
            return None
        finished = self.finish()
        self._turns += 1
        self._drafts = [self._draft("turn", "turn", "AGENT", {"agent.name": SOURCE})]
        return finished

    def _ask(self, question: str) -> Request | None:
        # What the program tells the model about its surroundings comes as a user's
        # message before the question.
        goes_on = self._drafts and (self._has_bounds or len(self._drafts) == 1)
        finished = None if goes_on else self._begin()
        root = self._drafts[0].attributes
        before = root.get("input.value")
        root["input.value"] = f"{before}\n{question}" if before else question
        return finished

    def _model_call(self, started_ns: int | None) -> Draft:
        if self._answer is None:
            draft = self._draft(
                f"answer-{len(self._drafts)}",
                self._model or "answer",
                "LLM",
                {"llm.model_name": self._model or None, "llm.provider": "openai"},
            )
            draft.start_unix_ns = started_ns or self._clock
            self._drafts.append(draft)
            self._answer = draft
        self._answer.end_unix_ns = self._clock
        return self._answer

    def _say(self, payload: JsonObject, started_ns: int | None) -> None:
        draft = self._model_call(started_ns)
        is_message = payload.get("type") == "message"
        said = texts_of(payload.get("content") or payload.get("summary"))
        key = "output.value" if is_message else "import.codex.reasoning"
        before = draft.attributes.get(key)
        draft.attributes[key] = f"{before}\n{said}" if before and said else said or before
        if is_message:
            self._drafts[0].attributes["output.value"] = said

    def _call(self, payload: JsonObject, started_ns: int | None) -> None:
        self._model_call(started_ns)
        tool = text(payload.get("name")) or text(payload.get("type")).removesuffix("_call")
        arguments = payload.get("arguments") or payload.get("input") or payload.get("action")
        call = text(payload.get("call_id")) or text(payload.get("id")) or str(len(self._drafts))
        attributes: JsonObject = {"tool.name": tool, "input.value": as_text(arguments)}
        self._calls[call] = self._draft(call, tool, "TOOL", attributes)
        self._drafts.append(self._calls[call])

    def _output(self, payload: JsonObject) -> None:
        # The model speaks next in a call of its own.
        self._answer = None
        call = self._calls.get(text(payload.get("call_id")))
        if call is None:
            return
        call.end_unix_ns = self._clock
        output = payload.get("output")
        if isinstance(output, dict):
            if output.get("success") is False:
                call.error = ""
            output = output.get("content", output)
        call.attributes["output.value"] = as_text(output)

    def _draft(self, span: str, name: str, kind: str, attributes: JsonObject) -> Draft:
        return Draft(
            f"{self._id}/{self._turns}",
            span,
            name,
            kind,
            self._clock,
            parent="" if kind == "AGENT" else "turn",
            attributes={"session.id": self._id, **attributes},
        )
