"""The canonical fields that conventions are mapped to, in the order they are written."""

from typing import Final

AGENT: Final = "AGENT"
CHAIN: Final = "CHAIN"
EMBEDDING: Final = "EMBEDDING"
EVALUATOR: Final = "EVALUATOR"
GUARDRAIL: Final = "GUARDRAIL"
LLM: Final = "LLM"
PROMPT: Final = "PROMPT"
RERANKER: Final = "RERANKER"
RETRIEVER: Final = "RETRIEVER"
SPAN: Final = "SPAN"
TOOL: Final = "TOOL"

KINDS: Final = frozenset(
    {AGENT, CHAIN, EMBEDDING, EVALUATOR, GUARDRAIL, LLM, PROMPT, RERANKER, RETRIEVER, SPAN, TOOL}
)
TOKEN_KINDS: Final = frozenset({LLM, EMBEDDING, RERANKER})
"""Kinds that are one model call; on all others usage is a total of their children."""

SCHEMA_VERSION: Final = "inference.export.schema_version"
PROJECT: Final = "inference.project_id"
KIND: Final = "inference.observation_kind"
PROVIDER: Final = "inference.llm.provider"
MODEL: Final = "inference.llm.model_name"
INPUT_TOKENS: Final = "inference.llm.input_tokens"
OUTPUT_TOKENS: Final = "inference.llm.output_tokens"
CACHED_TOKENS: Final = "inference.llm.cached_input_tokens"
REASONING_TOKENS: Final = "inference.llm.reasoning_output_tokens"
COST: Final = "inference.llm.cost.total"
USER: Final = "inference.user_id"
SESSION: Final = "inference.session_id"
AGENT_NAME: Final = "inference.agent_name"
AGENT_ID: Final = "inference.agent_id"

TAIL: Final = (
    SCHEMA_VERSION,
    PROJECT,
    KIND,
    PROVIDER,
    MODEL,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    CACHED_TOKENS,
    REASONING_TOKENS,
    COST,
    USER,
    SESSION,
    AGENT_NAME,
    AGENT_ID,
)
"""The keys that every line has, in their order."""

SCALARS: Final = TAIL[TAIL.index(PROVIDER) :]
"""Those of them that one attribute value answers."""

NAMES: Final = (MODEL, AGENT_NAME, AGENT_ID)
"""Those that hold a model's or an agent's name."""

# Read, but not written under these names.
WEAK_KIND: Final = "kind, when nothing else tells it"
CACHE_WRITE_TOKENS: Final = "cache write tokens"
TOTAL_TOKENS: Final = "total tokens"
INPUT_COST: Final = "cost of the input"
OUTPUT_COST: Final = "cost of the output"
NAMED_BY_SPAN: Final = "kind whose spans bear the agent's or the tool's name"
INSTRUCTIONS: Final = "system instructions"
FAILURE: Final = "failure"

INPUT_MESSAGES: Final = "llm.input_messages"
OUTPUT_MESSAGES: Final = "llm.output_messages"
TOOLS: Final = "llm.tools"
TOOL_NAME: Final = "tool.name"
TOOL_PARAMETERS: Final = "tool.parameters"
INPUT_VALUE: Final = "input.value"
OUTPUT_VALUE: Final = "output.value"
DOCUMENTS: Final = "retrieval.documents"
REQUEST_MODEL: Final = "gen_ai.request.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
SCORE_NAME: Final = "gen_ai.evaluation.name"
SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
SCORE_REASON: Final = "gen_ai.evaluation.explanation"
FILLED: Final = (
    INPUT_MESSAGES,
    OUTPUT_MESSAGES,
    TOOLS,
    TOOL_NAME,
    TOOL_PARAMETERS,
    INPUT_VALUE,
    OUTPUT_VALUE,
    DOCUMENTS,
    REQUEST_MODEL,
    FINISH_REASONS,
    TOOL_CALL_ID,
    SCORE_NAME,
    SCORE_VALUE,
    SCORE_LABEL,
    SCORE_REASON,
)
"""The fields filled where the client sent none, in the order they are written.

A field was sent when its key is there, or one that begins with it and a dot."""

VALUES: Final = (INPUT_VALUE, OUTPUT_VALUE, TOOL_PARAMETERS)
"""Those of them that hold JSON as one text, which an SDK may have cut."""

LISTS: Final = frozenset({INPUT_MESSAGES, OUTPUT_MESSAGES, TOOLS, DOCUMENTS})
"""Those of them that are written as flat keys: one attribute with all of it is not enough."""

ERROR_TYPE: Final = "error.type"
KIND_MIRROR: Final = "openinference.span.kind"

INGEST_WARNING: Final = "halo.ingest.warning"
AGGREGATES: Final = {
    INPUT_TOKENS: "halo.aggregate.input_tokens",
    OUTPUT_TOKENS: "halo.aggregate.output_tokens",
    CACHED_TOKENS: "halo.aggregate.cached_input_tokens",
    REASONING_TOKENS: "halo.aggregate.reasoning_output_tokens",
    COST: "halo.aggregate.cost.total",
}
DERIVED_ERROR: Final = "halo.derived.error"
EVENT_OF_SPAN: Final = "halo.event_of_span"
"""Written on what a log record tells of the span above it."""
TRUNCATED: Final = "halo.truncated"
CLIENT_PREFIX: Final = "halo.client."
REMARKS: Final = (*AGGREGATES.values(), DERIVED_ERROR, TRUNCATED)
"""The daemon's remarks in their order; `INGEST_WARNING` stands before, `CLIENT_PREFIX` after."""
