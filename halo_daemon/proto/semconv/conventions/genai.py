"""The GenAI semantic conventions of OpenTelemetry, as they are today."""

from typing import Final

from halo_daemon.proto.semconv import messages, targets
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, NUMBER, kinds
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, EMBEDDING, LLM, RETRIEVER, TOOL

_OPERATIONS: Final = {
    "chat": LLM,
    "text_completion": LLM,
    "generate_content": LLM,
    "embeddings": EMBEDDING,
    "execute_tool": TOOL,
    "invoke_agent": AGENT,
    "create_agent": AGENT,
    "invoke_workflow": CHAIN,
    "plan": CHAIN,
    "retrieval": RETRIEVER,
}
_ON_TOOLS: Final = frozenset({TOOL})

GENAI: Final = Convention(
    id="GA",
    title="OpenTelemetry GenAI, current",
    rank=40,
    rows=(
        row(targets.KIND, "gen_ai.operation.name", read=kinds(_OPERATIONS)),
        row(targets.MODEL, "gen_ai.response.model", "gen_ai.request.model"),
        row(targets.PROVIDER, "gen_ai.provider.name"),
        row(targets.INPUT_TOKENS, "gen_ai.usage.input_tokens", read=COUNT),
        row(targets.OUTPUT_TOKENS, "gen_ai.usage.output_tokens", read=COUNT),
        row(targets.CACHED_TOKENS, "gen_ai.usage.cache_read.input_tokens", read=COUNT),
        row(
            targets.CACHE_WRITE_TOKENS,
            "gen_ai.usage.cache_creation.input_tokens",
            read=COUNT,
        ),
        row(targets.REASONING_TOKENS, "gen_ai.usage.reasoning.output_tokens", read=COUNT),
        row(targets.COST, "gen_ai.usage.cost", "operation.cost", read=NUMBER),
        row(targets.SESSION, "gen_ai.conversation.id"),
        row(targets.USER, "enduser.id"),
        row(targets.AGENT_NAME, "gen_ai.agent.name"),
        row(targets.AGENT_ID, "gen_ai.agent.id"),
        row(targets.INPUT_MESSAGES, "gen_ai.input.messages", read=messages.INPUT),
        row(targets.OUTPUT_MESSAGES, "gen_ai.output.messages", read=messages.OUTPUT),
        row(targets.INSTRUCTIONS, "gen_ai.system_instructions", read=messages.SYSTEM),
        row(targets.TOOL_NAME, "gen_ai.tool.name", only=_ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "gen_ai.tool.call.arguments", read=CONTENT, only=_ON_TOOLS),
        row(targets.INPUT_VALUE, "gen_ai.tool.call.arguments", read=CONTENT, only=_ON_TOOLS),
        row(targets.OUTPUT_VALUE, "gen_ai.tool.call.result", read=CONTENT, only=_ON_TOOLS),
    ),
)
