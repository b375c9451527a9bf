"""Mastra, today's spans and those of its first releases."""

from typing import Final

from halo_daemon.proto.semconv import messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import CONTENT, kinds, quoted
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, EMBEDDING, LLM, RETRIEVER, TOOL

_MASTRA_KINDS: Final = {
    "agent_run": AGENT,
    "model_generation": LLM,
    "model_inference": LLM,
    # Inside of a generation: its usage is the one that counts.
    "model_step": CHAIN,
    "model_chunk": CHAIN,
    "tool_call": TOOL,
    "mcp_tool_call": TOOL,
    "client_tool_call": TOOL,
    "rag_embedding": EMBEDDING,
    "rag_vector_operation": RETRIEVER,
    "processor_run": CHAIN,
    "workflow_run": CHAIN,
    "workflow_step": CHAIN,
    "workflow_conditional": CHAIN,
    "workflow_conditional_eval": CHAIN,
    "workflow_parallel": CHAIN,
    "workflow_loop": CHAIN,
    "workflow_sleep": CHAIN,
    "workflow_wait_event": CHAIN,
    "generic": CHAIN,
}


def _of_each(name: str) -> tuple[str, ...]:
    """The key of that name for each type of span."""
    return tuple(f"mastra.{span_type}.{name}" for span_type in _MASTRA_KINDS)


MASTRA: Final = Convention(
    id="MA",
    title="Mastra",
    rank=60,
    prefixes=("mastra.",),
    rows=(
        row(targets.KIND, "mastra.span.type", read=kinds(_MASTRA_KINDS)),
        row(targets.INPUT_MESSAGES, *_of_each("input"), read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, *_of_each("output"), read=messages.OUTPUT, only=ON_LLMS),
        row(targets.INPUT_VALUE, *_of_each("input"), read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, *_of_each("output"), read=CONTENT, only=NOT_ON_LLMS),
        row(
            targets.TOOL_NAME,
            "mastra.tool_call.toolId",
            "mastra.mcp_tool_call.toolId",
            only=ON_TOOLS,
        ),
        row(targets.SESSION, "mastra.metadata.threadId", "mastra.metadata.sessionId"),
        row(targets.USER, "mastra.metadata.userId"),
    ),
)

_MASTRA_RUNS: Final = (
    "agent.generate",
    "agent.stream",
    "agent.generateLegacy",
    "agent.streamLegacy",
    "agent.generateVNext",
    "agent.streamVNext",
    "agent.network",
)

MASTRA_FIRST: Final = Convention(
    id="MA",
    title="Mastra, its first releases",
    rank=60,
    rows=(
        row(
            targets.INPUT_VALUE,
            *(f"{name}.argument.0" for name in _MASTRA_RUNS),
            read=quoted(CONTENT),
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            *(f"{name}.result" for name in _MASTRA_RUNS),
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(targets.AGENT_NAME, "componentName", only=ON_AGENTS),
        row(targets.SESSION, "threadId"),
        row(targets.USER, "resourceId"),
    ),
    names=tuple(NameRow(name, AGENT) for name in _MASTRA_RUNS),
    # The tracer's name is the application's, so the names of its attributes tell.
    signs=tuple(f"{name}.argument.0" for name in _MASTRA_RUNS),
)
