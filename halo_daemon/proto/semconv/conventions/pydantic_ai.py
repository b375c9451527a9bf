"""Logfire and pydantic-ai, formats 1 to 6."""

from typing import Final

from halo_daemon.proto.semconv import events, listed, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import ON_AGENTS, ON_LLMS, ON_OTHERS, ON_TOOLS
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, always, at_first
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, LLM, TOOL

_TOTALS: Final = "gen_ai.aggregated_usage"

PYDANTIC_AI: Final = Convention(
    id="PY",
    title="Logfire / pydantic-ai",
    rank=60,
    prefixes=("pydantic_ai.", "logfire."),
    rows=(
        row(
            targets.WEAK_KIND,
            "pydantic_ai.all_messages",
            "all_messages_events",
            "final_result",
            read=always(AGENT),
        ),
        row(targets.WEAK_KIND, "tool_arguments", read=always(TOOL)),
        row(targets.INPUT_TOKENS, f"{_TOTALS}.input_tokens", read=COUNT, only=ON_OTHERS),
        row(targets.OUTPUT_TOKENS, f"{_TOTALS}.output_tokens", read=COUNT, only=ON_OTHERS),
        row(
            targets.CACHED_TOKENS,
            f"{_TOTALS}.cache_read.input_tokens",
            f"{_TOTALS}.details.cache_read_tokens",
            read=COUNT,
            only=ON_OTHERS,
        ),
        row(
            targets.REASONING_TOKENS,
            f"{_TOTALS}.details.reasoning_tokens",
            read=COUNT,
            only=ON_OTHERS,
        ),
        row(targets.INPUT_MESSAGES, "events", read=events.LISTED_INPUT),
        row(targets.OUTPUT_MESSAGES, "events", read=events.LISTED_OUTPUT),
        row(
            targets.INPUT_MESSAGES, "pydantic_ai.all_messages", read=messages.INPUT, only=ON_AGENTS
        ),
        row(targets.INPUT_MESSAGES, "all_messages_events", read=events.LISTED_ALL, only=ON_AGENTS),
        row(targets.OUTPUT_VALUE, "final_result", read=CONTENT, only=ON_AGENTS),
        row(targets.TOOLS, "model_request_parameters", read=listed.TOOL_LIST, only=ON_LLMS),
        row(targets.TOOL_PARAMETERS, "tool_arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "tool_arguments", read=CONTENT, only=ON_TOOLS),
        row(targets.OUTPUT_VALUE, "tool_response", read=CONTENT, only=ON_TOOLS),
    ),
    names=(
        NameRow("agent run", AGENT),
        NameRow("running tool: *", TOOL),
        NameRow("running tool", TOOL),
        NameRow("running output function: *", TOOL),
        NameRow("running output function", TOOL),
    ),
)

PYDANTIC_AI_PLAIN: Final = Convention(
    id="PY",
    title="Logfire / pydantic-ai, keys without a prefix",
    rank=61,
    rows=(
        row(targets.MODEL, "model_name"),
        row(targets.AGENT_NAME, "agent_name"),
        row(targets.AGENT_ID, "gen_ai.agent.call.id", only=ON_AGENTS),
        row(targets.WEAK_KIND, "response_data", read=always(LLM)),
        row(targets.INPUT_MESSAGES, "request_data", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "response_data", read=messages.OUTPUT, only=ON_LLMS),
        row(
            targets.INPUT_TOKENS,
            "response_data",
            read=at_first(("usage.prompt_tokens", "usage.input_tokens"), COUNT),
        ),
        row(
            targets.OUTPUT_TOKENS,
            "response_data",
            read=at_first(("usage.completion_tokens", "usage.output_tokens"), COUNT),
        ),
    ),
    names=(NameRow("chat *", LLM), NameRow("running *", CHAIN)),
    scopes=("pydantic-ai", "logfire"),
    signs=("logfire.*", "pydantic_ai.*", "all_messages_events", "final_result"),
)
