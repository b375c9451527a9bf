"""LlamaIndex's own spans, and the events in which all that they know stands."""

from typing import Final

from halo_daemon.proto.semconv import listed, message_families, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    NOT_ON_LLMS,
    NOT_ON_TOOLS,
    ON_LLMS,
    ON_MODEL_CALLS,
    ON_RETRIEVERS,
)
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, REASONS, always, beside
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import (
    AGENT,
    CHAIN,
    EMBEDDING,
    LLM,
    RERANKER,
    RETRIEVER,
    TOOL,
)

_METHODS: Final = (
    # Engines and agents chat as models do, and pipelines run as agents do.
    ("Engine.", CHAIN, ("chat",)),
    ("Agent.", AGENT, ("chat",)),
    ("Runner.", AGENT, ("chat",)),
    ("Pipeline.", CHAIN, ("run",)),
    ("Workflow.", CHAIN, ("run",)),
    (".", LLM, ("chat", "complete", "predict_and_call", "chat_with_tools")),
    (".", EMBEDDING, ("get_query_embedding", "get_text_embedding", "get_text_embedding_batch")),
    (".", RETRIEVER, ("retrieve",)),
    (".", RERANKER, ("postprocess_nodes",)),
    (".", TOOL, ("call_tool",)),
    (".", AGENT, ("run", "run_agent_step")),
    (".", CHAIN, ("query", "synthesize", "predict", "structured_predict")),
)
"""How the class ends, what it then does, and by which methods; the first that fits counts."""

_VARIANTS: Final = ("{}", "a{}", "stream_{}", "astream_{}")
"""How a method is called where it is awaited, where it streams, and where both."""

_COUNTS: Final = (
    (
        targets.INPUT_TOKENS,
        (
            "usage.prompt_tokens",
            "usage.input_tokens",
            "usage_metadata.prompt_token_count",
            "prompt_eval_count",
        ),
        ("prompt_tokens",),
    ),
    (
        targets.OUTPUT_TOKENS,
        (
            "usage.completion_tokens",
            "usage.output_tokens",
            "usage_metadata.candidates_token_count",
            "eval_count",
        ),
        ("completion_tokens",),
    ),
    (
        targets.TOTAL_TOKENS,
        ("usage.total_tokens", "usage_metadata.total_token_count"),
        ("total_tokens",),
    ),
    (
        targets.CACHED_TOKENS,
        (
            "usage.prompt_tokens_details.cached_tokens",
            "usage.input_tokens_details.cached_tokens",
            "usage.cache_read_input_tokens",
            "usage_metadata.cached_content_token_count",
        ),
        (),
    ),
    (targets.CACHE_WRITE_TOKENS, ("usage.cache_creation_input_tokens",), ()),
    (
        targets.REASONING_TOKENS,
        (
            "usage.completion_tokens_details.reasoning_tokens",
            "usage.output_tokens_details.reasoning_tokens",
            "usage_metadata.thoughts_token_count",
        ),
        (),
    ),
)
"""Where a provider's answer counts, and where LlamaIndex does beside it."""

LLAMA_INDEX: Final = Convention(
    id="LX",
    title="LlamaIndex, its own spans: a class and the method that ran",
    rank=60,
    prefixes=("llamaindex.",),
    rows=(
        row(targets.WEAK_KIND, "llamaindex.run_id", "llamaindex.step_name", read=always(CHAIN)),
        row(
            targets.MODEL,
            "response.raw.model",
            "response.raw.model_version",
            "model_dict.model",
            "model_dict.model_name",
            "model_name",
            only=ON_MODEL_CALLS,
        ),
        row(
            targets.REQUEST_MODEL,
            "model_dict.model",
            "model_dict.model_name",
            only=ON_MODEL_CALLS,
        ),
        # Anthropic's counts leave cached tokens out, and stand beside a count of those.
        row(
            targets.INPUT_TOKENS,
            "response.raw.usage.*",
            read=beside(
                ("cache_read_input_tokens", "cache_creation_input_tokens"), "input_tokens", COUNT
            ),
            excludes_cache=True,
        ),
        *(
            row(
                target,
                *(f"response.raw.{key}" for key in keys),
                *(f"response.additional_kwargs.{key}" for key in beside_answer),
                read=COUNT,
            )
            for target, keys, beside_answer in _COUNTS
        ),
        row(
            targets.FINISH_REASONS,
            "response.raw.stop_reason",
            "response.raw.done_reason",
            read=REASONS,
        ),
        row(targets.INPUT_MESSAGES, "messages", "prompt", read=messages.INPUT, only=ON_LLMS),
        row(
            targets.OUTPUT_MESSAGES,
            "response.message.*",
            read=message_families.FLAT_OUTPUT,
            only=ON_LLMS,
        ),
        row(targets.OUTPUT_MESSAGES, "response.text", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "output", read=messages.OUTPUT, only=NOT_ON_TOOLS),
        row(targets.DOCUMENTS, "nodes", read=listed.DOCUMENT_LIST, only=ON_RETRIEVERS),
        row(
            targets.INPUT_VALUE,
            "str_or_query_bundle",
            "str_or_query_bundle.query_str",
            "query",
            "query.query_str",
            "chunks",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
    ),
    events=(
        "LLMChatStartEvent",
        "LLMChatEndEvent",
        "LLMCompletionStartEvent",
        "LLMCompletionEndEvent",
        "LLMPredictEndEvent",
        "EmbeddingStartEvent",
        "EmbeddingEndEvent",
        "SparseEmbeddingStartEvent",
        "ReRankStartEvent",
        "RetrievalStartEvent",
        "RetrievalEndEvent",
        "QueryStartEvent",
    ),
    names=(
        NameRow("AgentWorkflow.run", AGENT),
        *(
            NameRow(f"*{ending}{variant.format(method)}", kind)
            for ending, kind, methods in _METHODS
            for method in methods
            for variant in _VARIANTS
        ),
    ),
    scopes=("llamaindex.opentelemetry.tracer",),
)
