"""What the conventions did not recognise, scope by scope, and what would fix it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from halo_daemon.proto.semconv.conventions import CONVENTIONS
from halo_daemon.proto.semconv.plan import explain
from halo_daemon.proto.semconv.targets import LLM, SPAN, TOOL
from halo_daemon.proto.span import Span

MAX_UNKNOWN_KEYS: Final = 1000
"""Distinct unknown keys counted for one scope; further ones are counted together."""

_OTHER_KEYS: Final = "(other keys)"
_OUTPUT: Final = "llm.output_messages."
_GENERAL: Final = (
    "http.", "net.", "server.", "client.", "url.", "db.", "rpc.", "messaging.", "service.",
    "telemetry.", "host.", "process.", "os.", "k8s.", "cloud.", "container.", "code.", "thread.",
    "exception.", "network.", "user_agent.", "peer.", "otel.", "deployment.", "faas.",
)  # fmt: skip
"""General conventions: known, and nothing that an observation needs."""

_KNOWN_PREFIXES: Final = (
    "halo.",
    "inference.",
    *_GENERAL,
    *(prefix for convention in CONVENTIONS for prefix in convention.prefixes),
)


@dataclass(slots=True)
class ScopeLint:
    """What was seen in one instrumentation scope; counts are spans."""

    scope_name: str
    spans: int = 0
    without_kind: int = 0
    """Spans whose kind is `SPAN` although they carry keys that no convention knows."""
    llm_spans: int = 0
    llm_without_model: int = 0
    llm_without_tokens: int = 0
    llm_without_messages: int = 0
    calls_without_tool_span: int = 0
    """LLM spans that ask for tools, where no scope records a tool."""
    tool_spans: int = 0
    tool_without_name: int = 0
    tool_without_result: int = 0
    truncated: int = 0
    unknown_keys: Counter[str] = field(default_factory=Counter)
    """Attribute keys that no convention knows, by the spans that carry them."""
    examples: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Trace and span id of the first span that was counted under a name of a count."""

    @property
    def advice(self) -> tuple[str, ...]:
        """What would fix it, worst first; empty when nothing is amiss."""
        return tuple(
            f"{text.format(count=count, spans=self.spans)} ({self._example(name)})"
            for name, text in _ADVICE.items()
            if (count := getattr(self, name))
        )

    def add(self, name: str, span: Span, *, is_counted: bool) -> None:
        """Count *span* under the count of that name."""
        if is_counted:
            setattr(self, name, getattr(self, name) + 1)
            self.examples.setdefault(name, (span.trace_id, span.span_id))

    def _example(self, name: str) -> str:
        trace_id, span_id = self.examples[name]
        return f"first: span {span_id} of trace {trace_id}"


_NO_KIND: Final = (
    "{count} of {spans} spans have no kind: set `openinference.span.kind` or "
    "`gen_ai.operation.name`"
)
_NO_MODEL: Final = "{count} LLM spans name no model: set `gen_ai.response.model`"
_NO_TOKENS: Final = (
    "{count} LLM spans report no tokens: set `gen_ai.usage.input_tokens` and "
    "`gen_ai.usage.output_tokens`; streaming clients often need an option for it"
)
_NO_MESSAGES: Final = (
    "{count} LLM spans hold no messages: turn on content capture, such as "
    "`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` (its messages may leave as log records: "
    "keep the exporter of logs on), `TRACELOOP_TRACE_CONTENT=true` or `recordInputs` and "
    "`recordOutputs` of the AI SDK"
)
_NO_TOOL_SPANS: Final = (
    "{count} LLM spans ask for tools, and no span stands for a tool: trace the tools as well "
    "(`execute_tool` spans, kind TOOL); from messages alone nobody can tell how long a tool took, "
    "nor what became of a call whose result no later prompt holds"
)
_NO_TOOL_NAME: Final = "{count} tool spans name no tool: set `gen_ai.tool.name`"
_NO_RESULT: Final = (
    "{count} tool spans hold no result: set `gen_ai.tool.call.result` or `output.value`"
)
_CUT: Final = "{count} spans arrived with cut JSON: raise `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`"
_ADVICE: Final = {
    "without_kind": _NO_KIND,
    "llm_without_model": _NO_MODEL,
    "llm_without_tokens": _NO_TOKENS,
    "llm_without_messages": _NO_MESSAGES,
    "calls_without_tool_span": _NO_TOOL_SPANS,
    "tool_without_name": _NO_TOOL_NAME,
    "tool_without_result": _NO_RESULT,
    "truncated": _CUT,
}
"""By the count in `ScopeLint` that calls for it, worst first."""


@dataclass(frozen=True, slots=True)
class LintReport:
    """What was not recognised."""

    scopes: tuple[ScopeLint, ...] = ()
    """By number of spans, most first, ties by name; empty when there were no spans."""

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing to advise."""
        return not any(scope.advice for scope in self.scopes)


def lint(spans: Iterable[Span]) -> LintReport:
    """Look at stored spans; memory is bounded by the scopes and their unknown keys."""
    scopes: dict[str, ScopeLint] = {}
    for span in spans:
        _look(span, scopes.setdefault(span.scope_name, ScopeLint(span.scope_name)))
    if any(scope.tool_spans for scope in scopes.values()):
        for scope in scopes.values():
            scope.calls_without_tool_span = 0
    return LintReport(
        tuple(sorted(scopes.values(), key=lambda scope: (-scope.spans, scope.scope_name)))
    )


def _look(span: Span, scope: ScopeLint) -> None:
    scope.spans += 1
    unknown = [key for key in span.attributes if _is_unknown(key)]
    for key in unknown:
        known_already = key in scope.unknown_keys or len(scope.unknown_keys) < MAX_UNKNOWN_KEYS
        scope.unknown_keys[key if known_already else _OTHER_KEYS] += 1
    scope.add("truncated", span, is_counted=span.attributes.get("halo.truncated") is True)
    kind = span.observation_kind
    if kind == SPAN:
        scope.add("without_kind", span, is_counted=bool(unknown))
    elif kind == LLM:
        _look_at_llm(span, scope)
    elif kind == TOOL:
        scope.tool_spans += 1
        has_result = span.has_error_status or "output.value" in span.attributes
        scope.add("tool_without_name", span, is_counted=not span.text("tool.name"))
        scope.add("tool_without_result", span, is_counted=not has_result)


def _look_at_llm(span: Span, scope: ScopeLint) -> None:
    scope.llm_spans += 1
    scope.add("llm_without_model", span, is_counted=not span.model)
    asks = any(key.startswith(_OUTPUT) and ".tool_calls." in key for key in span.attributes)
    scope.add("calls_without_tool_span", span, is_counted=asks)
    if not span.has_error_status:
        # A call that failed has nothing to count and nothing to say.
        has_tokens = span.input_tokens is not None or span.output_tokens is not None
        has_answer = any(key.startswith(_OUTPUT) for key in span.attributes)
        scope.add("llm_without_tokens", span, is_counted=not has_tokens)
        scope.add("llm_without_messages", span, is_counted=not has_answer)


def _is_unknown(key: str) -> bool:
    return not (key.startswith(_KNOWN_PREFIXES) or explain(key))
