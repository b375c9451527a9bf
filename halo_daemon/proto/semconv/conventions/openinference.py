"""OpenInference, of Arize: `openinference.span.kind` and `llm.*`."""

from typing import Final

from halo_daemon.proto.semconv import listed, message_families, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    ON_AGENTS,
    ON_LLMS,
    ON_RETRIEVERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import (
    ANSWER_REASONS,
    COUNT,
    NUMBER,
    REASONS,
    TEXT,
    always,
    at,
    at_first,
    kinds,
)
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import EMBEDDING, RERANKER, RETRIEVER, SPAN, TOOL

_TOKENS: Final = "llm.token_count"
_EVALUATIONS: Final = ("eval.*", "trace_eval.*", "session_eval.*")

OPENINFERENCE: Final = Convention(
    id="OI",
    title="OpenInference",
    rank=30,
    prefixes=(
        "openinference.",
        "llm.",
        "input.",
        "output.",
        "embedding.",
        "reranker.",
        "retrieval.",
        "tool.",
        "tool_call.",
        "metadata",
        "tag.tags",
        "graph.node.",
        "session.",
        "user.",
    ),
    rows=(
        row(targets.KIND, targets.KIND_MIRROR, read=kinds(COMMON | {"unknown": SPAN})),
        row(
            targets.WEAK_KIND,
            "retrieval.documents.*",
            "retrieval.documents",
            read=always(RETRIEVER),
        ),
        row(
            targets.WEAK_KIND,
            "embedding.embeddings.*",
            "embedding.model_name",
            read=always(EMBEDDING),
        ),
        row(
            targets.WEAK_KIND,
            "reranker.output_documents.*",
            "reranker.model_name",
            read=always(RERANKER),
        ),
        row(targets.WEAK_KIND, "tool.parameters", read=always(TOOL)),
        row(
            targets.MODEL,
            "llm.model_name",
            "llm.response.model_name",
            "llm.request.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
        row(targets.REQUEST_MODEL, "llm.request.model_name"),
        row(targets.PROVIDER, "llm.provider", "llm.system"),
        row(targets.INPUT_TOKENS, f"{_TOKENS}.prompt", read=COUNT),
        row(targets.OUTPUT_TOKENS, f"{_TOKENS}.completion", read=COUNT),
        row(targets.TOTAL_TOKENS, f"{_TOKENS}.total", read=COUNT),
        row(
            targets.CACHED_TOKENS,
            f"{_TOKENS}.prompt_details.cache_read",
            f"{_TOKENS}.prompt_details.cache_input",
            read=COUNT,
        ),
        row(targets.CACHE_WRITE_TOKENS, f"{_TOKENS}.prompt_details.cache_write", read=COUNT),
        row(targets.REASONING_TOKENS, f"{_TOKENS}.completion_details.reasoning", read=COUNT),
        row(targets.COST, "llm.cost.total", read=NUMBER),
        row(targets.INPUT_COST, "llm.cost.prompt", read=NUMBER),
        row(targets.OUTPUT_COST, "llm.cost.completion", read=NUMBER),
        row(targets.INPUT_MESSAGES, "llm.prompts.*", read=message_families.INDEXED_INPUT),
        row(targets.INPUT_MESSAGES, "llm.prompts", "llm.input_messages", read=messages.INPUT),
        row(targets.OUTPUT_MESSAGES, "llm.choices.*", read=message_families.INDEXED_OUTPUT),
        row(targets.OUTPUT_MESSAGES, "llm.output_messages", read=messages.OUTPUT),
        row(targets.TOOLS, "llm.tools", read=listed.TOOL_LIST),
        row(
            targets.DOCUMENTS,
            "retrieval.documents",
            read=listed.DOCUMENT_LIST,
            only=ON_RETRIEVERS,
        ),
        row(
            targets.TOOLS,
            "llm.invocation_parameters",
            read=listed.REQUEST_TOOLS,
            only=ON_LLMS,
        ),
        row(
            targets.FINISH_REASONS,
            "llm.finish_reason",
            "llm.response.finish_reason",
            read=REASONS,
        ),
        row(targets.FINISH_REASONS, "output.value", read=ANSWER_REASONS, only=ON_LLMS),
        row(targets.TOOL_CALL_ID, "tool.id", "tool_call.id", only=ON_TOOLS),
        row(targets.SESSION, "session.id"),
        row(
            targets.SESSION,
            "metadata",
            read=at_first(("session_id", "thread_id", "conversation_id"), TEXT),
        ),
        row(targets.USER, "user.id"),
        row(targets.USER, "metadata", read=at("user_id", TEXT)),
        row(targets.AGENT_NAME, "agent.name"),
        row(targets.AGENT_NAME, "graph.node.name", "graph.node.id", only=ON_AGENTS),
        row(targets.AGENT_ID, "agent.id"),
        row(targets.SCORE_NAME, "eval.name", "evaluation.name"),
        row(targets.SCORE_VALUE, "eval.score", "evaluation.score", read=NUMBER),
        row(targets.SCORE_LABEL, "eval.label", "evaluation.label"),
        row(targets.SCORE_REASON, "eval.explanation", "evaluation.explanation"),
        # Arize names the evaluation in the key; of several the first is told.
        row(targets.SCORE_NAME, *_EVALUATIONS, read=listed.NAMED_SCORE["name"]),
        row(targets.SCORE_VALUE, *_EVALUATIONS, read=listed.NAMED_SCORE["score"]),
        row(targets.SCORE_LABEL, *_EVALUATIONS, read=listed.NAMED_SCORE["label"]),
        row(targets.SCORE_REASON, *_EVALUATIONS, read=listed.NAMED_SCORE["explanation"]),
    ),
)
