"""
One run of the agent, from its journal to its end.

A run takes over what its journal holds, goes on from there, and always ends
with a record that says how. What was recorded and checked is kept whatever the
end was.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from halo_daemon.analyzer.agent.budget import Budget, Ledger
from halo_daemon.analyzer.agent.clock import Clock
from halo_daemon.analyzer.agent.compaction import CompactionSettings
from halo_daemon.analyzer.agent.contrast_tools import ContrastTools
from halo_daemon.analyzer.agent.errors import EngineError, JournalMismatchError
from halo_daemon.analyzer.agent.events import Emitter, EventSink, RunEnded, discard_event
from halo_daemon.analyzer.agent.findings_book import FindingsBook
from halo_daemon.analyzer.agent.inner_model import InnerModel
from halo_daemon.analyzer.agent.journal import MAX_RESUMES, Journal
from halo_daemon.analyzer.agent.messages import Message
from halo_daemon.analyzer.agent.model import ChatModel
from halo_daemon.analyzer.agent.prompts import load_prompt
from halo_daemon.analyzer.agent.queries import QueryLog
from halo_daemon.analyzer.agent.requester import Requester
from halo_daemon.analyzer.agent.sandbox import Sandboxes, SandboxSettings, why_unavailable
from halo_daemon.analyzer.agent.spec import AgentOutcome, Surroundings
from halo_daemon.analyzer.agent.toolbox import RedactionCount, Tool
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.agent.trace_tools import TraceTools
from halo_daemon.analyzer.agent.tree import Tree, TreeSettings
from halo_daemon.analyzer.agent.turns import ContextWindow
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.findings import Finding
from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.redact import redact_text

_BYTES_PER_TOKEN = 3.6
_ANSWER_SHARE = 0.1
_LEAST_ANSWER_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class RoleModel:
    """A model in one of its roles."""

    model: ChatModel
    name: str
    price: Price | None = None
    max_output_tokens: int | None = None
    window_tokens: int | None = None
    """None takes what is known of the model's family."""


@dataclass(frozen=True, slots=True)
class RunModels:
    """Which model does what; the same one may do everything."""

    root: RoleModel
    subagent: RoleModel
    synthesis: RoleModel
    compaction: RoleModel

    @classmethod
    def all_by(cls, model: RoleModel) -> "RunModels":
        """One model for everything."""
        return cls(model, model, model, model)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How one run works."""

    tree: TreeSettings = field(default_factory=TreeSettings)
    budget: Budget = field(default_factory=Budget)
    compaction: CompactionSettings = field(default_factory=CompactionSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    request_timeout_s: float = 600.0
    emit_checkpoints: bool = False
    emit_extras: bool = False
    clock: Clock = field(default_factory=Clock)


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What a run leaves behind."""

    status: Literal["complete", "partial"]
    reason: str
    outcome: AgentOutcome
    book: FindingsBook
    ledger: Ledger
    source: TraceSource
    redacted_values: int
    model: RoleModel
    budget: Budget
    journal_path: Path | None
    missing: Mapping[str, str]
    """Kinds of tools that could not answer, and why."""


