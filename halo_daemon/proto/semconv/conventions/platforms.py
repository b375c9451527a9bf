"""Smaller vocabularies: LiveKit, Flue, Braintrust, Cursor, ElevenLabs, BeeAI."""

from typing import Final

from halo_daemon.proto.semconv import messages, targets
from halo_daemon.proto.semconv.conventions.kinds import COMMON, NOT_ON_LLMS, ON_LLMS, ON_TOOLS
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, TEXT, TRUE, always, at, kinds
from halo_daemon.proto.semconv.rows import Convention, NameRow, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, EVALUATOR, LLM, TOOL

_BRAINTRUST: Final = COMMON | {
    "function": CHAIN,
    "task": CHAIN,
    "eval": EVALUATOR,
    "score": EVALUATOR,
}

LIVEKIT: Final = Convention(
    id="OT",
    title="LiveKit",
    rank=60,
    prefixes=("lk.",),
    rows=(
        row(
            targets.WEAK_KIND, "lk.function_tool.name", "lk.function_tool.output", read=always(TOOL)
        ),
        row(targets.WEAK_KIND, "lk.chat_ctx", read=always(LLM)),
        row(targets.INPUT_MESSAGES, "lk.chat_ctx", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "lk.response.text", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.TOOL_NAME, "lk.function_tool.name", only=ON_TOOLS),
        row(targets.TOOL_CALL_ID, "lk.function_tool.id", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "lk.function_tool.arguments", read=CONTENT, only=ON_TOOLS),
        row(
            targets.INPUT_VALUE,
            "lk.function_tool.arguments",
            "lk.user_input",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(
            targets.OUTPUT_VALUE,
            "lk.function_tool.output",
            "lk.response.text",
            read=CONTENT,
            only=NOT_ON_LLMS,
        ),
        row(targets.FAILURE, "lk.function_tool.is_error", read=TRUE),
        row(targets.AGENT_NAME, "lk.agent_name", "lk.agent_label"),
        row(targets.SESSION, "lk.room_name"),
    ),
    names=(
        NameRow("agent_session", AGENT),
        NameRow("agent_turn", AGENT),
        NameRow("function_tool", TOOL),
        NameRow("llm_node", LLM),
    ),
    scopes=("livekit",),
    signs=("lk.*",),
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
        row(targets.AGENT_ID, "cursor.agent_id"),
        row(
            targets.SESSION,
            "cursor.run_id",
            "elevenlabs.conversation_id",
            "chat.id",
            "conversation_id",
            "thread.id",
            "session_id",
        ),
        row(targets.USER, "elevenlabs.user_id", "user_id"),
    ),
)
