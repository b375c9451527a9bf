"""MLflow and Genkit: inputs and outputs as JSON in one attribute."""

from typing import Final

from halo_daemon.proto.semconv import listed, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_MODEL_CALLS,
    ON_OTHERS,
    ON_RETRIEVERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import (
    ANSWER_REASONS,
    CONTENT,
    COUNT,
    ERROR_WORD,
    NUMBER,
    REASONS,
    TEXT,
    Reader,
    at,
    before_slash,
    kinds,
    quoted,
)
from halo_daemon.proto.semconv.rows import Convention, row
from halo_daemon.proto.semconv.targets import CHAIN, EMBEDDING, LLM, PROMPT, TOOL

_TYPES: Final = COMMON | {
    "chat_model": LLM,
    "parser": CHAIN,
    "memory": CHAIN,
    "workflow": CHAIN,
    "task": CHAIN,
}
_USAGE: Final = "mlflow.chat.tokenUsage"
_CONTENT: Final[Reader] = quoted(CONTENT)

MLFLOW: Final = Convention(
    id="ML",
    title="MLflow",
    rank=60,
    prefixes=("mlflow.",),
    rows=(
        row(targets.KIND, "mlflow.spanType", read=kinds(_TYPES)),
        row(targets.MODEL, "mlflow.llm.model", read=quoted(TEXT)),
        # What DSPy and others pass on of the call.
        row(targets.MODEL, "model", read=quoted(TEXT), only=ON_MODEL_CALLS),
        row(targets.PROVIDER, "mlflow.llm.provider", read=quoted(TEXT)),
        row(targets.INPUT_TOKENS, _USAGE, read=at("input_tokens", COUNT)),
        row(targets.OUTPUT_TOKENS, _USAGE, read=at("output_tokens", COUNT)),
        row(targets.TOTAL_TOKENS, _USAGE, read=at("total_tokens", COUNT)),
        row(targets.CACHED_TOKENS, _USAGE, read=at("cache_read_input_tokens", COUNT)),
        row(targets.CACHE_WRITE_TOKENS, _USAGE, read=at("cache_creation_input_tokens", COUNT)),
        row(targets.COST, "mlflow.llm.cost", read=at("total_cost", NUMBER)),
        row(targets.INPUT_MESSAGES, "mlflow.spanInputs", read=quoted(messages.INPUT), only=ON_LLMS),
        row(
            targets.OUTPUT_MESSAGES,
            "mlflow.spanOutputs",
            read=quoted(messages.OUTPUT),
            only=ON_LLMS,
        ),
        *(
            # The totals of the trace, on its root.
            row(target, "mlflow.trace.tokenUsage", read=at(name, COUNT), only=ON_OTHERS)
            for target, name in (
                (targets.INPUT_TOKENS, "input_tokens"),
                (targets.OUTPUT_TOKENS, "output_tokens"),
            )
        ),
        row(
            targets.FINISH_REASONS,
            "mlflow.spanOutputs",
            read=quoted(ANSWER_REASONS),
            only=ON_LLMS,
        ),
        row(targets.TOOLS, "mlflow.chat.tools", read=quoted(listed.TOOL_LIST)),
        row(targets.TOOLS, "mlflow.spanInputs", read=quoted(listed.REQUEST_TOOLS), only=ON_LLMS),
        row(targets.TOOL_NAME, "mlflow.spanFunctionName", read=quoted(TEXT), only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "mlflow.spanInputs", read=_CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "mlflow.spanInputs", read=_CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "mlflow.spanOutputs", read=_CONTENT, only=NOT_ON_LLMS),
        row(
            targets.DOCUMENTS,
            "mlflow.spanOutputs",
            read=quoted(listed.DOCUMENT_LIST),
            only=ON_RETRIEVERS,
        ),
        row(targets.SESSION, "mlflow.trace.session", read=quoted(TEXT)),
        row(targets.USER, "mlflow.trace.user", read=quoted(TEXT)),
    ),
)

_SUBTYPES: Final = COMMON | {
    "model": LLM,
    "background-model": LLM,
    "embedder": EMBEDDING,
    "tool.v2": TOOL,
    "flow": CHAIN,
    "util": CHAIN,
    "prompttemplate": PROMPT,
    "executable-prompt": PROMPT,
}

GENKIT: Final = Convention(
    id="GK",
    title="Genkit",
    rank=60,
    prefixes=("genkit:",),
    rows=(
        row(targets.KIND, "genkit:metadata:subtype", "genkit:type", read=kinds(_SUBTYPES)),
        row(targets.MODEL, "genkit:name", only=ON_MODEL_CALLS),
        row(
            targets.PROVIDER,
            "genkit:name",
            read=before_slash({"googleai": "google", "vertexai": "google"}),
            only=ON_MODEL_CALLS,
        ),
        row(targets.INPUT_TOKENS, "genkit:output", read=at("usage.inputTokens", COUNT)),
        row(targets.OUTPUT_TOKENS, "genkit:output", read=at("usage.outputTokens", COUNT)),
        row(targets.TOTAL_TOKENS, "genkit:output", read=at("usage.totalTokens", COUNT)),
        row(targets.CACHED_TOKENS, "genkit:output", read=at("usage.cachedContentTokens", COUNT)),
        row(targets.REASONING_TOKENS, "genkit:output", read=at("usage.thoughtsTokens", COUNT)),
        row(targets.INPUT_MESSAGES, "genkit:input", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "genkit:output", read=messages.OUTPUT, only=ON_LLMS),
        row(
            targets.FINISH_REASONS, "genkit:output", read=at("finishReason", REASONS), only=ON_LLMS
        ),
        row(targets.TOOLS, "genkit:input", read=at("tools", listed.TOOL_LIST), only=ON_LLMS),
        row(targets.TOOL_NAME, "genkit:name", only=ON_TOOLS),
        row(targets.TOOL_PARAMETERS, "genkit:input", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "genkit:input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "genkit:output", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.DOCUMENTS, "genkit:output", read=listed.DOCUMENT_LIST, only=ON_RETRIEVERS),
        row(targets.AGENT_NAME, "genkit:name", only=ON_AGENTS),
        row(targets.SESSION, "genkit:sessionId"),
        row(targets.FAILURE, "genkit:state", read=ERROR_WORD),
    ),
)
