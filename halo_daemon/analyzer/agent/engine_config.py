"""HALO's configuration objects, with the fields that halo-daemon adds; unknown keys are refused."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from halo_daemon.analyzer.agent.budget import Budget

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ModelConfig(_Config):
    """A model and how it is asked."""

    name: str = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    maximum_output_tokens: int | None = Field(default=None, gt=0)
    parallel_tool_calls: bool = True
    reasoning_effort: Effort | None = None
    """Left out when not set."""


class AgentConfig(_Config):
    """One kind of agent."""

    name: str
    model: ModelConfig
    maximum_turns: int = Field(gt=0)
    refusal_retries: int = Field(default=0, ge=0)
    final_answer_reprompts: int = Field(default=1, ge=0)


class ModelProviderConfig(_Config):
    """Where models are served; what is not set comes from the environment."""

    base_url: str | None = None
    """Else ``OPENAI_BASE_URL``."""

    api_key: SecretStr | None = None
    """Else ``OPENAI_API_KEY``."""

    default_headers: dict[str, str] | None = None


class TraceIndexConfig(_Config):
    """Accepted for compatibility; files are read whole and need no index."""

    index_path: Path | None = None
    index_dir: Path | None = None
    schema_version: int = 2


class PriceConfig(_Config):
    """What a model costs, in dollars for a million tokens."""

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)
    cached_input_usd: float | None = Field(default=None, ge=0)


class SandboxConfig(_Config):
    """Limits of `run_code`."""

    enabled: bool = True
    memory_mb: int = Field(default=256, gt=0)
    seconds: float = Field(default=30.0, gt=0)


class ToolsConfig(_Config):
    """Which tools are on offer."""

    allow: tuple[str, ...] = ()
    """Empty means all."""

    deny: tuple[str, ...] = ()


class EngineConfig(_Config):
    """One engine."""

    root_agent: AgentConfig
    subagent: AgentConfig
    synthesis_model: ModelConfig
    compaction_model: ModelConfig
    model_provider: ModelProviderConfig = Field(default_factory=ModelProviderConfig)
    trace_index: TraceIndexConfig = Field(default_factory=TraceIndexConfig)
    text_message_compaction_keep_last_messages: int = Field(default=12, ge=0)
    tool_call_compaction_keep_last_turns: int = Field(default=3, ge=0)
    maximum_depth: int = Field(default=2, ge=0)
    maximum_parallel_subagents: int = Field(default=4, gt=0)
    emit_run_checkpoints: bool = False
    dataset_context: str | None = None
    repo_path: Path | None = None
    budget: Budget = Field(default_factory=Budget)
    answer_budget_bytes: int = Field(default=150_000, ge=4_096)
    context_window: int | None = Field(default=None, gt=0)
    """Tokens; else known for the model, else learnt."""

    compact_at: float = Field(default=0.85, gt=0, le=1)
    api: Literal["auto", "chat", "responses"] = "auto"
    sandbox: SandboxConfig = Field(default_factory=SandboxConfig)
    journal_dir: Path | None = None
    """Where the run's journal is kept; a run in it that did not end is resumed by its id."""

    resume_from: str | None = None
    """Id of the run to resume."""

    tools: ToolsConfig = Field(default_factory=ToolsConfig)
    prices: dict[str, PriceConfig] = Field(default_factory=dict)
    """By the beginning of the model's name."""

    emit_extra_events: bool = False
    """Whether events beyond HALO's are told."""