class Run:
    """One run: put together once, run once."""

    def __init__(
        self,
        run_id: str,
        models: RunModels,
        source: TraceSource,
        settings: RunSettings,
        *,
        rule_findings: Sequence[Finding] = (),
        more_tools: Sequence[Tool[Any]] = (),
        missing: Mapping[str, str] | None = None,
        journal_path: Path | None = None,
        is_replay: bool = False,
        sink: EventSink = discard_event,
    ) -> None:
        """
        Put a run together; nothing is read or sent.

        Args:
            run_id: Names the run; the ids of its agents follow from it.

            models: Who answers.

            source: The traces it may look at.

            settings: Limits and habits.

            rule_findings: What rules found, the gravest first; the root's starting point.

            more_tools: Tools beside those over traces.

            missing: Kinds of tools that cannot answer, and why.

            journal_path: Where each step is kept; None keeps nothing.

            is_replay: Answer from the journal alone.

            sink: Receives events.
        """
        self._run_id = run_id
        self._models = models
        self._source = source
        self._settings = settings
        self._rule_findings = rule_findings
        self._more_tools = more_tools
        self._missing = {**(missing or {})}
        if why := why_unavailable(settings.sandbox):
            self._missing["run_code"] = why
        self._journal_path = journal_path
        self._is_replay = is_replay
        self._emitter = Emitter(sink)
        self._ledger = Ledger(settings.budget, settings.clock.monotonic_s)
        self._redacted = RedactionCount()
        self._queries = QueryLog()
        self._book = FindingsBook(
            source, self._queries, frozenset(f.finding_id for f in rule_findings)
        )

    async def go(self, task: Sequence[Message]) -> RunEnd:
        """
        Run to the end, or to whatever stops it.

        Raises:
            JournalMismatchError: The journal belongs to another run, or a replay came
                to a request that was not recorded.
            asyncio.CancelledError: The caller cancelled; the journal says so.
        """
        masked = [replace(m, content=redact_text(m.content).text) for m in task]
        sandboxes = Sandboxes(self._settings.sandbox)
        try:
            journal = Journal(
                self._journal_path,
                elapsed_s=lambda: self._ledger.elapsed_s,
                is_replay=self._is_replay,
            )
        except EngineError:
            return self._end(AgentOutcome("partial", "journal", "", 0, 0))
        try:
            return await self._go_on(journal, sandboxes, masked)
        finally:
            sandboxes.close()
            journal.close()

    async def _go_on(
        self, journal: Journal, sandboxes: Sandboxes, task: Sequence[Message]
    ) -> RunEnd:
        try:
            journal.start(self._identity(task))
            journal.write("capability", missing={**self._missing})
            self._restore(journal)
            if journal.recorded.resumes >= MAX_RESUMES and not journal.is_replay:
                return self._end(self._stopped("resumed_too_often"), journal)
            async with asyncio.timeout(self._deadline_s()):
                # Counted before the first turn, so that no tool's time limit meets it.
                await asyncio.to_thread(self._source.count)
                outcome = await self._tree(journal, sandboxes).run(task)
        except JournalMismatchError:
            raise
        except TimeoutError:
            # Something that is not a request hung; what was recorded is kept.
            return self._end(self._stopped("seconds"), journal)
        except EngineError:
            return self._end(self._stopped("journal"), journal)
        except asyncio.CancelledError:
            self._end(self._stopped("cancelled"), journal)
            raise
        return self._end(outcome, journal)

    def _deadline_s(self) -> float | None:
        remaining_s = self._ledger.remaining_s
        return None if remaining_s == float("inf") else max(0.0, remaining_s)

    def cancelled_end(self) -> RunEnd:
        """What a cancelled run leaves behind."""
        return self._end_of(self._stopped("cancelled"))

    def _identity(self, task: Sequence[Message]) -> JsonObject:
        """What must be the same for a resumed run; written first."""
        tree = self._settings.tree
        return {
            "run_id": self._run_id,
            "model": self._models.root.name,
            "task": [message.to_json() for message in task],
            "prompts": [load_prompt("root"), load_prompt("subagent"), tree.dataset_context],
            "window": [self._source.window.from_unix_ns, self._source.window.to_unix_ns],
            "rule_findings": [finding.finding_id for finding in self._rule_findings],
            "limits": [tree.root_turns, tree.subagent_turns, tree.maximum_depth],
        }

    def _restore(self, journal: Journal) -> None:
        recorded, spent = journal.recorded, self._ledger.spent
        for usage, usd in recorded.usages:
            self._ledger.add(usage, usd)
        spent.tokens += recorded.lost_tokens
        spent.requests = recorded.requests
        spent.subagent_ids |= recorded.subagent_ids
        spent.earlier_seconds = recorded.elapsed_s
        self._book.restore(recorded.findings)

    def _tree(self, journal: Journal, sandboxes: Sandboxes) -> Tree:
        traces = TraceTools(self._source, self._queries)
        models = self._models
        root = self._surroundings(models.root, journal)
        subagents = root
        if models.subagent is not models.root:
            subagents = self._surroundings(models.subagent, journal)
        window_bytes = root.window.tokens * _BYTES_PER_TOKEN * _ANSWER_SHARE
        answer_bytes = max(
            _LEAST_ANSWER_BYTES, min(self._settings.tree.answer_budget_bytes, int(window_bytes))
        )
        return Tree(
            settings=replace(self._settings.tree, answer_budget_bytes=answer_bytes),
            run_id=self._run_id,
            source=self._source,
            book=self._book,
            root=root,
            subagents=subagents,
            synthesis=self._requester(models.synthesis, journal),
            rule_findings=self._rule_findings,
            shared_tools=[
                *traces.tools(),
                *ContrastTools(self._source, traces).tools(),
                *self._more_tools,
            ],
            sandboxes=sandboxes,
            redacted=self._redacted,
        )

    def _surroundings(self, role: RoleModel, journal: Journal) -> Surroundings:
        compacting = InnerModel(self._requester(self._models.compaction, journal), "compaction")
        return Surroundings(
            requester=self._requester(role, journal),
            journal=journal,
            ledger=self._ledger,
            emitter=self._emitter,
            window=ContextWindow.of(role.name, role.window_tokens),
            compaction=self._settings.compaction,
            summarise=compacting.summarise,
            emit_checkpoints=self._settings.emit_checkpoints,
            emit_extras=self._settings.emit_extras,
        )

    def _requester(self, role: RoleModel, journal: Journal) -> Requester:
        return Requester(
            model=role.model,
            ledger=self._ledger,
            journal=journal,
            clock=self._settings.clock,
            price=role.price,
            request_timeout_s=self._settings.request_timeout_s,
            max_output_tokens=role.max_output_tokens,
        )

    def _stopped(self, reason: str) -> AgentOutcome:
        return AgentOutcome("partial", reason, "", self._ledger.spent.turns, 0)

    def _end(self, outcome: AgentOutcome, journal: Journal | None = None) -> RunEnd:
        end = self._end_of(outcome)
        if journal is not None:
            spent = self._ledger.spent
            try:
                journal.write(
                    "run_end",
                    status=outcome.status,
                    reason=outcome.reason,
                    detail=outcome.detail,
                    turns=spent.turns,
                    requests=spent.requests,
                    tokens=spent.tokens,
                    usd=spent.usd,
                )
                journal.sync_now()
            except EngineError:
                # The disk is what ended the run; the report still says everything.
                end = replace(end, status="partial", reason=end.reason or "journal")
        if self._settings.emit_extras:
            self._emitter.emit(
                RunEnded(
                    status=end.status,
                    reason=end.reason or None,
                    detail=outcome.detail,
                    hint=outcome.hint,
                )
            )
        return end

    def _end_of(self, outcome: AgentOutcome) -> RunEnd:
        return RunEnd(
            status=outcome.status,
            reason=outcome.reason,
            outcome=outcome,
            book=self._book,
            ledger=self._ledger,
            source=self._source,
            redacted_values=self._redacted.values,
            model=self._models.root,
            budget=self._settings.budget,
            journal_path=self._journal_path,
            missing=self._missing,
        )


MakeRun = Callable[[EventSink], Run]
"""Puts a run together around the place where its events go."""
