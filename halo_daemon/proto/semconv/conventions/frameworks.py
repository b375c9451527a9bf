"""Frameworks with keys of their own: Haystack, Spring AI, Mastra and others."""

from typing import Final

from halo_daemon.proto.semconv import listed, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_MODEL_CALLS,
    ON_OTHERS,
    ON_RETRIEVERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import (
    CONTENT,
    COUNT,
    REASONS,
    TEXT,
    TRUE,
    always,
    at,
    at_first,
    containing,
    ending,
    kinds,
)
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import (
    AGENT,
    CHAIN,
    EMBEDDING,
    GUARDRAIL,
    LLM,
    RERANKER,
    RETRIEVER,
    TOOL,
)

_COMPONENTS: Final = {
    "Generator": LLM,
    "Embedder": EMBEDDING,
    "Retriever": RETRIEVER,
    "Ranker": RERANKER,
    "Agent": AGENT,
    "ToolInvoker": TOOL,
    "": CHAIN,
}
_REPLY: Final = ("haystack.component.output", "haystack.agent.step.llm.output")


def _of_reply(path: str) -> tuple[str, ...]:
    """Where a chat generator's and a text generator's answer keep what is at *path*."""
    return f"replies.0.meta.{path}", f"replies.0._meta.{path}", f"meta.0.{path}"


