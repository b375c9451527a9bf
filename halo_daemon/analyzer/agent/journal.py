r"""
Every step of a run, on disk before its effect is used.

Theory of operation
===================

The journal is one JSON object a line. It records what cannot be computed
again: answers of models, answers of tools, findings, and the decisions that
depended on money or time. Everything else of a run is a function of these, so
resuming is running the same loop again: recorded answers come from the
journal, and the first one that is missing comes from the model. Replay is the
same with no model behind it.

Rule 1: a line counts once its newline is written; a torn last line is cut off
when the journal is opened, and its step happens again.

Rule 2: an answer is found by the hash of its exact request, so a changed
prompt, tool or result is noticed, never answered with something else.

Rule 3: long texts stand beside the journal, under their hash, written before
the line that names them.

Rule 4: the disk is waited for in one thread of the journal's own, so a slow sync
never keeps other agents from going on, and the file is not closed under it.
"""

import asyncio
import hashlib
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self, TypeVar, cast

import orjson

from halo_daemon.analyzer.agent.errors import Action, EngineError, JournalMismatchError
from halo_daemon.analyzer.agent.messages import Message, Usage, as_object, as_text
from halo_daemon.analyzer.agent.model import Finish, ModelReply
from halo_daemon.proto.json_value import JsonObject, JsonValue

MAX_INLINE_BYTES = 64 * 1024
"""Texts beyond this stand in files of their own."""

MAX_RESUMES = 3
"""A run is resumed this often; then it is closed as partial."""

_PARTS_SUFFIX = ".parts"
_ENDS_ASKING = frozenset({Action.SHRINK, Action.WITHHOLD, Action.STOP})
_Argument = TypeVar("_Argument")
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Recorded:
    """What a journal holds of an earlier attempt; empty for a new run."""

    start: JsonObject = field(default_factory=dict)
    resumes: int = 0
    elapsed_s: float = 0.0
    requests: int = 0
    lost_tokens: int = 0
    """Estimates of requests that were sent and have no answer."""

    usages: list[tuple[Usage, float]] = field(default_factory=list)
    """What each answer used, and what it cost in dollars."""

    findings: list[JsonObject] = field(default_factory=list)
    end: JsonObject = field(default_factory=dict)
    """The record of the run's end; empty when it did not end."""

    replies: dict[tuple[str, str], deque[ModelReply]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    plans: dict[tuple[str, int], JsonObject] = field(default_factory=dict)
    tool_answers: dict[tuple[str, str], str] = field(default_factory=dict)
    subagent_ids: set[str] = field(default_factory=set)
    _unanswered: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, record: JsonObject, read_part: Callable[[str], str]) -> None:
        """Take over one line, in order."""
        self.elapsed_s = max(self.elapsed_s, cast("float", record.get("elapsed_s", 0.0)))
        agent_id = as_text(record.get("agent_id"))
        match record.get("type"):
            case "run_start":
                self.start = record
            case "resume":
                self.resumes += 1
            case "request":
                self._take_request(agent_id, record)
            case "retry":
                # What ends the asking is recorded too; nothing was sent after it.
                self.requests += record.get("action") not in _ENDS_ASKING
            case "response":
                self._take_response(agent_id, record)
            case "tool_result":
                part = as_text(record.get("part"))
                text = read_part(part) if part else as_text(record.get("answer"))
                self.tool_answers[agent_id, as_text(record.get("call_id"))] = text
            case "finding":
                self.findings.append(as_object(record.get("finding")))
            case "agent_start":
                self.subagent_ids |= {agent_id} if record.get("parent_agent_id") else set()
            case "run_end":
                self.end = record

    def close(self) -> None:
        """Sum up what has no answer, once all lines are taken."""
        self.lost_tokens = sum(self._unanswered.values())

    def _take_request(self, agent_id: str, record: JsonObject) -> None:
        self.requests += 1
        sha256 = as_text(record.get("sha256"))
        self._unanswered[agent_id, sha256] = cast("int", record.get("estimated_tokens", 0))
        if "plan" in record:
            turn = cast("int", record["turn"])
            self.plans[agent_id, turn] = as_object(record["plan"])

    def _take_response(self, agent_id: str, record: JsonObject) -> None:
        sha256 = as_text(record.get("sha256"))
        self._unanswered.pop((agent_id, sha256), None)
        usage = Usage.from_json(as_object(record["usage"]))
        self.usages.append((usage, cast("float", record.get("usd", 0.0))))
        reply = ModelReply(
            message=Message.from_json(as_object(record["message"])),
            finish=Finish(as_text(record["finish"])),
            usage=usage,
            reasoning=as_text(record.get("reasoning")),
            request_id=as_text(record.get("request_id")),
        )
        self.replies[agent_id, sha256].append(reply)


