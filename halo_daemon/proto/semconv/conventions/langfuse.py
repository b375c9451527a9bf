"""Langfuse's SDKs: `langfuse.*`."""

from typing import Final

from halo_daemon.proto.semconv import messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.listed import REQUEST_TOOLS
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, ERROR_WORD, NUMBER, at, kinds
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import AGENT, LLM, TOOL

_TYPES: Final = COMMON | {"generation": LLM}
_USAGE: Final = "langfuse.observation.usage_details"
_COST: Final = "langfuse.observation.cost_details"

LANGFUSE: Final = Convention(
    id="LF",
    title="Langfuse SDK",
    rank=20,
    prefixes=("langfuse.",),
    rows=(
        # `span` and `event` say nothing of the kind: older SDKs send them on model calls too.
        row(targets.KIND, "langfuse.observation.type", read=kinds(_TYPES)),
        row(
            targets.NAMED_BY_SPAN,
            "langfuse.observation.type",
            read=kinds({"agent": AGENT, "tool": TOOL}),
            only=ON_AGENTS | ON_TOOLS,
        ),
        row(targets.MODEL, "langfuse.observation.model.name"),
        *(
            row(target, _USAGE, read=at(name, COUNT))
            for target, names in (
                (targets.INPUT_TOKENS, ("input", "input_tokens", "prompt_tokens", "promptTokens")),
                (
                    targets.OUTPUT_TOKENS,
                    ("output", "output_tokens", "completion_tokens", "completionTokens"),
                ),
                (targets.TOTAL_TOKENS, ("total", "total_tokens", "totalTokens")),
                (
                    targets.CACHED_TOKENS,
                    (
                        "input_cached_tokens",
                        "cache_read_input_tokens",
                        "input_cache_read",
                        "prompt_tokens_details.cached_tokens",
                        "input_tokens_details.cached_tokens",
                    ),
                ),
                (
                    targets.CACHE_WRITE_TOKENS,
                    ("input_cache_creation", "cache_creation_input_tokens"),
                ),
                (
                    targets.REASONING_TOKENS,
                    (
                        "output_reasoning_tokens",
                        "output_reasoning",
                        "reasoning_tokens",
                        "completion_tokens_details.reasoning_tokens",
                        "output_tokens_details.reasoning_tokens",
                    ),
                ),
            )
            for name in names
        ),
        row(targets.COST, _COST, read=at("total", NUMBER)),
        row(targets.INPUT_COST, _COST, read=at("input", NUMBER)),
        row(targets.OUTPUT_COST, _COST, read=at("output", NUMBER)),
        row(
            targets.INPUT_MESSAGES, "langfuse.observation.input", read=messages.INPUT, only=ON_LLMS
        ),
        row(
            targets.OUTPUT_MESSAGES,
            "langfuse.observation.output",
            read=messages.OUTPUT,
            only=ON_LLMS,
        ),
        # The wrapped client of OpenAI keeps the request with what was offered.
        row(targets.TOOLS, "langfuse.observation.input", read=REQUEST_TOOLS, only=ON_LLMS),
        row(targets.TOOL_PARAMETERS, "langfuse.observation.input", read=CONTENT, only=ON_TOOLS),
        row(
            targets.INPUT_VALUE,
            "langfuse.observation.input",
            "langfuse.trace.input",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "langfuse.observation.output",
            "langfuse.trace.output",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(targets.SESSION, "langfuse.session.id"),
        row(targets.USER, "langfuse.user.id"),
        row(targets.FAILURE, "langfuse.observation.level", read=ERROR_WORD),
    ),
)
