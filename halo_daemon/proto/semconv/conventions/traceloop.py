"""OpenLLMetry, of Traceloop: the old GenAI keys and `traceloop.*`."""

from typing import Final

from halo_daemon.proto.semconv import listed, targets
from halo_daemon.proto.semconv.conventions.kinds import NOT_ON_LLMS, ON_AGENTS, ON_TOOLS
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, REASONS, always, kinds
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import (
    AGENT,
    CHAIN,
    EMBEDDING,
    LLM,
    RERANKER,
    RETRIEVER,
    TOOL,
)

_KINDS: Final = {"workflow": CHAIN, "task": CHAIN, "agent": AGENT, "tool": TOOL}
_REQUESTS: Final = {"chat": LLM, "completion": LLM, "embedding": EMBEDDING, "rerank": RERANKER}
_VECTOR_STORES: Final = dict.fromkeys(
    (
        "pinecone",
        "chroma",
        "chromadb",
        "qdrant",
        "weaviate",
        "milvus",
        "lancedb",
        "marqo",
        "pgvector",
        "vespa",
        "turbopuffer",
        "zilliz",
        "faiss",
        "deeplake",
        "vectara",
    ),
    RETRIEVER,
)
_PROPERTIES: Final = "traceloop.association.properties"

TRACELOOP: Final = Convention(
    id="TL",
    title="OpenLLMetry / Traceloop",
    rank=60,
    prefixes=("traceloop.",),
    rows=(
        row(targets.KIND, "traceloop.span.kind", read=kinds(_KINDS)),
        row(targets.KIND, "llm.request.type", read=kinds(_REQUESTS)),
        row(targets.KIND, "db.system", "db.system.name", read=kinds(_VECTOR_STORES)),
        row(targets.TOTAL_TOKENS, "llm.usage.total_tokens", read=COUNT),
        row(targets.REASONING_TOKENS, "llm.usage.reasoning_tokens", read=COUNT),
        row(targets.CACHED_TOKENS, "llm.usage.cache_read_input_tokens", read=COUNT),
        row(targets.CACHE_WRITE_TOKENS, "llm.usage.cache_creation_input_tokens", read=COUNT),
        row(targets.TOOLS, "llm.request.functions.*", read=listed.FLAT_TOOLS),
        row(
            targets.FINISH_REASONS,
            "llm.response.finish_reason",
            "llm.response.stop_reason",
            read=REASONS,
        ),
        row(targets.TOOL_NAME, "traceloop.entity.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "traceloop.entity.input", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "traceloop.entity.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "traceloop.entity.output", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.AGENT_NAME, "traceloop.entity.name", only=ON_AGENTS),
        row(
            targets.SESSION,
            f"{_PROPERTIES}.session_id",
            f"{_PROPERTIES}.thread_id",
            f"{_PROPERTIES}.conversation_id",
            f"{_PROPERTIES}.chat_id",
        ),
        row(targets.USER, f"{_PROPERTIES}.user_id", "llm.user"),
        row(targets.WEAK_KIND, "gen_ai.task.name", "gen_ai.task.input", read=always(CHAIN)),
        row(targets.INPUT_VALUE, "gen_ai.task.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "gen_ai.task.output", read=CONTENT, only=NOT_ON_LLMS),
    ),
)
