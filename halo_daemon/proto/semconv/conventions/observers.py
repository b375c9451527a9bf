"""SDKs of tracing products: LangWatch and Traceroot."""

from typing import Final

from halo_daemon.proto.semconv import listed, messages, targets
from halo_daemon.proto.semconv.conventions.kinds import (
    COMMON,
    NOT_ON_LLMS,
    ON_AGENTS,
    ON_LLMS,
    ON_RETRIEVERS,
    ON_TOOLS,
)
from halo_daemon.proto.semconv.readers import CONTENT, COUNT, NUMBER, Reader, at, at_first, kinds
from halo_daemon.proto.semconv.rows import Convention, Row, row
from halo_daemon.proto.semconv.targets import AGENT, CHAIN, EVALUATOR, RETRIEVER, TOOL

_LANGWATCH_KINDS: Final = COMMON | {
    "rag": RETRIEVER,
    "evaluation": EVALUATOR,
    "workflow": CHAIN,
    "component": CHAIN,
    "module": CHAIN,
    "task": CHAIN,
}
_VALUE: Final[Reader] = at("value", CONTENT)
_NAMED: Final = {"agent": AGENT, "tool": TOOL}
_CONTEXTS: Final = ("langwatch.contexts", "langwatch.rag.contexts", "langwatch.rag_contexts")


def _metric(target: str, *names: str) -> Row:
    """A number among the metrics, which newer SDKs wrap in an object with its type."""
    paths = tuple(path for name in names for path in (f"value.{name}", name))
    read = NUMBER if target == targets.COST else COUNT
    return row(target, "langwatch.metrics", read=at_first(paths, read))


LANGWATCH: Final = Convention(
    id="LW",
    title="LangWatch",
    rank=60,
    prefixes=("langwatch.",),
    rows=(
        row(targets.KIND, "langwatch.span.type", read=kinds(_LANGWATCH_KINDS)),
        row(
            targets.NAMED_BY_SPAN,
            "langwatch.span.type",
            read=kinds(_NAMED),
            only=ON_AGENTS | ON_TOOLS,
        ),
        _metric(targets.INPUT_TOKENS, "promptTokens", "prompt_tokens"),
        _metric(targets.OUTPUT_TOKENS, "completionTokens", "completion_tokens"),
        _metric(targets.COST, "cost"),
        row(
            targets.INPUT_MESSAGES,
            "langwatch.input",
            read=at("value", messages.INPUT),
            only=ON_LLMS,
        ),
        row(
            targets.OUTPUT_MESSAGES,
            "langwatch.output",
            read=at("value", messages.OUTPUT),
            only=ON_LLMS,
        ),
        row(targets.TOOL_PARAMETERS, "langwatch.input", read=_VALUE, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "langwatch.input", read=_VALUE, only=NOT_ON_LLMS),
        row(targets.INPUT_VALUE, "langwatch.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "langwatch.output", read=_VALUE, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "langwatch.output", read=CONTENT, only=NOT_ON_LLMS),
        row(
            targets.DOCUMENTS,
            *_CONTEXTS,
            read=at("value", listed.DOCUMENT_LIST),
            only=ON_RETRIEVERS,
        ),
        row(targets.DOCUMENTS, *_CONTEXTS, read=listed.DOCUMENT_LIST, only=ON_RETRIEVERS),
        row(targets.SESSION, "langwatch.thread.id", "langwatch.thread_id"),
        row(targets.USER, "langwatch.user.id", "langwatch.user_id"),
    ),
)

TRACEROOT: Final = Convention(
    id="TR",
    title="Traceroot",
    rank=60,
    prefixes=("traceroot.",),
    rows=(
        row(targets.KIND, "traceroot.span.type", read=kinds(COMMON)),
        row(
            targets.NAMED_BY_SPAN,
            "traceroot.span.type",
            read=kinds(_NAMED),
            only=ON_AGENTS | ON_TOOLS,
        ),
        row(targets.MODEL, "traceroot.llm.model"),
        row(targets.INPUT_MESSAGES, "traceroot.span.input", read=messages.INPUT, only=ON_LLMS),
        row(targets.OUTPUT_MESSAGES, "traceroot.span.output", read=messages.OUTPUT, only=ON_LLMS),
        row(targets.TOOL_PARAMETERS, "traceroot.span.input", read=CONTENT, only=ON_TOOLS),
        row(targets.INPUT_VALUE, "traceroot.span.input", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.OUTPUT_VALUE, "traceroot.span.output", read=CONTENT, only=NOT_ON_LLMS),
        row(targets.SESSION, "traceroot.trace.session_id"),
        row(targets.USER, "traceroot.trace.user_id"),
    ),
)