class Journal:
    """
    The journal of one run, appended to as the run goes on.

    A journal without a path keeps nothing, for runs that need no resuming.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        elapsed_s: Callable[[], float] = lambda: 0.0,
        is_replay: bool = False,
    ) -> None:
        """
        Open *path*, reading what an earlier attempt left there.

        Args:
            path: The file; made when it is missing. None keeps nothing.

            elapsed_s: Seconds of the run so far, written with each record.

            is_replay: Read only: nothing is written, and nothing may be missing.

        Raises:
            EngineError: The file cannot be read or written.
        """
        self.elapsed_s = elapsed_s
        self.is_replay = is_replay
        self.recorded = Recorded()
        self._path = path
        self._file: BinaryIO | None = None
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        if path is None:
            return
        with self._as_engine_error():
            path.parent.mkdir(parents=True, exist_ok=True)
            complete_bytes = self._read(path)
            if not is_replay:
                self._file = path.open("ab")
                self._file.truncate(complete_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, fields: JsonObject) -> None:
        """
        Write what the run is about, or compare it with what is written.

        Raises:
            JournalMismatchError: The journal was written for something else.
        """
        known = self.recorded.start
        if not known:
            self.write("run_start", **fields)
            return
        different = [key for key, value in fields.items() if known.get(key) != value]
        if different:
            raise JournalMismatchError(
                f"cannot resume {self._path}: changed since it was written: {', '.join(different)}",
                hint="start a new run",
            )
        self.write("resume")

    def write(self, kind: str, **fields: JsonValue) -> None:
        """
        Append one record and hand it to the operating system.

        Raises:
            EngineError: The disk refuses.
        """
        if self._file is None:
            return
        record = {"type": kind, "elapsed_s": round(self.elapsed_s(), 3), **fields}
        with self._as_engine_error():
            self._file.write(orjson.dumps(record) + b"\n")
            self._file.flush()

    async def write_tool_result(
        self, agent_id: str, call_id: str, answer: str, duration_ms: int
    ) -> None:
        """Append a tool's answer; a long one goes to a file of its own first."""
        fields: JsonObject = {"agent_id": agent_id, "call_id": call_id, "duration_ms": duration_ms}
        raw = answer.encode("utf-8", "replace")
        if self._file is None or len(raw) <= MAX_INLINE_BYTES:
            self.write("tool_result", **fields, answer=answer)
            return
        with self._as_engine_error():
            part = await self._off_the_loop(self._write_part, raw)
        self.write("tool_result", **fields, part=part)

    async def sync(self) -> None:
        """
        Force what was written to the disk; called once a turn.

        Raises:
            EngineError: The disk refuses.
        """
        if self._file is not None:
            with self._as_engine_error():
                await self._off_the_loop(os.fsync, self._file.fileno())

    def sync_now(self) -> None:
        """As `sync`, blocking: for the end of a run, which nothing may interrupt."""
        if self._file is not None:
            with self._as_engine_error():
                self._disk.submit(os.fsync, self._file.fileno()).result()

    def close(self) -> None:
        """Close the file, after a sync that is on its way. Idempotent."""
        self._disk.shutdown(wait=True)
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _off_the_loop(
        self, work: Callable[[_Argument], _Result], argument: _Argument
    ) -> _Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, work, argument)

    def take_reply(self, agent_id: str, sha256: str) -> ModelReply | None:
        """The recorded answer to exactly this request, each one once; None when there is none."""
        replies = self.recorded.replies.get((agent_id, sha256))
        return replies.popleft() if replies else None

    def plan(self, agent_id: str, turn: int) -> JsonObject | None:
        """What was decided for a turn; None when it was not reached."""
        return self.recorded.plans.get((agent_id, turn))

    def tool_answer(self, agent_id: str, call_id: str) -> str | None:
        """The recorded answer to a tool call; None when there is none."""
        return self.recorded.tool_answers.get((agent_id, call_id))

    def _read(self, path: Path) -> int:
        complete_bytes = 0
        for line in _complete_lines(path):
            try:
                record = as_object(orjson.loads(line))
                self.recorded.take(record, self._read_part)
            except (orjson.JSONDecodeError, KeyError, ValueError, OSError):
                # What follows a damaged line was built on it: the run goes on from here.
                break
            complete_bytes += len(line)
        self.recorded.close()
        return complete_bytes

    def _read_part(self, sha256: str) -> str:
        return self._part_path(sha256).read_text("utf-8")

    def _write_part(self, raw: bytes) -> str:
        sha256 = hashlib.sha256(raw).hexdigest()
        path = self._part_path(sha256)
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return sha256

    def _part_path(self, sha256: str) -> Path:
        assert self._path is not None
        return self._path.with_name(self._path.name + _PARTS_SUFFIX) / f"{sha256}.txt"

    @contextmanager
    def _as_engine_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise EngineError(
                f"cannot write the journal {self._path}: {exc.strerror or exc}",
                hint="free some space and resume the run",
            ) from exc


def _complete_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def read_journal(path: Path) -> Iterator[JsonObject]:
    """
    The records of a journal, in order, for people; a torn last line is left out.

    Raises:
        EngineError: There is no such file.
    """
    if not path.exists():
        raise EngineError(f"cannot read the journal {path}: no such file")
    for line in _complete_lines(path):
        try:
            yield as_object(orjson.loads(line))
        except orjson.JSONDecodeError:
            return
