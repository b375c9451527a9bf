"""Names of observation kinds that several conventions share."""

from typing import Final

from halo_daemon.proto.semconv.targets import (
    AGENT,
    CHAIN,
    EMBEDDING,
    EVALUATOR,
    GUARDRAIL,
    KINDS,
    LLM,
    PROMPT,
    RERANKER,
    RETRIEVER,
    TOKEN_KINDS,
    TOOL,
)

COMMON: Final = {
    "agent": AGENT,
    "chain": CHAIN,
    "embedding": EMBEDDING,
    "evaluator": EVALUATOR,
    "guardrail": GUARDRAIL,
    "llm": LLM,
    "prompt": PROMPT,
    "reranker": RERANKER,
    "retriever": RETRIEVER,
    "tool": TOOL,
}
"""Kinds that a convention calls by their own name."""

ON_AGENTS: Final = frozenset({AGENT})
ON_LLMS: Final = frozenset({LLM})
ON_MODEL_CALLS: Final = TOKEN_KINDS
ON_OTHERS: Final = KINDS - TOKEN_KINDS
"""What is no model call: its usage is a total."""
ON_RETRIEVERS: Final = frozenset({RETRIEVER})
ON_TOOLS: Final = frozenset({TOOL})
NOT_ON_TOOLS: Final = KINDS - {TOOL}
"""Where messages are a conversation; on tools they are what it was given and what it gave."""
NOT_ON_LLMS: Final = KINDS - {LLM}
"""Where input and output are values; on LLM spans they are messages."""
