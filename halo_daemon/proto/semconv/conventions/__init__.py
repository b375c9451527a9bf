"""All conventions; which one wins is a field of each, ties go to the one that stands first."""

from typing import Final

from halo_daemon.proto.semconv.conventions.agents import (
    ADK,
    AGENTCORE,
    AUTOGEN,
    BEEAI,
    CREWAI,
    DSPY,
    KOOG,
    NAMED_RUNS,
    SMOLAGENTS,
    STRANDS,
)
from halo_daemon.proto.semconv.conventions.coding_agents import (
    CLAUDE_API,
    CLAUDE_CODE,
    CODEX,
    COPILOT,
    GEMINI_CLI,
    QWEN_CODE,
)
from halo_daemon.proto.semconv.conventions.frameworks import (
    AGENTSCOPE,
    HAYSTACK,
    LANGTRACE,
    LOONGSUITE,
    N8N,
    SPRING_AI,
    SPRING_AI_KIND,
)
from halo_daemon.proto.semconv.conventions.gateways import LITELLM, PORTKEY
from halo_daemon.proto.semconv.conventions.genai import GENAI, GENAI_OLD, GENAI_REQUESTED
from halo_daemon.proto.semconv.conventions.halo import HALO
from halo_daemon.proto.semconv.conventions.langchain import LANGSMITH, LANGSMITH_KIND
from halo_daemon.proto.semconv.conventions.langfuse import LANGFUSE
from halo_daemon.proto.semconv.conventions.llama_index import LLAMA_INDEX
from halo_daemon.proto.semconv.conventions.mastra import MASTRA, MASTRA_FIRST
from halo_daemon.proto.semconv.conventions.mlflow import GENKIT, MLFLOW
from halo_daemon.proto.semconv.conventions.observers import LANGWATCH, TRACEROOT
from halo_daemon.proto.semconv.conventions.openinference import OPENINFERENCE
from halo_daemon.proto.semconv.conventions.plain import PLAIN
from halo_daemon.proto.semconv.conventions.platforms import (
    BRAINTRUST,
    COMMON_KEYS,
    FLUE,
    LIVEKIT,
    PIPECAT,
    PROVIDERS_ANSWER,
    VLLM,
)
from halo_daemon.proto.semconv.conventions.pydantic_ai import PYDANTIC_AI, PYDANTIC_AI_PLAIN
from halo_daemon.proto.semconv.conventions.sdks import (
    AGENT_FRAMEWORK,
    AGENTOPS,
    CONFIDENT,
    OPENAI_AGENTS,
)
from halo_daemon.proto.semconv.conventions.traceloop import TRACELOOP
from halo_daemon.proto.semconv.conventions.vercel import VERCEL, VERCEL_PROVIDER
from halo_daemon.proto.semconv.rows import Convention

CONVENTIONS: Final[tuple[Convention, ...]] = (
    HALO,
    LANGFUSE,
    LANGSMITH_KIND,
    OPENINFERENCE,
    SPRING_AI_KIND,
    GENAI,
    VERCEL_PROVIDER,
    GENAI_OLD,
    GENAI_REQUESTED,
    TRACELOOP,
    VERCEL,
    LANGSMITH,
    PYDANTIC_AI,
    PYDANTIC_AI_PLAIN,
    NAMED_RUNS,
    SMOLAGENTS,
    BEEAI,
    CREWAI,
    AUTOGEN,
    DSPY,
    ADK,
    STRANDS,
    AGENTCORE,
    KOOG,
    AGENTOPS,
    AGENT_FRAMEWORK,
    OPENAI_AGENTS,
    CONFIDENT,
    CLAUDE_CODE,
    CLAUDE_API,
    CODEX,
    GEMINI_CLI,
    QWEN_CODE,
    COPILOT,
    HAYSTACK,
    SPRING_AI,
    MASTRA,
    MASTRA_FIRST,
    AGENTSCOPE,
    LITELLM,
    PORTKEY,
    LLAMA_INDEX,
    LOONGSUITE,
    LANGTRACE,
    N8N,
    LANGWATCH,
    TRACEROOT,
    MLFLOW,
    GENKIT,
    LIVEKIT,
    PIPECAT,
    VLLM,
    FLUE,
    BRAINTRUST,
    COMMON_KEYS,
    PROVIDERS_ANSWER,
    PLAIN,
)
