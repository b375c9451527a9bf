"""Who an agent is, what all agents of a run share, and how an agent ends."""

from dataclasses import dataclass, field
from typing import Literal

from halo_daemon.analyzer.agent.budget import Ledger
from halo_daemon.analyzer.agent.compaction import CompactionSettings, Summarise
from halo_daemon.analyzer.agent.events import Emitter
from halo_daemon.analyzer.agent.journal import Journal
from halo_daemon.analyzer.agent.requester import Requester
from halo_daemon.analyzer.agent.turns import ContextWindow


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """Who an agent is and how long it may work."""

    agent_id: str
    name: str
    maximum_turns: int
    system_prompt: str
    depth: int = 0
    parent_agent_id: str | None = None
    parent_tool_call_id: str | None = None
    refusal_retries: int = 0
    final_answer_reprompts: int = 1

    @property
    def is_root(self) -> bool:
        """Whether it is the first agent of the run."""
        return self.depth == 0


@dataclass(frozen=True, slots=True)
class AgentOutcome:
    """How an agent ended; ``answer`` is its best text, ``""`` when it has none."""

    status: Literal["complete", "partial"]
    reason: str
    answer: str
    turns: int
    tool_calls: int
    detail: str = ""
    """What stands behind the reason, for people; ``""`` when the reason says it all."""

    hint: str = ""
    questions: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()


@dataclass(slots=True)
class Surroundings:
    """What all agents of one run share."""

    requester: Requester
    journal: Journal
    ledger: Ledger
    emitter: Emitter
    window: ContextWindow
    compaction: CompactionSettings = field(default_factory=CompactionSettings)
    summarise: Summarise | None = None
    emit_checkpoints: bool = False
    emit_extras: bool = False
    """Whether events beyond HALO's are told."""
