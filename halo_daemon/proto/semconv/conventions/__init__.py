"""All conventions; which one wins is a field of each, ties go to the one that stands first."""

from typing import Final

from halo_daemon.proto.semconv.conventions.agents import (
    ADK,
    AUTOGEN,
    BEEAI,
    CREWAI,
    KOOG,
    NAMED_RUNS,
    SMOLAGENTS,
    STRANDS,
)
from halo_daemon.proto.semconv.conventions.coding_agents import (
    CLAUDE_API,
    CLAUDE_CODE,
    CODEX,
    GEMINI_CLI,
)
from halo_daemon.proto.semconv.conventions.frameworks import (
    HAYSTACK,
    LANGTRACE,
    LITELLM,
    LOONGSUITE,
    N8N,
    SPRING_AI,
)
from halo_daemon.proto.semconv.conventions.genai import GENAI, GENAI_OLD, GENAI_REQUESTED
from halo_daemon.proto.semconv.conventions.halo import HALO
from halo_daemon.proto.semconv.conventions.langchain import LANGSMITH, LANGSMITH_KIND
from halo_daemon.proto.semconv.conventions.langfuse import LANGFUSE
from halo_daemon.proto.semconv.conventions.mlflow import GENKIT, MLFLOW
from halo_daemon.proto.semconv.conventions.openinference import OPENINFERENCE
from halo_daemon.proto.semconv.conventions.plain import PLAIN
from halo_daemon.proto.semconv.conventions.platforms import (
    BRAINTRUST,
    COMMON_KEYS,
    FLUE,
    LIVEKIT,
    PROVIDERS_ANSWER,
)
from halo_daemon.proto.semconv.conventions.pydantic_ai import PYDANTIC_AI, PYDANTIC_AI_PLAIN
from halo_daemon.proto.semconv.conventions.traceloop import TRACELOOP
from halo_daemon.proto.semconv.conventions.vercel import VERCEL, VERCEL_PROVIDER
from halo_daemon.proto.semconv.rows import Convention

CONVENTIONS: Final[tuple[Convention, ...]] = (
    HALO,
    LANGFUSE,
    LANGSMITH_KIND,
    OPENINFERENCE,
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
    ADK,
    STRANDS,
    KOOG,
    CLAUDE_CODE,
    CLAUDE_API,
    CODEX,
    GEMINI_CLI,
    HAYSTACK,
    SPRING_AI,
    LITELLM,
    LOONGSUITE,
    LANGTRACE,
    N8N,
    MLFLOW,
    GENKIT,
    LIVEKIT,
    FLUE,
    BRAINTRUST,
    COMMON_KEYS,
    PROVIDERS_ANSWER,
    PLAIN,
)
