"""
A root agent and its sub-agents: one budget, one journal, one book of findings.

Rule 1: a sub-agent's id follows from its parent and the call that started it,
so a resumed run gives the same work to the same agent.

Rule 2: parallel sub-agents of one depth share a bound of their own, so a parent
that waits for its child never keeps a grandchild from running.

Rule 3: a sub-agent that fails never fails its parent; what it found stays.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from halo_daemon.analyzer.agent.agent_tools import AgentTools, finding_row
from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.conversation import Conversation
from halo_daemon.analyzer.agent.errors import EngineMaxDepthExceededError, EngineToolError
from halo_daemon.analyzer.agent.events import FindingEvent
from halo_daemon.analyzer.agent.final_answer import FinalAnswer
from halo_daemon.analyzer.agent.findings_book import FindingsBook
from halo_daemon.analyzer.agent.host_functions import host_functions
from halo_daemon.analyzer.agent.inner_model import InnerModel
from halo_daemon.analyzer.agent.loop import Agent
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall
from halo_daemon.analyzer.agent.prompts import load_prompt
from halo_daemon.analyzer.agent.requester import Requester
from halo_daemon.analyzer.agent.sandbox import Sandboxes, why_unavailable
from halo_daemon.analyzer.agent.spec import AgentOutcome, AgentSpec, Surroundings
from halo_daemon.analyzer.agent.toolbox import RedactionCount, Tool, Toolbox
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.findings import Finding
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import redact_value

_DIGEST_CALL_ID = "digest-0"
_DIGEST_ROWS = 30
_SUBAGENT_TIMEOUT_S = 24 * 3600.0


class CallSubagentArguments(ToolArguments):
    """Give one closed question to another analyst with the same tools, who sees only this
    text: say what to look at, which traces, and what to answer.
    """

    input: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """How many agents, how deep, how long."""

    root_name: str = "root"
    subagent_name: str = "subagent"
    root_turns: int = 20
    subagent_turns: int = 20
    refusal_retries: int = 0
    subagent_refusal_retries: int = 0
    final_answer_reprompts: int = 1
    maximum_depth: int = 2
    maximum_parallel_subagents: int = 4
    answer_budget_bytes: int = 150_000
    dataset_context: str = ""
    """What the operator says of the traced application; joins every system prompt."""

    tools_allowed: frozenset[str] = frozenset()
    """Names of the tools on offer; empty means all."""

    tools_denied: frozenset[str] = frozenset()


@dataclass(slots=True)
class Tree:
    """Everything one run needs to make agents."""

    settings: TreeSettings
    run_id: str
    source: TraceSource
    book: FindingsBook
    root: Surroundings
    subagents: Surroundings
    """As *root*, with the sub-agents' model."""

    synthesis: Requester
    rule_findings: Sequence[Finding]
    shared_tools: Sequence[Tool[Any]]
    """Tools that know no agent: traces, repository."""

    sandboxes: Sandboxes
    redacted: RedactionCount = field(default_factory=RedactionCount)
    _turnstiles: dict[int, asyncio.Semaphore] = field(init=False)

    def __post_init__(self) -> None:
        """Bound the sub-agents of each depth."""
        limit = self.settings.maximum_parallel_subagents
        self._turnstiles = defaultdict(lambda: asyncio.Semaphore(limit))

    async def run(self, task: Sequence[Message]) -> AgentOutcome:
        """
        Run the root on *task*, with the digest of findings before it.

        Raises:
            JournalMismatchError: A resumed or replayed run took another way.
        """
        settings = self.settings
        spec = AgentSpec(
            agent_id=f"root-{_hex(self.run_id)}",
            name=settings.root_name,
            maximum_turns=settings.root_turns,
            system_prompt=self._system_prompt("root"),
            refusal_retries=settings.refusal_retries,
            final_answer_reprompts=settings.final_answer_reprompts,
        )
        return (await self._work(spec, self.root, [*task, *self._digest()]))[0]

    def _digest(self) -> list[Message]:
        """The rules' findings, as the answer of a call: data, not words of the user."""
        if not self.rule_findings:
            return []
        call = ToolCall(_DIGEST_CALL_ID, "get_findings", f'{{"limit": {_DIGEST_ROWS}}}')
        rows: list[JsonValue] = [finding_row(f) for f in self.rule_findings[:_DIGEST_ROWS]]
        answer: JsonObject = {"result": {"findings": rows, "total": len(self.rule_findings)}}
        text = json.dumps(redact_value(answer)[0], ensure_ascii=False)
        return [
            Message(Role.ASSISTANT, "", (call,)),
            Message(Role.TOOL, text, (), _DIGEST_CALL_ID, "get_findings"),
        ]

    async def _work(
        self, spec: AgentSpec, around: Surroundings, task: Sequence[Message]
    ) -> tuple[AgentOutcome, list[str]]:
        conversation = Conversation()
        own = AgentTools(
            spec,
            conversation,
            self.book,
            self.rule_findings,
            self.source,
            InnerModel(self.synthesis, spec.agent_id),
            self._on_recorded,
        )
        final = FinalAnswer(own.record_value)
        tools = [*self.shared_tools, *own.tools(), final.tool]
        session = None
        if spec.depth < self.settings.maximum_depth:
            tools.append(self._subagent_tool(spec))
        if not why_unavailable(self.sandboxes.settings):
            functions = host_functions(
                self.shared_tools,
                InnerModel(self.synthesis, spec.agent_id),
                budget_bytes=self.settings.answer_budget_bytes,
                redacted=self.redacted,
            )
            session = self.sandboxes.open_session(functions)
            tools.append(session.tool)
        toolbox = Toolbox(
            [tool for tool in tools if self._is_offered(tool.name)],
            budget_bytes=self.settings.answer_budget_bytes,
            redacted=self.redacted,
        )
        try:
            agent = Agent(spec, around, toolbox, final, conversation=conversation)
            return await agent.run(task), own.recorded
        finally:
            if session is not None:
                session.close()

    def _is_offered(self, name: str) -> bool:
        if name == "final_answer":
            return True
        allowed = self.settings.tools_allowed
        return (not allowed or name in allowed) and name not in self.settings.tools_denied

    def _system_prompt(self, name: str) -> str:
        context = self.settings.dataset_context
        text = load_prompt(name)
        return f"{text}\n\n## The traced application\n\n{context}" if context else text

    def _subagent_tool(self, parent: AgentSpec) -> Tool[CallSubagentArguments]:
        async def run(arguments: CallSubagentArguments, call: ToolCall) -> JsonObject:
            return await self._call_subagent(parent, arguments.input, call)

        return Tool(
            "call_subagent",
            CallSubagentArguments,
            run,
            is_wrapped=False,
            is_pure=False,
            timeout_s=_SUBAGENT_TIMEOUT_S,
        )

    async def _call_subagent(self, parent: AgentSpec, task: str, call: ToolCall) -> JsonObject:
        if parent.depth >= self.settings.maximum_depth:
            raise EngineMaxDepthExceededError(
                f"cannot go deeper than {self.settings.maximum_depth} (`maximum_depth`)"
            )
        ledger = self.root.ledger
        agent_id = f"sub-{_hex(f'{self.run_id}/{parent.agent_id}/{call.call_id}')}"
        if not ledger.take_subagent(agent_id):
            raise EngineToolError(
                f"not started: {ledger.budget.subagents} sub-agents were started in this run",
                hint="look yourself",
            )
        spec = AgentSpec(
            agent_id=agent_id,
            name=self.settings.subagent_name,
            maximum_turns=self.settings.subagent_turns,
            system_prompt=self._system_prompt("subagent"),
            depth=parent.depth + 1,
            parent_agent_id=parent.agent_id,
            parent_tool_call_id=call.call_id,
            refusal_retries=self.settings.subagent_refusal_retries,
        )
        emitter = self.root.emitter
        tokens_before = ledger.spent.tokens
        async with self._turnstiles[spec.depth]:
            first = emitter.next_sequence
            outcome, recorded = await self._work(spec, self.subagents, [Message(Role.USER, task)])
        findings = [self.book.findings[i] for i in recorded if i in self.book.findings]
        return {
            "child_agent_id": spec.agent_id,
            "answer": outcome.answer or f"(no answer: {outcome.reason})",
            "output_start_sequence": first,
            "output_end_sequence": emitter.next_sequence - 1,
            "turns_used": outcome.turns,
            "tool_calls_made": outcome.tool_calls,
            "status": outcome.status,
            "reason": outcome.reason or None,
            "findings": [finding_row(finding) for finding in findings],
            "tokens_used": ledger.spent.tokens - tokens_before,
        }

    def _on_recorded(self, agent_id: str, finding: Finding) -> None:
        self.root.journal.write("finding", agent_id=agent_id, finding=self.book.to_record(finding))
        if self.root.emit_extras:
            self.root.emitter.emit(
                FindingEvent(
                    agent_id=agent_id,
                    finding_id=finding.finding_id,
                    title=finding.title,
                    verified=finding.verified,
                )
            )


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
