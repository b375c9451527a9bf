"""LangSmith's OpenTelemetry export, and LangChain's own spans."""

from typing import Final

from halo_daemon.proto.semconv import listed, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    ON_AGENTS,
    ON_LLMS,
    ON_RETRIEVERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import (
    CONTENT,
    COUNT,
    NUMBER,
    TEXT,
    at,
    at_first,
    holding,
    kinds,
)
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import CHAIN, LLM

_KINDS: Final = COMMON | {"chat_model": LLM, "parser": CHAIN}
_META: Final = "langsmith.metadata"
_USAGE: Final = "langsmith.usage_metadata"

_MESSAGE: Final = "generations.0.0.message.kwargs"
_ANSWERED: Final = (
    (
        targets.INPUT_TOKENS,
        (f"{_MESSAGE}.usage_metadata.input_tokens", "llm_output.token_usage.prompt_tokens"),
    ),
    (
        targets.OUTPUT_TOKENS,
        (f"{_MESSAGE}.usage_metadata.output_tokens", "llm_output.token_usage.completion_tokens"),
    ),
    (
        targets.CACHED_TOKENS,
        (f"{_MESSAGE}.usage_metadata.input_token_details.cache_read",),
    ),
    (
        targets.REASONING_TOKENS,
        (f"{_MESSAGE}.usage_metadata.output_token_details.reasoning",),
    ),
)
"""Where the answer that LangChain keeps whole counts."""

LANGSMITH_KIND: Final = Convention(
    id="LS",
    title="LangSmith, the type of a run",
    # Its exporter calls a retriever an embedding and a prompt a chat in `gen_ai.operation.name`.
    rank=25,
    rows=(row(targets.KIND, "langsmith.span.kind", "langchain.run_type", read=kinds(_KINDS)),),
)

LANGSMITH: Final = Convention(
    id="LS",
    title="LangSmith, LangChain",
    rank=60,
    prefixes=("langsmith.", "langchain."),
    rows=(
        row(targets.MODEL, f"{_META}.ls_model_name", f"{_META}.model_name", only=ON_LLMS),
        row(targets.INPUT_TOKENS, _USAGE, read=at("input_tokens", COUNT)),
        row(targets.OUTPUT_TOKENS, _USAGE, read=at("output_tokens", COUNT)),
        row(targets.TOTAL_TOKENS, _USAGE, read=at("total_tokens", COUNT)),
        row(targets.CACHED_TOKENS, _USAGE, read=at("input_token_details.cache_read", COUNT)),
        row(
            targets.CACHE_WRITE_TOKENS, _USAGE, read=at("input_token_details.cache_creation", COUNT)
        ),
        row(targets.REASONING_TOKENS, _USAGE, read=at("output_token_details.reasoning", COUNT)),
        row(targets.COST, _USAGE, read=at("total_cost", NUMBER)),
        row(targets.PROVIDER, f"{_META}.ls_provider", only=ON_LLMS),
        *(
            row(
                target,
                "gen_ai.completion",
                read=holding(("usage_metadata", "token_usage"), at_first(paths, COUNT)),
                only=ON_LLMS,
            )
            for target, paths in _ANSWERED
        ),
        row(
            targets.MODEL,
            "gen_ai.completion",
            read=holding(
                ("model_name",),
                at_first(
                    (f"{_MESSAGE}.response_metadata.model_name", "llm_output.model_name"), TEXT
                ),
            ),
            only=ON_LLMS,
        ),
        row(
            targets.CACHED_TOKENS, "gen_ai.usage.input_token_details", read=at("cache_read", COUNT)
        ),
        row(
            targets.CACHE_WRITE_TOKENS,
            "gen_ai.usage.input_token_details",
            read=at("cache_creation", COUNT),
        ),
        row(
            targets.REASONING_TOKENS,
            "gen_ai.usage.output_token_details",
            read=at("reasoning", COUNT),
        ),
        row(targets.TOOL_NAME, "gen_ai.serialized.name", "langsmith.trace.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "gen_ai.prompt", read=CONTENT, only=ON_TOOLS),
        row(targets.DOCUMENTS, "gen_ai.completion", read=listed.DOCUMENT_LIST, only=ON_RETRIEVERS),
        # `langsmith.trace.session_id` is the project, not a session.
        row(
            targets.SESSION,
            f"{_META}.session_id",
            f"{_META}.thread_id",
            f"{_META}.conversation_id",
        ),
        row(targets.USER, f"{_META}.user_id"),
        row(targets.AGENT_NAME, "langsmith.trace.name", only=ON_AGENTS),
        row(targets.AGENT_NAME, f"{_META}.langgraph_node", only=ON_AGENTS),
        row(targets.SCORE_VALUE, "langsmith.feedback.score", read=NUMBER),
        row(targets.SCORE_NAME, "langsmith.feedback.key"),
    ),
)
