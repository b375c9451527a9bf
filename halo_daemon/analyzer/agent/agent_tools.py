"""The tools that belong to one agent: its memory, its findings, its helpers."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from pydantic import Field

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.conversation import Conversation
from halo_daemon.analyzer.agent.digests import digest
from halo_daemon.analyzer.agent.drafts import DraftFinding
from halo_daemon.analyzer.agent.errors import EngineToolError
from halo_daemon.analyzer.agent.findings_book import FindingsBook
from halo_daemon.analyzer.agent.inner_model import InnerModel
from halo_daemon.analyzer.agent.messages import ToolCall
from halo_daemon.analyzer.agent.spec import AgentSpec
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.findings import Finding, severity_rank
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.redact import redact_value

MAX_SYNTHESIZED = 50


class ContextItemArguments(ToolArguments):
    """Read an earlier item of this conversation again, in full or in parts."""

    item_id: str
    offset: int = Field(default=0, ge=0)
    """First character."""

    limit: int = Field(default=20_000, ge=1, le=100_000)
    """Characters."""


class GetFindingsArguments(ToolArguments):
    """List the findings so far: what rules found, and what this run has recorded."""

    status: list[str] = Field(default_factory=list)
    """States, such as `new` or `ongoing`; empty means any."""

    category: str = ""
    min_severity: Literal["critical", "high", "medium", "low", "info"] = "info"
    limit: int = Field(default=50, ge=1, le=500)


class GetFindingArguments(ToolArguments):
    """Read one finding with its counts and all its evidence."""

    finding_id: str


class SynthesizeArguments(ToolArguments):
    """Have a model compare digests of up to 50 traces (task, output, errors, tools, steps)."""

    trace_ids: list[str] = Field(min_length=1)
    focus: str | None = None
    """What to compare."""


@dataclass(slots=True)
class AgentTools:
    """Builds the tools of one agent around what the run shares."""

    spec: AgentSpec
    conversation: Conversation
    book: FindingsBook
    rule_findings: Sequence[Finding]
    source: TraceSource
    synthesis: InnerModel
    on_recorded: Callable[[str, Finding], None] = lambda *_: None
    recorded: list[str] = field(default_factory=list)
    """Ids of the findings that this agent recorded, in order."""

    def tools(self) -> list[Tool[Any]]:
        """The tools to offer."""
        return [
            Tool(
                "get_context_item",
                ContextItemArguments,
                self.get_context_item,
                is_wrapped=False,
                is_pure=False,
            ),
            Tool("get_findings", GetFindingsArguments, self.get_findings, is_pure=False),
            Tool("get_finding", GetFindingArguments, self.get_finding, is_pure=False),
            Tool("record_finding", DraftFinding, self.record_finding, is_pure=False),
            Tool("synthesize_traces", SynthesizeArguments, self.synthesize, is_wrapped=False),
        ]

    async def get_context_item(self, arguments: ContextItemArguments, _: ToolCall) -> JsonObject:
        """A part of the original of an item."""
        entry = self.conversation.find(arguments.item_id)
        if entry is None:
            known = ", ".join(self.conversation.item_ids[-20:])
            raise EngineToolError(f"no item `{arguments.item_id[:80]}`", hint=f"newest: {known}")
        message = entry.original
        end = arguments.offset + arguments.limit
        item: JsonObject = {
            "item_id": arguments.item_id,
            "role": message.role.value,
            "content": message.content[arguments.offset : end],
            "content_chars": len(message.content),
            "tool_calls": [call.to_json() for call in message.tool_calls] or None,
            "tool_call_id": message.tool_call_id or None,
            "name": message.name or None,
            "is_compacted": entry.is_compacted,
            "compaction_summary": entry.shown.content if entry.is_compacted else None,
            "agent_id": self.spec.agent_id,
            "parent_agent_id": self.spec.parent_agent_id,
            "parent_tool_call_id": self.spec.parent_tool_call_id,
        }
        if end < len(message.content):
            more: JsonObject = {"item_id": arguments.item_id, "offset": end}
            return {"item": item, "next": {"tool": "get_context_item", "arguments": more}}
        return {"item": item}

    async def get_findings(self, arguments: GetFindingsArguments, _: ToolCall) -> JsonObject:
        """Short rows, the gravest first."""
        lowest = severity_rank(arguments.min_severity)
        rows = [
            finding
            for finding in self._all_findings()
            if severity_rank(finding.severity) <= lowest
            and arguments.category in finding.category
            and (not arguments.status or finding.state in arguments.status)
        ]
        rows.sort(key=lambda finding: (severity_rank(finding.severity), finding.finding_id))
        return {
            "findings": [finding_row(finding) for finding in rows[: arguments.limit]],
            "total": len(rows),
        }

    async def get_finding(self, arguments: GetFindingArguments, _: ToolCall) -> JsonObject:
        """The whole record."""
        for finding in self._all_findings():
            if finding.finding_id == arguments.finding_id:
                fields: JsonObject = finding.model_dump(mode="json", by_alias=True)
                return fields
        raise EngineToolError(
            f"no finding `{arguments.finding_id[:40]}`", hint="take ids from `get_findings`"
        )

    async def record_finding(self, arguments: DraftFinding, _: ToolCall) -> JsonObject:
        """Check a draft and keep it."""
        answer = await self.book.record(arguments)
        self._note(str(answer["finding_id"]))
        return answer

    async def record_value(self, value: JsonValue) -> str:
        """Record a finding of a final answer; returns what is wrong, else ``""``."""
        before = {*self.book.findings}
        problem = await self.book.record_value(value)
        for finding_id in self.book.findings:
            if finding_id not in before:
                self._note(finding_id)
        return problem

    async def synthesize(self, arguments: SynthesizeArguments, _: ToolCall) -> JsonObject:
        """Summarise digests of traces; unknown ids are named."""
        wanted = list(dict.fromkeys(arguments.trace_ids))
        text, missing = await asyncio.to_thread(self._digests, wanted[:MAX_SYNTHESIZED])
        if not text:
            raise EngineToolError("cannot summarise: none of these traces exists")
        instruction = f"Summarise these traces. {arguments.focus or ''}".strip()
        summary = await self.synthesis.ask("synthesis", instruction, text)
        left_out: list[JsonValue] = [*wanted[MAX_SYNTHESIZED:]]
        return {"summary": summary, "missing_trace_ids": missing, "not_read_trace_ids": left_out}

    def _digests(self, trace_ids: list[str]) -> tuple[str, list[JsonValue]]:
        """Digests of the traces that exist, one a line, and the ids of the others."""
        lines: list[str] = []
        missing: list[JsonValue] = []
        for trace_id in trace_ids:
            try:
                masked = redact_value(digest(self.source.load(trace_id)))[0]
            except EngineToolError:
                missing.append(trace_id)
            else:
                lines.append(orjson.dumps(masked).decode())
        return "\n".join(lines), missing

    def _all_findings(self) -> list[Finding]:
        return [*self.rule_findings, *self.book.findings.values()]

    def _note(self, finding_id: str) -> None:
        if finding_id not in self.recorded:
            self.recorded.append(finding_id)
        finding = self.book.findings.get(finding_id)
        if finding is not None:
            self.on_recorded(self.spec.agent_id, finding)


def finding_row(finding: Finding) -> JsonObject:
    """A finding in a few words, with two spans to begin with."""
    counts = finding.counts
    return {
        "finding_id": finding.finding_id,
        "title": finding.title,
        "category": finding.category,
        "severity": finding.severity,
        "state": finding.state,
        "source": finding.source,
        "verified": finding.verified,
        "affected_traces": counts.affected_traces,
        "eligible_traces": counts.eligible_traces,
        "examples": [
            {"trace_id": row.trace_id, "span_id": row.span_id, "role": row.role}
            for row in finding.evidence[:2]
        ],
    }
