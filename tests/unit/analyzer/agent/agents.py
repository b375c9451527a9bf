"""Agents over scripted models, for the tests of this directory."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.budget import Budget, Ledger
from halo_daemon.analyzer.agent.clock import Clock
from halo_daemon.analyzer.agent.compaction import CompactionSettings, Summarise
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.events import Emitter, Event
from halo_daemon.analyzer.agent.final_answer import FinalAnswer
from halo_daemon.analyzer.agent.journal import Journal
from halo_daemon.analyzer.agent.loop import Agent
from halo_daemon.analyzer.agent.messages import Message, Role, ToolCall
from halo_daemon.analyzer.agent.model import ChatModel
from halo_daemon.analyzer.agent.requester import Requester
from halo_daemon.analyzer.agent.spec import AgentOutcome, AgentSpec, Surroundings
from halo_daemon.analyzer.agent.toolbox import Tool, Toolbox
from halo_daemon.analyzer.agent.turns import ContextWindow
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.testing.scripted_chat import call

FINISH = call("final_answer", answer="All is well.")
"""What a model says to end a run."""


def fault(action: Action = Action.RETRY, reason: str = "provider", **more) -> ModelError:
    """A failed request."""
    return ModelError("no", action=action, reason=reason, **more)


class LookArguments(ToolArguments):
    """Look at something."""

    topic: str = "all"
    """What to look at."""


@dataclass
class FakeClock:
    """Time that passes only while somebody waits."""

    now_s: float = 0.0
    waits_s: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        """Let *seconds* pass at once."""
        self.waits_s.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)

    @property
    def clock(self) -> Clock:
        """The clock that the agent takes; jitter is half of its range."""
        return Clock(lambda: self.now_s, self.sleep, lambda low, high: (low + high) / 2)


@dataclass
class Bench:
    """One agent with everything around it."""

    model: ChatModel
    budget: Budget = field(default_factory=Budget)
    maximum_turns: int = 20
    refusal_retries: int = 0
    window_tokens: int = 100_000
    journal_path: Path | None = None
    is_replay: bool = False
    price: Price | None = None
    answer: str = '{"seen": 1}'
    tools: Sequence[Tool[Any]] | None = None
    compaction: CompactionSettings = field(default_factory=CompactionSettings)
    summarise: Summarise | None = None
    max_output_tokens: int | None = 100
    looked: list[str] = field(default_factory=list)
    recorded: list[Any] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    time: FakeClock = field(default_factory=FakeClock)
    depth: int = 0
    on_look: Callable[[str], None] = lambda _: None

    def build(self) -> Agent:
        """Put the agent together."""
        clock = self.time.clock
        self.ledger = Ledger(self.budget, clock.monotonic_s)
        self.journal = Journal(
            self.journal_path,
            elapsed_s=lambda: self.ledger.elapsed_s,
            is_replay=self.is_replay,
        )
        requester = Requester(
            self.model,
            self.ledger,
            self.journal,
            clock,
            self.price,
            max_output_tokens=self.max_output_tokens,
        )
        around = Surroundings(
            requester,
            self.journal,
            self.ledger,
            Emitter(self.events.append),
            ContextWindow(self.window_tokens),
            self.compaction,
            self.summarise,
            emit_extras=True,
        )
        final = FinalAnswer(self._record)
        tools = [Tool("look", LookArguments, self._look, is_pure=False), *(self.tools or ())]
        spec = AgentSpec(
            "root-1",
            "root",
            self.maximum_turns,
            "You look.",
            depth=self.depth,
            refusal_retries=self.refusal_retries,
        )
        self.agent = Agent(spec, around, Toolbox([*tools, final.tool]), final)
        return self.agent

    async def run(self, task: str = "look") -> AgentOutcome:
        """Run the agent to its end."""
        agent = self.build()
        try:
            return await agent.run([Message(Role.USER, task)])
        finally:
            self.journal.close()

    async def _look(self, arguments: LookArguments, _: ToolCall) -> dict[str, Any]:
        self.looked.append(arguments.topic)
        self.on_look(arguments.topic)
        return {"seen": self.answer}

    async def _record(self, draft: Any) -> str:
        self.recorded.append(draft)
        return "" if isinstance(draft, dict) else "a finding is an object"
