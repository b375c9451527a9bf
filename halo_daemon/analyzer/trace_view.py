"""
One trace as the rules see it: facts that several of them need, computed once.

Everything here is a pure function of the trace; order is that of start times.
"""

from bisect import bisect_left
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from halo_daemon.analyzer.content import (
    ModelCall,
    Text,
    canonical_arguments,
    first_text,
    parse_json,
    read_model_call,
    tool_arguments,
    tool_result,
)
from halo_daemon.analyzer.contract import at_pointer
from halo_daemon.analyzer.masking import mask_name, mask_volatile, template_of
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.signals import ErrorSignal, error_signal
from halo_daemon.analyzer.verify import value_at
from halo_daemon.proto.span import AGENT, LLM, TOOL, Span
from halo_daemon.proto.trace import Trace


class Subject(NamedTuple):
    """What a denominator is counted over: an agent and its tool, model or span name."""

    agent: str
    name: str


_STEP_KINDS = frozenset({LLM, TOOL})
_VOLATILE_CHARS = 100
_NO_HEX = str.maketrans("", "", "0123456789abcdefABCDEF")
_TASK_CHARS = 4_000
_INPUT_KEYS = ("input.value", "llm.input_messages.0.message.content")


class LeafError(NamedTuple):
    """A span that failed, no descendant of which did."""

    span: Span
    signal: ErrorSignal
    template: str
    decision: Span | None
    """The last LLM span that ended before this one did: where the call was decided."""


class ToolCall:
    """One TOOL span: who called what with which arguments, and what came back."""

    __slots__ = ("__dict__", "agent", "position", "signal", "span", "tool", "turn")

    def __init__(
        self, span: Span, *, agent: str, signal: ErrorSignal | None, position: int, turn: int
    ) -> None:
        self.span = span
        self.tool = mask_name(span.tool_name)
        self.agent = agent
        self.signal = signal
        self.position = position
        """Place among the tool calls of the trace, from 0."""
        self.turn = turn
        """LLM spans that had begun before the call."""

    @cached_property
    def arguments(self) -> Text:
        """Arguments as recorded."""
        return tool_arguments(self.span)

    @cached_property
    def canonical(self) -> str:
        """Arguments in canonical form."""
        return canonical_arguments(self.arguments.value)

    @cached_property
    def result(self) -> Text:
        """Result as recorded."""
        return tool_result(self.span)

    @cached_property
    def exact_result(self) -> bytes:
        """Digest of the result without its volatile parts; equal results have equal ones."""
        text = mask_volatile(self.result.value)
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def has_result_of(self, other: "ToolCall") -> bool:
        """Whether both calls came out the same, their volatile parts aside."""
        ours, theirs = self.result.value, other.result.value
        if ours == theirs:
            return True
        if abs(len(ours) - len(theirs)) >= _VOLATILE_CHARS or not _is_near(ours, theirs):
            return False
        return self.exact_result == other.exact_result


def _is_near(left: str, right: str) -> bool:
    """A cheap no: texts that differ in more than digits, unless ids without digits are about."""
    if "id" in left or "ID" in left or "Id" in left:
        return True
    return left.translate(_NO_HEX) == right.translate(_NO_HEX)


