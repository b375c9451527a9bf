"""The AI SDK of Vercel: `ai.*`, as its legacy exporter writes it."""

from typing import Final

from halo_daemon.proto.semconv import listed, message_families, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import NOT_ON_LLMS, ON_LLMS, ON_OTHERS, ON_TOOLS
from halo_daemon.proto.semconv.readers import (
    BEFORE_DOT,
    CONTENT,
    COUNT,
    REASONS,
    always,
    first_word,
    kinds,
)
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, EMBEDDING, LLM, RERANKER, TOOL

_OPERATIONS: Final = {
    f"ai.{outer}.{inner}": LLM
    for outer in ("generatetext", "streamtext", "generateobject", "streamobject")
    for inner in ("dogenerate", "dostream")
} | {
    "ai.generatetext": CHAIN,
    "ai.streamtext": CHAIN,
    "ai.generateobject": CHAIN,
    "ai.streamobject": CHAIN,
    "ai.agent": AGENT,
    "ai.toolcall": TOOL,
    "ai.embed": CHAIN,
    "ai.embedmany": CHAIN,
    "ai.embed.doembed": EMBEDDING,
    "ai.embedmany.doembed": EMBEDDING,
    "ai.rerank": CHAIN,
    "ai.rerank.dorerank": RERANKER,
    "ai.generateimage": CHAIN,
    "ai.generateimage.dogenerate": LLM,
    "ai.generatespeech": CHAIN,
    "ai.generatespeech.dogenerate": LLM,
    "ai.transcribe": CHAIN,
    "ai.transcribe.dogenerate": LLM,
}
_META: Final = "ai.telemetry.metadata"
_USAGE: Final = "ai.usage"

VERCEL_PROVIDER: Final = Convention(
    id="AI",
    title="Vercel AI SDK, the provider",
    # `gen_ai.system` holds the same text there, but whole: `openai.chat`.
    rank=45,
    rows=(row(targets.PROVIDER, "ai.model.provider", read=BEFORE_DOT),),
)

VERCEL: Final = Convention(
    id="AI",
    title="Vercel AI SDK",
    rank=60,
    prefixes=("ai.", "operation.name", "resource.name"),
    rows=(
        row(targets.KIND, "ai.operationId", read=kinds(_OPERATIONS)),
        row(targets.KIND, "operation.name", read=first_word(_OPERATIONS)),
        row(targets.KIND, "ai.toolCall.name", read=always(TOOL)),
        row(targets.MODEL, "ai.response.model", "ai.model.id"),
        row(targets.REQUEST_MODEL, "ai.model.id"),
        row(targets.INPUT_TOKENS, f"{_USAGE}.inputTokens", f"{_USAGE}.promptTokens", read=COUNT),
        row(targets.INPUT_TOKENS, f"{_USAGE}.tokens", read=COUNT),
        row(
            targets.OUTPUT_TOKENS,
            f"{_USAGE}.outputTokens",
            f"{_USAGE}.completionTokens",
            read=COUNT,
        ),
        row(targets.TOTAL_TOKENS, f"{_USAGE}.totalTokens", read=COUNT),
        row(
            targets.CACHED_TOKENS,
            f"{_USAGE}.cachedInputTokens",
            f"{_USAGE}.inputTokenDetails.cacheReadTokens",
            read=COUNT,
        ),
        row(targets.CACHE_WRITE_TOKENS, f"{_USAGE}.inputTokenDetails.cacheWriteTokens", read=COUNT),
        row(
            targets.REASONING_TOKENS,
            f"{_USAGE}.reasoningTokens",
            f"{_USAGE}.outputTokenDetails.reasoningTokens",
            read=COUNT,
        ),
        row(
            targets.INPUT_MESSAGES,
            "ai.prompt.messages",
            "ai.prompt",
            read=messages.INPUT,
            only=ON_LLMS,
        ),
        row(targets.OUTPUT_MESSAGES, "ai.response.*", read=message_families.PIECES, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "ai.result.*", read=message_families.PIECES, only=ON_LLMS),
        row(targets.TOOLS, "ai.prompt.tools", read=listed.TOOL_LIST, only=ON_LLMS),
        row(targets.FINISH_REASONS, "ai.response.finishReason", "ai.finishReason", read=REASONS),
        row(targets.TOOL_NAME, "ai.toolCall.name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "ai.toolCall.id", only=ON_TOOLS),
        row(
            targets.TOOL_PARAMETERS,
            "ai.toolCall.args",
            "ai.toolCall.input",
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(
            targets.INPUT_VALUE,
            "ai.toolCall.args",
            "ai.toolCall.input",
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "ai.toolCall.result",
            "ai.toolCall.output",
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(targets.INPUT_VALUE, "ai.value", "ai.values", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.INPUT_VALUE, "ai.prompt", "ai.prompt.messages", read=CONTENT, only=ON_OTHERS),
        row(
            targets.OUTPUT_VALUE,
            "ai.response.text",
            "ai.response.object",
            "ai.result.text",
            "ai.result.object",
            "ai.response.toolCalls",
            read=CONTENT,
            only=ON_OTHERS,
        ),
        row(targets.AGENT_NAME, "ai.telemetry.functionId", "resource.name"),
        row(
            targets.SESSION,
            f"{_META}.sessionId",
            f"{_META}.session_id",
            f"{_META}.threadId",
            f"{_META}.conversationId",
            f"{_META}.chatId",
        ),
        row(targets.USER, f"{_META}.userId", f"{_META}.user_id"),
    ),
)