HAYSTACK: Final = Convention(
    id="HY",
    title="Haystack",
    rank=60,
    prefixes=("haystack.",),
    rows=(
        row(targets.KIND, "haystack.component.type", read=ending(_COMPONENTS)),
        row(targets.MODEL, *_REPLY, read=at_first(_of_reply("model"), TEXT), only=ON_MODEL_CALLS),
        row(
            targets.INPUT_TOKENS,
            *_REPLY,
            read=at_first(
                (*_of_reply("usage.prompt_tokens"), *_of_reply("usage.input_tokens")), COUNT
            ),
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_TOKENS,
            *_REPLY,
            read=at_first(
                (*_of_reply("usage.completion_tokens"), *_of_reply("usage.output_tokens")), COUNT
            ),
            only=ON_LLMS,
        ),
        row(
            targets.FINISH_REASONS,
            *_REPLY,
            read=at_first(_of_reply("finish_reason"), REASONS),
            only=ON_LLMS,
        ),
        row(
            targets.INPUT_MESSAGES,
            "haystack.component.input",
            "haystack.agent.step.llm.input",
            read=messages.INPUT,
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_MESSAGES,
            *_REPLY,
            read=at("replies", messages.OUTPUT),
            only=ON_LLMS,
        ),
        row(
            targets.TOOLS,
            "haystack.component.input",
            "haystack.agent.step.llm.input",
            read=listed.REQUEST_TOOLS,
            only=ON_LLMS,
        ),
        row(
            targets.DOCUMENTS,
            "haystack.component.output",
            read=listed.DOCUMENT_LIST,
            only=ON_RETRIEVERS,
        ),
        row(targets.TOOL_NAME, "haystack.tool.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "haystack.agent.step.tool.input", read=CONTENT, only=ON_TOOLS),
        row(
            targets.INPUT_VALUE,
            "haystack.component.input",
            "haystack.agent.input",
            "haystack.agent.step.tool.input",
            "haystack.pipeline.input_data",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "haystack.component.output",
            "haystack.agent.output",
            "haystack.agent.step.tool.output",
            "haystack.pipeline.output_data",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(targets.AGENT_NAME, "haystack.component.name", only=ON_AGENTS),
        row(targets.FAILURE, "haystack.tool.error", read=TRUE),
    ),
    names=(
        NameRow("haystack.agent.step.llm", LLM),
        NameRow("haystack.agent.step.tool", TOOL),
        NameRow("haystack.agent.step", CHAIN),
        NameRow("haystack.agent.run", AGENT),
        NameRow("haystack.pipeline.run", CHAIN),
        NameRow("haystack.async_pipeline.run", CHAIN),
    ),
)

_SPRING_KINDS: Final = {
    "chat_client": CHAIN,
    "advisor": CHAIN,
    "tool_call": TOOL,
    "vector_store": RETRIEVER,
}

SPRING_AI_KIND: Final = Convention(
    id="SP",
    title="Spring AI, the kind of an observation",
    # Its `gen_ai.operation.name` is `framework` on tools and clients alike.
    rank=35,
    rows=(row(targets.KIND, "spring.ai.kind", read=kinds(_SPRING_KINDS)),),
)

SPRING_AI: Final = Convention(
    id="SP",
    title="Spring AI",
    rank=60,
    prefixes=("spring.ai.",),
    rows=(
        row(targets.TOOL_NAME, "spring.ai.tool.definition.name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "spring.ai.tool.call.id", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "spring.ai.tool.call.arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "spring.ai.tool.call.arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.OUTPUT_VALUE, "spring.ai.tool.call.result", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "db.vector.query.content", read=CONTENT, only=ON_RETRIEVERS),
        row(targets.INPUT_VALUE, "spring.ai.chat.client.user.text", only=ON_OTHERS),
        row(
            targets.DOCUMENTS,
            "spring.ai.vector_store.query.response.documents",
            "db.vector.query.response.documents",
            read=listed.DOCUMENT_LIST,
            only=ON_RETRIEVERS,
        ),
        row(
            targets.SESSION,
            "spring.ai.chat.client.conversation.id",
            "spring.ai.chat.client.conversation_id",
        ),
    ),
)

LOONGSUITE: Final = Convention(
    id="LO",
    title="LoongSuite, Dify",
    rank=60,
    rows=(
        row(
            targets.KIND,
            "gen_ai.span.kind",
            "gen_ai.span_kind_name",
            read=kinds(COMMON | dict.fromkeys(("task", "step", "entry", "workflow"), CHAIN)),
        ),
        row(targets.MODEL, "gen_ai.model_name"),
        row(targets.SESSION, "gen_ai.session.id"),
        row(targets.USER, "gen_ai.user.id"),
    ),
)

LANGTRACE: Final = Convention(
    id="LT",
    title="Langtrace",
    rank=60,
    prefixes=("langtrace.",),
    rows=(
        row(
            targets.WEAK_KIND,
            "langtrace.service.type",
            read=kinds({"llm": LLM, "vectordb": RETRIEVER, "framework": CHAIN}),
        ),
        row(targets.MODEL, "llm.model", only=ON_MODEL_CALLS),
        row(targets.PROVIDER, "langtrace.service.name", only=ON_MODEL_CALLS),
        row(
            targets.INPUT_TOKENS,
            "llm.token.counts",
            read=at_first(("input_tokens", "prompt_tokens"), COUNT),
        ),
        row(
            targets.OUTPUT_TOKENS,
            "llm.token.counts",
            read=at_first(("output_tokens", "completion_tokens"), COUNT),
        ),
        row(targets.OUTPUT_MESSAGES, "llm.responses", read=messages.OUTPUT, only=ON_LLMS),
        row(
            targets.INPUT_VALUE,
            "langchain.inputs",
            "llamaindex.inputs",
            "db.query",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "langchain.outputs",
            "llamaindex.outputs",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
    ),
    signs=("langtrace.*",),
)

_NODES: Final = {
    "Tool": TOOL,
    ".tool": TOOL,
    ".agent": AGENT,
    ".lm": LLM,
    ".openAi": LLM,
    ".embeddings": EMBEDDING,
    ".vectorStore": RETRIEVER,
    ".retriever": RETRIEVER,
    ".reranker": RERANKER,
    ".guardrails": GUARDRAIL,
    "": CHAIN,
}

N8N: Final = Convention(
    id="N8",
    title="n8n",
    rank=60,
    prefixes=("n8n.",),
    rows=(
        row(targets.WEAK_KIND, "n8n.node.type", read=containing(_NODES)),
        row(targets.WEAK_KIND, "n8n.workflow.id", read=always(CHAIN)),
        row(targets.AGENT_NAME, "n8n.node.name", only=ON_AGENTS),
        row(targets.TOOL_NAME, "n8n.node.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "n8n.node.input", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "n8n.node.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "n8n.node.output", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.SESSION, "n8n.session.id"),
    ),
)

AGENTSCOPE: Final = Convention(
    id="AS",
    title="AgentScope",
    rank=60,
    prefixes=("agentscope.",),
    rows=(
        row(
            targets.INPUT_VALUE,
            "agentscope.function.input",
            "agentscope.format.input",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "agentscope.function.output",
            "agentscope.format.output",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
    ),
)