class TraceView:
    """Facts of one trace."""

    def __init__(self, trace: Trace, settings: MinerSettings) -> None:
        self.trace = trace
        self.settings = settings

    @property
    def trace_id(self) -> str:
        """Id of the trace."""
        return self.trace.trace_id

    @property
    def is_open(self) -> bool:
        """Whether more spans are expected; rules that need an end leave such a trace out."""
        return self.trace.is_open

    @cached_property
    def steps(self) -> tuple[Span, ...]:
        """LLM and TOOL spans; their number is the length of the trace."""
        return tuple(span for span in self.trace.spans if span.observation_kind in _STEP_KINDS)

    @cached_property
    def step_index(self) -> dict[str, int]:
        """Place of each step by span id."""
        return {span.span_id: place for place, span in enumerate(self.steps)}

    @cached_property
    def model_calls(self) -> tuple[ModelCall, ...]:
        """LLM spans with what the model said, asked for and was offered."""
        return tuple(read_model_call(span) for span in self.steps if span.observation_kind == LLM)

    @cached_property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """TOOL spans."""
        calls: list[ToolCall] = []
        turn = 0
        for span in self.steps:
            if span.observation_kind == LLM:
                turn += 1
                continue
            calls.append(
                ToolCall(
                    span,
                    agent=self.agent_of(span),
                    signal=self._signals.get(span.span_id),
                    position=len(calls),
                    turn=turn,
                )
            )
        return tuple(calls)

    @cached_property
    def call_of(self) -> dict[str, ToolCall]:
        """Tool calls by span id."""
        return {call.span.span_id: call for call in self.tool_calls}

    @cached_property
    def used_tools(self) -> dict[Subject, int]:
        """Calls by agent and tool."""
        used: dict[Subject, int] = {}
        for call in self.tool_calls:
            subject = Subject(call.agent, call.tool)
            used[subject] = used.get(subject, 0) + 1
        return used

    @cached_property
    def _agents(self) -> dict[str, str]:
        named: dict[str, str] = {}
        for span in self.trace.spans:
            name = span.agent_name or named.get(span.parent_span_id, "") or span.service_name
            named[span.span_id] = mask_name(name)
        return named

    def agent_of(self, span: Span) -> str:
        """The span's agent, else that of its parent, else the service; masked."""
        return self._agents[span.span_id]

    @cached_property
    def agents(self) -> frozenset[str]:
        """Agents of the steps; those of all spans where there are no steps."""
        return frozenset(self.agent_of(span) for span in self.steps or self.trace.spans)

    @cached_property
    def _signals(self) -> dict[str, ErrorSignal]:
        return {
            span.span_id: signal
            for span in self.trace.spans
            if (signal := error_signal(span) or self._stated_failure(span))
        }

    def _stated_failure(self, span: Span) -> ErrorSignal | None:
        """A result that the contract calls a failure although the call went through."""
        tools = self.settings.contract.tools
        stated = tools.get(span.tool_name) if tools else None
        if stated is None or not stated.failure_when:
            return None
        parsed = parse_json(tool_result(span).value)
        for condition in stated.failure_when:
            value = at_pointer(parsed, condition.pointer)
            if value is not None and value in condition.in_:
                message = f"{condition.pointer.rpartition('/')[2]} is {value}"
                return ErrorSignal("attribute", message, "", "")
        return None

    def template_of(self, span: Span) -> str:
        """Masked template of the span's error; ``""`` when it has none."""
        signal = self._signals.get(span.span_id)
        return template_of(signal.message) if signal else ""

    @cached_property
    def leaf_errors(self) -> tuple[LeafError, ...]:
        """Failed spans none of whose descendants failed."""
        above: set[str] = set()
        by_id = self.trace.by_id
        for span_id in self._signals:
            parent = by_id[span_id].parent_span_id
            while parent in by_id and parent not in above:
                above.add(parent)
                parent = by_id[parent].parent_span_id
        return tuple(
            LeafError(span, signal, template_of(signal.message), self.decision_of(span))
            for span in self.trace.spans
            if span.span_id not in above and (signal := self._signals.get(span.span_id))
        )

    @cached_property
    def leaf_error_of(self) -> dict[str, LeafError]:
        """Leaf errors by span id."""
        return {error.span.span_id: error for error in self.leaf_errors}

    @cached_property
    def _llm_by_end(self) -> list[tuple[int, int, str]]:
        ends = [
            (span.end_unix_ns, span.start_unix_ns, span.span_id)
            for span in self.steps
            if span.observation_kind == LLM and span.is_complete
        ]
        return sorted(ends)

    def decision_of(self, span: Span) -> Span | None:
        """The last LLM span that ended before *span* did (before it began, when it has no end)."""
        moment = span.end_unix_ns if span.is_complete else span.start_unix_ns
        at = bisect_left(self._llm_by_end, (moment,)) - 1
        # A call and the tool it starts may carry one and the same rounded time.
        while at + 1 < len(self._llm_by_end) and self._is_zero_length_caller(at + 1, span, moment):
            at += 1
        return self.trace.by_id[self._llm_by_end[at][2]] if at >= 0 else None

    def _is_zero_length_caller(self, at: int, span: Span, moment: int) -> bool:
        end, start, span_id = self._llm_by_end[at]
        return end == moment and start < span.start_unix_ns and span_id != span.span_id

    def has_error(self, span: Span) -> bool:
        """Whether the span carries an error signal of any kind."""
        return span.span_id in self._signals

    @cached_property
    def _spans_by_subject(self) -> dict[Subject, list[Span]]:
        found: dict[Subject, list[Span]] = {}
        for span in self.trace.spans:
            name = mask_name(span.tool_name or span.name)
            found.setdefault(Subject(self.agent_of(span), name), []).append(span)
        return found

    @cached_property
    def span_subjects(self) -> frozenset[Subject]:
        """(agent, masked name) of every span."""
        return frozenset(self._spans_by_subject)

    @cached_property
    def requested_populations(self) -> frozenset[Population]:
        """(agent, tool) of every call that a model asked for."""
        return frozenset(
            Population("requested", self.agent_of(call.span), mask_name(requested.name))
            for call in self.model_calls
            for requested in call.requested
        )

    @cached_property
    def agent_populations(self) -> frozenset[Population]:
        """Every agent of the trace."""
        return frozenset(Population("agent", agent, "") for agent in self.agents)

    @cached_property
    def span_populations(self) -> frozenset[Population]:
        """Every span name of the trace, tools under their tool's name."""
        return frozenset(Population("span", *subject) for subject in self._spans_by_subject)

    def spans_of(self, subject: Subject) -> list[Span]:
        """Spans of one agent and masked name, in order of start."""
        return self._spans_by_subject.get(subject, [])

    @cached_property
    def _llm_starts(self) -> list[int]:
        return [span.start_unix_ns for span in self.steps if span.observation_kind == LLM]

    def turn_at(self, unix_ns: int) -> int:
        """How many LLM spans had begun before that time."""
        return bisect_left(self._llm_starts, unix_ns)

    @cached_property
    def _step_starts(self) -> list[int]:
        return [span.start_unix_ns for span in self.steps]

    def step_at(self, unix_ns: int) -> int:
        """How many steps had begun before that time: the place of a step that begins then."""
        return bisect_left(self._step_starts, unix_ns)

    @cached_property
    def framework_steps(self) -> tuple[Span, ...]:
        """Spans of other kinds that directly hold a model call, the root aside."""
        by_id = self.trace.by_id
        holders = {
            call.span.parent_span_id
            for call in self.model_calls
            if call.span.parent_span_id in by_id
        }
        return tuple(
            span
            for span in self.trace.spans
            if span.span_id in holders
            and span is not self.root
            and span.observation_kind not in _STEP_KINDS
            and span.observation_kind != AGENT
        )

    @cached_property
    def _model_calls_by_parent(self) -> dict[str, list[ModelCall]]:
        found: dict[str, list[ModelCall]] = {}
        for call in self.model_calls:
            found.setdefault(call.span.parent_span_id, []).append(call)
        return found

    def model_calls_under(self, span: Span) -> list[ModelCall]:
        """Model calls whose parent is *span*."""
        return self._model_calls_by_parent.get(span.span_id, [])

    @cached_property
    def root(self) -> Span:
        """The earliest root span, an AGENT where there is one; the first span in a cycle."""
        roots = self.trace.roots or self.trace.spans[:1]
        return next((span for span in roots if span.observation_kind == AGENT), roots[0])

    @cached_property
    def task_input(self) -> Text:
        """What the trace was asked: the first input that is recorded."""
        for span in (self.root, *self.trace.spans[:50]):
            found = first_text(span, _INPUT_KEYS)
            if found.value:
                return found
        return Text("", "")

    @cached_property
    def task(self) -> str:
        """Fingerprint of the masked input; equal ones are the same task, ``""`` when unknown."""
        masked = mask_volatile(" ".join(self.task_input.value[:_TASK_CHARS].split()))
        if not masked:
            return ""
        return blake2b(masked.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @cached_property
    def final_call(self) -> ModelCall | None:
        """The model call that ended last; None when there is none."""
        complete = [call for call in self.model_calls if call.span.is_complete]
        return max(
            complete, key=lambda call: (call.span.end_unix_ns, call.span.span_id), default=None
        )

    def answered_after(self, span: Span) -> bool:
        """Whether the trace gave an answer that is not the words of *span* itself."""
        answer = self.final_answer
        return answer is not None and answer[0].span_id != span.span_id

    def message_text(self, error: LeafError) -> Text:
        """The recorded value that holds an error's message; empty when it stands nowhere."""
        path = error.signal.attribute
        value = value_at(error.span, path) if path else None
        return Text(path, value) if value else Text("", "")

    def following_call(self, span: Span) -> Span | None:
        """The first LLM span that began after *span* ended; None when there is none."""
        moment = max(span.end_unix_ns, span.start_unix_ns)
        at = bisect_left(self._llm_starts, moment)
        calls = self.model_calls
        return calls[at].span if at < len(calls) else None

    @cached_property
    def given_texts(self) -> tuple[str, ...]:
        """Everything the agent was told: inputs, messages, results of tools."""
        answer = self.final_answer
        texts = [call.result.value for call in self.tool_calls]
        for span in self.trace.spans:
            if answer is not None and span is answer[0]:
                continue
            texts += [
                value
                for key, value in span.attributes.items()
                if isinstance(value, str)
                and (key == "input.value" or key.startswith("llm.input_messages."))
            ]
            if span.observation_kind not in _STEP_KINDS and span is not self.root:
                texts.append(span.text("output.value"))
        return tuple(filter(None, texts))

    @cached_property
    def final_answer(self) -> tuple[Span, Text] | None:
        """The span and the text that the trace ended with; None when it gave no answer."""
        output = self.root.text("output.value")
        if output.strip():
            return self.root, Text("output.value", output)
        call = self.final_call
        return (call.span, call.answer) if call and call.answer.value.strip() else None
