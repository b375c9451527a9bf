"""OpenInference, of Arize: `openinference.span.kind` and `llm.*`."""

from typing import Final

from halo_daemon.proto.semconv import targets
from halo_daemon.proto.semconv.readers import COUNT, NUMBER, kinds
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import (
    AGENT,
    CHAIN,
    EMBEDDING,
    EVALUATOR,
    GUARDRAIL,
    LLM,
    PROMPT,
    RERANKER,
    RETRIEVER,
    SPAN,
    TOOL,
)

_KINDS: Final = {
    "llm": LLM,
    "embedding": EMBEDDING,
    "chain": CHAIN,
    "retriever": RETRIEVER,
    "reranker": RERANKER,
    "tool": TOOL,
    "agent": AGENT,
    "guardrail": GUARDRAIL,
    "evaluator": EVALUATOR,
    "prompt": PROMPT,
    "unknown": SPAN,
}

OPENINFERENCE: Final = Convention(
    id="OI",
    title="OpenInference",
    rank=30,
    rows=(
        row(targets.KIND, targets.KIND_MIRROR, read=kinds(_KINDS)),
        row(
            targets.MODEL,
            "llm.model_name",
            "llm.response.model_name",
            "llm.request.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
        row(targets.PROVIDER, "llm.provider", "llm.system"),
        row(targets.INPUT_TOKENS, "llm.token_count.prompt", read=COUNT),
        row(targets.OUTPUT_TOKENS, "llm.token_count.completion", read=COUNT),
        row(targets.TOTAL_TOKENS, "llm.token_count.total", read=COUNT),
        row(
            targets.CACHED_TOKENS,
            "llm.token_count.prompt_details.cache_read",
            "llm.token_count.prompt_details.cache_input",
            read=COUNT,
        ),
        row(
            targets.CACHE_WRITE_TOKENS,
            "llm.token_count.prompt_details.cache_write",
            read=COUNT,
        ),
        row(
            targets.REASONING_TOKENS,
            "llm.token_count.completion_details.reasoning",
            read=COUNT,
        ),
        row(targets.COST, "llm.cost.total", read=NUMBER),
        row(targets.SESSION, "session.id"),
        row(targets.USER, "user.id"),
        row(targets.AGENT_NAME, "agent.name"),
        row(
            targets.AGENT_NAME,
            "graph.node.name",
            "graph.node.id",
            only=frozenset({AGENT}),
        ),
        row(targets.AGENT_ID, "agent.id"),
    ),
)
