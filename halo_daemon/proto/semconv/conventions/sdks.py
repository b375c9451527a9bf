"""Agent SDKs of vendors, and tracing products that name kinds of spans in keys of their own."""

from typing import Final

from halo_daemon.proto.semconv import messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_MODEL_CALLS,
    ON_RETRIEVERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.listed import DOCUMENT_LIST
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, always, kinds
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, GUARDRAIL, LLM, TOOL

_STEPS: Final = ("session", "workflow", "task", "operation", "chain")


def _of_each_kind(name: str) -> tuple[str, ...]:
    """AgentOps' key of that name, as older and as newer releases spell it."""
    return (
        f"agentops.entity.{name}",
        *(f"agentops.{kind}.{name}" for kind in (*_STEPS, "agent", "tool")),
    )


AGENTOPS: Final = Convention(
    id="AO",
    title="AgentOps",
    rank=60,
    prefixes=("agentops.",),
    rows=(
        row(
            targets.KIND,
            "agentops.span.kind",
            read=kinds(COMMON | dict.fromkeys(_STEPS, CHAIN) | {"agentic": AGENT, "text": CHAIN}),
        ),
        row(targets.AGENT_NAME, "operation.name", only=ON_AGENTS),
        row(targets.TOOL_NAME, "operation.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, *_of_each_kind("input"), read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "tool.parameters", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, *_of_each_kind("input"), read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "tool.result", read=CONTENT, only=ON_TOOLS),
        row(targets.OUTPUT_VALUE, *_of_each_kind("output"), read=CONTENT, only=NOT_ON_LLMS),
    ),
    signs=("agentops.*",),
)

AGENT_FRAMEWORK: Final = Convention(
    id="MS",
    title="Microsoft Agent Framework and Semantic Kernel, what runs around their calls",
    rank=60,
    prefixes=("executor.", "edge_group."),
    rows=(
        row(
            targets.WEAK_KIND,
            "executor.id",
            "edge_group.type",
            "sk.available_functions",
            read=always(CHAIN),
        ),
    ),
    names=(
        NameRow("workflow.run", CHAIN),
        NameRow("workflow.build", CHAIN),
        NameRow("executor.process *", CHAIN),
        NameRow("executor.process", CHAIN),
        NameRow("edge_group.process *", CHAIN),
        NameRow("edge_group.process", CHAIN),
        NameRow("message.send", CHAIN),
        NameRow("AutoFunctionInvocationLoop", CHAIN),
    ),
    scopes=("agent_framework", "Microsoft.Agents", "semantic_kernel", "Microsoft.SemanticKernel"),
    signs=("executor.id", "edge_group.type", "sk.available_functions"),
)

OPENAI_AGENTS: Final = Convention(
    id="OA",
    title="OpenAI Agents SDK through Logfire",
    rank=60,
    rows=(
        row(targets.AGENT_NAME, "name", only=ON_AGENTS),
        row(targets.TOOL_NAME, "name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "input", read=CONTENT, only=ON_TOOLS),
        row(targets.SESSION, "group_id"),
    ),
    # The names are templates: what stands in their place is in the attributes.
    names=(
        NameRow("Function: {name}", TOOL),
        NameRow("Function: *", TOOL),
        NameRow("Agent run: {name!r}", AGENT),
        NameRow("Agent run: *", AGENT),
        NameRow("Handoff: *", CHAIN),
        NameRow("Guardrail *", GUARDRAIL),
        NameRow("Responses API*", LLM),
        NameRow("Chat completion with *", LLM),
        NameRow("OpenAI Agents trace: *", CHAIN),
        NameRow("Custom span: *", CHAIN),
    ),
    scopes=("logfire.openai_agents",),
)

CONFIDENT: Final = Convention(
    id="CF",
    title="DeepEval, Confident AI",
    rank=60,
    prefixes=("confident.",),
    rows=(
        row(
            targets.KIND,
            "confident.span.type",
            read=kinds(COMMON | {"custom": CHAIN, "base": CHAIN}),
        ),
        row(
            targets.MODEL,
            "confident.llm.model",
            "confident.retriever.embedder",
            only=ON_MODEL_CALLS,
        ),
        row(targets.PROVIDER, "confident.llm.provider", only=ON_MODEL_CALLS),
        row(targets.INPUT_TOKENS, "confident.llm.input_token_count", read=COUNT),
        row(targets.OUTPUT_TOKENS, "confident.llm.output_token_count", read=COUNT),
        row(targets.INPUT_MESSAGES, "confident.span.input", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "confident.span.output", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.INPUT_VALUE, "confident.span.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "confident.span.output", read=CONTENT, only=NOT_ON_LLMS),
        row(
            targets.DOCUMENTS,
            "confident.span.retrieval_context",
            read=DOCUMENT_LIST,
            only=ON_RETRIEVERS,
        ),
        row(targets.TOOL_NAME, "confident.span.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "confident.span.input", read=CONTENT, only=ON_TOOLS),
        row(targets.AGENT_NAME, "confident.span.name", only=ON_AGENTS),
        row(targets.SESSION, "confident.trace.thread_id"),
        row(targets.USER, "confident.trace.user_id"),
    ),
)
