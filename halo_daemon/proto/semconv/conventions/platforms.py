"""Smaller vocabularies: LiveKit, Pipecat, vLLM, Flue, Braintrust, Cursor, ElevenLabs."""

from typing import Final

from halo_daemon.proto.semconv import listed, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import COMMON, NOT_ON_LLMS, ON_LLMS, ON_TOOLS
from halo_daemon.proto.semconv.readers import (
    CONTENT,
    COUNT,
    ERROR_WORD,
    NUMBER,
    TEXT,
    TRUE,
    always,
    at,
    at_first,
    holding,
    kinds,
)
from halo_daemon.proto.semconv.rows import Convention, NameRow, Row, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, EVALUATOR, LLM, TOOL

_BRAINTRUST: Final = COMMON | {
    "function": CHAIN,
    "task": CHAIN,
    "eval": EVALUATOR,
    "score": EVALUATOR,
}


def _pii(name: str) -> tuple[str, str]:
    """LiveKit's key of that name, as older and as newer releases spell it."""
    return f"lk.{name}", f"lk.pii.{name}"


LIVEKIT: Final = Convention(
    id="OT",
    title="LiveKit",
    rank=60,
    prefixes=("lk.",),
    rows=(
        row(
            targets.WEAK_KIND, "lk.function_tool.name", "lk.function_tool.output", read=always(TOOL)
        ),
        row(targets.WEAK_KIND, *_pii("chat_ctx"), read=always(LLM)),
        *(
            row(target, "lk.llm_metrics", read=at(name, COUNT))
            for target, name in (
                (targets.INPUT_TOKENS, "prompt_tokens"),
                (targets.OUTPUT_TOKENS, "completion_tokens"),
                (targets.CACHED_TOKENS, "prompt_cached_tokens"),
            )
        ),
        row(targets.INPUT_MESSAGES, *_pii("chat_ctx"), read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, *_pii("response.text"), read=messages.OUTPUT, only=ON_LLMS),
        row(targets.TOOLS, "lk.function_tools", read=listed.TOOL_LIST, only=ON_LLMS),
        row(targets.TOOL_NAME, "lk.function_tool.name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "lk.function_tool.id", only=ON_TOOLS),
        row(
            targets.TOOL_PARAMETERS,
            *_pii("function_tool.arguments"),
            read=CONTENT,
            only=ON_TOOLS,
        ),
        row(
            targets.INPUT_VALUE,
            *_pii("function_tool.arguments"),
            *_pii("user_input"),
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            *_pii("function_tool.output"),
            *_pii("response.text"),
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(targets.FAILURE, "lk.function_tool.is_error", read=TRUE),
        row(targets.AGENT_NAME, "lk.agent_name", "lk.agent_label"),
        row(targets.SESSION, *_pii("room_name"), "lk.room_sid"),
    ),
    names=(
        NameRow("agent_session", AGENT),
        NameRow("agent_turn", AGENT),
        NameRow("function_tool", TOOL),
        NameRow("llm_node", LLM),
        NameRow("user_turn", CHAIN),
        NameRow("judge_evaluation", EVALUATOR),
    ),
    scopes=("livekit",),
    signs=("lk.*",),
)

PIPECAT: Final = Convention(
    id="PC",
    title="Pipecat",
    rank=60,
    rows=(
        row(targets.WEAK_KIND, "tool.function_name", read=always(TOOL)),
        row(targets.WEAK_KIND, "turn.number", "conversation.type", read=always(CHAIN)),
        row(targets.INPUT_MESSAGES, "text", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "transcript", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.TOOLS, "tools", "tools.definitions", read=listed.TOOL_LIST, only=ON_LLMS),
        row(targets.TOOL_NAME, "tool.function_name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "tool.call_id", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "tool.arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "tool.arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.OUTPUT_VALUE, "tool.result", read=CONTENT, only=ON_TOOLS),
        row(targets.FAILURE, "tool.result_status", read=ERROR_WORD, only=ON_TOOLS),
        row(targets.SESSION, "conversation.id"),
    ),
    scopes=("pipecat",),
    signs=("metrics.ttfb", "tool.function_name", "turn.number", "conversation.type"),
)

VLLM: Final = Convention(
    id="VL",
    title="vLLM, its server",
    rank=60,
    rows=(
        row(
            targets.WEAK_KIND,
            "gen_ai.latency.e2e",
            "gen_ai.latency.time_to_first_token",
            read=always(LLM),
        ),
    ),
)

FLUE: Final = Convention(
    id="OT",
    title="Flue",
    rank=60,
    prefixes=("flue.",),
    rows=(
        row(targets.WEAK_KIND, "flue.tool.*", read=always(TOOL)),
        row(targets.WEAK_KIND, "flue.task.*", read=always(AGENT)),
        row(targets.TOOL_NAME, "flue.tool.name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "flue.tool.arguments", read=CONTENT, only=ON_TOOLS),
        row(
            targets.INPUT_VALUE,
            "flue.tool.arguments",
            "flue.turn.input",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "flue.tool.result",
            "flue.turn.output",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
    ),
)

BRAINTRUST: Final = Convention(
    id="OT",
    title="Braintrust",
    rank=60,
    prefixes=("braintrust.",),
    rows=(
        row(targets.KIND, "braintrust.span_type", read=kinds(_BRAINTRUST)),
        row(targets.KIND, "braintrust.span_attributes", read=at("type", kinds(_BRAINTRUST))),
        row(targets.MODEL, "braintrust.metadata", read=at("model", TEXT)),
        row(targets.INPUT_TOKENS, "braintrust.metrics", read=at("prompt_tokens", COUNT)),
        row(targets.OUTPUT_TOKENS, "braintrust.metrics", read=at("completion_tokens", COUNT)),
        row(targets.TOTAL_TOKENS, "braintrust.metrics", read=at("tokens", COUNT)),
        row(targets.CACHED_TOKENS, "braintrust.metrics", read=at("prompt_cached_tokens", COUNT)),
        row(
            targets.CACHE_WRITE_TOKENS,
            "braintrust.metrics",
            read=at("prompt_cache_creation_tokens", COUNT),
        ),
        row(
            targets.REASONING_TOKENS,
            "braintrust.metrics",
            read=at("completion_reasoning_tokens", COUNT),
        ),
        row(targets.COST, "braintrust.metrics", read=at("estimated_cost", NUMBER)),
        row(targets.PROVIDER, "braintrust.metadata", read=at("provider", TEXT)),
        row(targets.SCORE_NAME, "braintrust.scores", read=listed.FIRST_NAME),
        row(targets.SCORE_VALUE, "braintrust.scores", read=listed.FIRST_NUMBER),
        row(
            targets.INPUT_MESSAGES,
            "braintrust.input_json",
            "braintrust.input",
            read=messages.INPUT,
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_MESSAGES,
            "braintrust.output_json",
            "braintrust.output",
            read=messages.OUTPUT,
            only=ON_LLMS,
        ),
        row(
            targets.INPUT_VALUE,
            "braintrust.input_json",
            "braintrust.input",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "braintrust.output_json",
            "braintrust.output",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
    ),
)

_ANSWERS: Final = ("output.value", "output", "gen_ai.completion", "gen_ai.completion_json")
_WITHOUT_CACHE: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")


def _answered(
    target: str, words: tuple[str, ...], paths: tuple[str, ...], *, excludes_cache: bool = False
) -> Row:
    """A count in the provider's own answer, which is kept whole, where *words* stand in it."""
    read = holding(words, at_first(paths, COUNT))
    return row(target, *_ANSWERS, read=read, only=ON_LLMS, excludes_cache=excludes_cache)


PROVIDERS_ANSWER: Final = Convention(
    id="OT",
    title="the request to a provider and its answer, kept whole",
    rank=85,
    rows=(
        row(
            targets.MODEL,
            "output.value",
            "gen_ai.completion",
            "gen_ai.completion_json",
            "llm.invocation_parameters",
            read=holding(('"model"',), at("model", TEXT)),
            only=ON_LLMS,
        ),
        # Anthropic's names, and its way of counting.
        _answered(
            targets.INPUT_TOKENS, _WITHOUT_CACHE, ("usage.input_tokens",), excludes_cache=True
        ),
        _answered(
            targets.INPUT_TOKENS,
            ("okens", "TokenCount", "token_count"),
            (
                "usage.prompt_tokens",
                "usage.input_tokens",
                "usage.inputTokens",
                "usage_metadata.prompt_token_count",
                "usageMetadata.promptTokenCount",
            ),
        ),
        _answered(
            targets.OUTPUT_TOKENS,
            ("okens", "TokenCount", "token_count"),
            (
                "usage.completion_tokens",
                "usage.output_tokens",
                "usage.outputTokens",
                "usage_metadata.candidates_token_count",
                "usageMetadata.candidatesTokenCount",
            ),
        ),
        _answered(
            targets.CACHED_TOKENS,
            ("cached_tokens", "cache_read_input_tokens", "cached"),
            (
                "usage.prompt_tokens_details.cached_tokens",
                "usage.input_tokens_details.cached_tokens",
                "usage.cache_read_input_tokens",
                "usage_metadata.cached_content_token_count",
                "usageMetadata.cachedContentTokenCount",
            ),
        ),
        _answered(
            targets.CACHE_WRITE_TOKENS, _WITHOUT_CACHE, ("usage.cache_creation_input_tokens",)
        ),
        _answered(
            targets.REASONING_TOKENS,
            ("reasoning_tokens", "thoughts"),
            (
                "usage.completion_tokens_details.reasoning_tokens",
                "usage.output_tokens_details.reasoning_tokens",
                "usage_metadata.thoughts_token_count",
                "usageMetadata.thoughtsTokenCount",
            ),
        ),
    ),
)

COMMON_KEYS: Final = Convention(
    id="OT",
    title="Cursor, ElevenLabs, and keys that many use without a prefix",
    rank=80,
    prefixes=("cursor.", "elevenlabs."),
    rows=(
        row(targets.INPUT_MESSAGES, "input.value", "input", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "output.value", "output", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.INPUT_VALUE, "input", read=CONTENT, only=ON_TOOLS),
        row(targets.OUTPUT_VALUE, "output", "result", read=CONTENT, only=ON_TOOLS),
        row(
            targets.AGENT_ID,
            "cursor.agent_id",
            "agno.agent.id",
            "agno.team.id",
            "aws.bedrock.agent.id",
        ),
        row(
            targets.SESSION,
            "cursor.run_id",
            "elevenlabs.conversation_id",
            "chat.id",
            "conversation_id",
            "llm.conversation_id",
            "thread_id",
            "thread.id",
            "session_id",
            "wandb.thread_id",
        ),
        row(targets.USER, "elevenlabs.user_id", "user_id"),
        row(targets.SCORE_NAME, "score.name", "feedback.name", "feedback.key"),
        row(targets.SCORE_VALUE, "score.value", "feedback.score", "feedback.value", read=NUMBER),
        row(targets.SCORE_LABEL, "feedback.value", "feedback.label", "score.label"),
        row(targets.SCORE_REASON, "feedback.comment", "score.comment"),
    ),
)
