"""Coding agents and their APIs: Claude Code and API, Codex, Gemini CLI, Qwen Code, Copilot."""

from typing import Final

from halo_daemon.proto.semconv import messages, targets
from halo_daemon.proto.semconv.conventions.kinds import ON_AGENTS, ON_LLMS, ON_OTHERS, ON_TOOLS
from halo_daemon.proto.semconv.readers import (
    CONTENT,
    COUNT,
    FALSE,
    NUMBER,
    REASONS,
    Reader,
    always,
    kinds,
    unless,
)
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, LLM, TOOL

_REDACTED: Final = frozenset({"<REDACTED>"})
_SHOWN: Final[Reader] = unless(_REDACTED, CONTENT)
_SPAN_TYPES: Final = {
    "interaction": AGENT,
    "claude_code.interaction": AGENT,
    "llm_request": LLM,
    "claude_code.llm_request": LLM,
    "tool": TOOL,
    "claude_code.tool": TOOL,
}

CLAUDE_CODE: Final = Convention(
    id="CC",
    title="Claude Code",
    rank=60,
    prefixes=("claude_code.",),
    rows=(
        row(targets.KIND, "span.type", read=kinds(_SPAN_TYPES)),
        row(targets.WEAK_KIND, "span.type", read=always(CHAIN)),
        row(targets.MODEL, "model", only=ON_LLMS),
        row(targets.PROVIDER, "model", read=always("anthropic"), only=ON_LLMS),
        row(targets.INPUT_TOKENS, "input_tokens", read=COUNT, excludes_cache=True),
        row(targets.OUTPUT_TOKENS, "output_tokens", read=COUNT),
        row(targets.CACHED_TOKENS, "cache_read_tokens", read=COUNT),
        row(targets.CACHE_WRITE_TOKENS, "cache_creation_tokens", read=COUNT),
        row(targets.COST, "cost_usd", read=NUMBER),
        row(
            targets.INPUT_MESSAGES,
            "new_context",
            "user_prompt",
            read=unless(_REDACTED, messages.INPUT),
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_MESSAGES,
            "response.model_output",
            read=unless(_REDACTED, messages.OUTPUT),
            only=ON_LLMS,
        ),
        row(targets.INPUT_VALUE, "user_prompt", read=_SHOWN, only=ON_AGENTS),
        row(targets.TOOL_NAME, "tool_name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "tool_use_id", only=ON_TOOLS),
        row(
            targets.TOOL_PARAMETERS,
            "tool_input",
            "full_command",
            "file_path",
            "skill_name",
            "subagent_type",
            read=_SHOWN,
            only=ON_TOOLS,
        ),
        row(
            targets.INPUT_VALUE,
            "tool_input",
            "full_command",
            "file_path",
            "skill_name",
            "subagent_type",
            read=_SHOWN,
            only=ON_TOOLS,
        ),
        row(targets.AGENT_NAME, "subagent_type", "agent_type"),
        row(targets.AGENT_ID, "agent_id"),
        row(targets.USER, "user.account_uuid"),
        row(targets.FINISH_REASONS, "stop_reason", read=REASONS),
        row(targets.FAILURE, "success", read=FALSE, only=ON_TOOLS | ON_LLMS),
    ),
    scopes=("com.anthropic.claude_code",),
    signs=("span.type",),
)

CLAUDE_API: Final = Convention(
    id="CA",
    title="Claude API and SDKs",
    rank=60,
    prefixes=("anthropic.",),
    rows=(
        row(targets.CACHED_TOKENS, "anthropic.usage.cache_read_input_tokens", read=COUNT),
        row(targets.CACHE_WRITE_TOKENS, "anthropic.usage.cache_creation_input_tokens", read=COUNT),
        row(targets.INPUT_TOKENS, "anthropic.usage.input_tokens", read=COUNT, excludes_cache=True),
        row(targets.OUTPUT_TOKENS, "anthropic.usage.output_tokens", read=COUNT),
    ),
    names=(
        NameRow("claude_code.interaction", AGENT),
        NameRow("claude_code.llm_request", LLM),
        NameRow("claude_code.tool", TOOL),
        NameRow("claude_code.*", CHAIN),
        NameRow("anthropic.messages*", LLM),
        NameRow("anthropic.tool_use *", TOOL),
    ),
)

CODEX: Final = Convention(
    id="CX",
    title="Codex CLI",
    rank=60,
    prefixes=("codex.",),
    rows=(
        row(targets.MODEL, "model", only=ON_LLMS),
        row(
            targets.REASONING_TOKENS,
            "codex.usage.reasoning_output_tokens",
            "reasoning_token_count",
            read=COUNT,
        ),
        row(
            targets.CACHED_TOKENS,
            "codex.usage.cached_input_tokens",
            "cached_token_count",
            read=COUNT,
        ),
        row(targets.INPUT_TOKENS, "codex.usage.input_tokens", "input_token_count", read=COUNT),
        row(targets.OUTPUT_TOKENS, "codex.usage.output_tokens", "output_token_count", read=COUNT),
        row(targets.TOOL_NAME, "tool_name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "call_id", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.OUTPUT_VALUE, "output", read=CONTENT, only=ON_TOOLS),
        row(targets.FAILURE, "success", read=FALSE, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "prompt", read=CONTENT, only=ON_AGENTS),
        row(targets.SESSION, "conversation.id", "conversation_id"),
        row(targets.USER, "user.account_id"),
    ),
    names=(
        NameRow("handle_responses", LLM),
        NameRow("codex.tool_result", TOOL),
    ),
    scopes=("codex",),
    signs=("codex.*", "conversation.id"),
)

GEMINI_CLI: Final = Convention(
    id="GC",
    title="Gemini CLI, its log events",
    rank=60,
    prefixes=("gemini_cli.",),
    rows=(
        row(targets.MODEL, "model", only=ON_LLMS),
        # Not by the requested model: that is filled in, and would be asked the next time.
        row(
            targets.PROVIDER, "model", "gen_ai.operation.name", read=always("google"), only=ON_LLMS
        ),
        row(targets.INPUT_TOKENS, "input_token_count", read=COUNT),
        row(targets.OUTPUT_TOKENS, "output_token_count", read=COUNT),
        row(targets.CACHED_TOKENS, "cached_content_token_count", read=COUNT),
        row(targets.REASONING_TOKENS, "thoughts_token_count", read=COUNT),
        row(targets.OUTPUT_MESSAGES, "response_text", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.INPUT_VALUE, "prompt", read=CONTENT, only=ON_AGENTS),
        row(targets.TOOL_NAME, "function_name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "function_args", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "function_args", read=CONTENT, only=ON_TOOLS),
        row(targets.FAILURE, "success", read=FALSE, only=ON_TOOLS),
    ),
    scopes=("gemini-cli", "gemini_cli"),
)

QWEN_CODE: Final = Convention(
    id="QC",
    title="Qwen Code, its log events",
    rank=60,
    prefixes=("qwen-code.",),
    # A fork of Gemini CLI, which runs models of any provider.
    rows=tuple(row for row in GEMINI_CLI.rows if row.target != targets.PROVIDER),
    scopes=("qwen-code",),
)

COPILOT: Final = Convention(
    id="GH",
    title="GitHub Copilot",
    rank=75,
    prefixes=("copilot_chat.", "github.copilot."),
    rows=(
        row(targets.SESSION, "copilot_chat.chat_session_id", "copilot_chat.session_id"),
        row(targets.INPUT_VALUE, "copilot_chat.user_request", read=CONTENT, only=ON_AGENTS),
        row(targets.INPUT_VALUE, "copilot_chat.hook_input", read=CONTENT, only=ON_OTHERS),
        row(targets.OUTPUT_VALUE, "copilot_chat.hook_output", read=CONTENT, only=ON_OTHERS),
    ),
)
