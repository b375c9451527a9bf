"""
One trace as the rules see it: facts that several of them need, computed once.

Everything here is a pure function of the trace; order is that of start times.
"""

from hashlib import blake2b
from operator import attrgetter
from typing import NamedTuple

from halo_daemon.analyzer.content import NO_TEXT, ModelCall, Text, first_text
from halo_daemon.analyzer.masking import mask_name, mask_volatile, template_of
from halo_daemon.analyzer.named_text import value_at
from halo_daemon.analyzer.outcome import Outcome, outcome_of, status_outcome
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.signals import ErrorSignal
from halo_daemon.analyzer.step_limit import LIMIT
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_spans import STEP_KINDS, TraceSpans
from halo_daemon.proto.computed_once import computed_once
from halo_daemon.proto.span import AGENT, LLM, Span

_EVENTS = attrgetter("events")
_TASK_CHARS = 4_000
_INPUT_KEYS = ("input.value", "llm.input_messages.0.message.content")


class LeafError(NamedTuple):
    """A span that failed, no descendant of which did."""

    span: Span
    signal: ErrorSignal
    template: str
    decision: Span | None
    """The last LLM span that ended before this one did: where the call was decided."""


class TraceView(TraceSpans):
    """Facts of one trace that several rules ask for."""

    @computed_once
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """TOOL spans, and the calls that only messages tell of."""
        calls: list[ToolCall] = []
        turn = 0
        for span in self.steps:
            if span.observation_kind == LLM:
                turn += 1
                continue
            agent, tool = self.subjects[span.span_id]
            signal = self._signals.get(span.span_id)
            calls.append(
                ToolCall(
                    span,
                    agent=agent,
                    tool=tool,
                    signal=signal,
                    position=len(calls),
                    turn=turn,
                    is_told=span.span_id in self.told,
                )
            )
        return tuple(calls)

    @computed_once
    def call_of(self) -> dict[str, ToolCall]:
        """Tool calls by span id."""
        return {call.span.span_id: call for call in self.tool_calls}

    @computed_once
    def used_tools(self) -> dict[Subject, int]:
        """How many calls, by agent and tool."""
        return {subject: len(calls) for subject, calls in self._calls_by_subject.items()}

    @computed_once
    def _calls_by_subject(self) -> dict[Subject, list[ToolCall]]:
        found: dict[Subject, list[ToolCall]] = {}
        for call in self.tool_calls:
            found.setdefault(self.subjects[call.span.span_id], []).append(call)
        return found

    def calls_of(self, subject: Subject) -> list[ToolCall]:
        """Calls of one agent's tool, in order of start."""
        return self._calls_by_subject.get(subject, [])

    @computed_once
    def leaf_errors(self) -> tuple[LeafError, ...]:
        """Failed spans none of whose descendants failed."""
        if not self._signals:
            return ()
        above = set(self._failed_above)
        by_id = self.trace.by_id
        for span_id in self._signals:
            parent = (by_id.get(span_id) or self.told[span_id].span).parent_span_id
            while parent in by_id and parent not in above:
                above.add(parent)
                parent = by_id[parent].parent_span_id
        above -= self._stopped(above)
        return tuple(
            LeafError(span, signal, template_of(signal.message), self.decision_of(span))
            for span in self.spans
            if span.span_id not in above and (signal := self._signals.get(span.span_id))
        )

    def _stopped(self, above: set[str]) -> set[str]:
        """
        Those *above* others that a limit on steps stopped, the innermost of each branch.

        What failed within them may be long made up for: the limit is their own failure.
        """
        stopped = {span_id for span_id in above if self._met_limit(span_id)}
        by_id = self.trace.by_id
        for span_id in filter(self._met_limit, self._signals) if stopped else ():
            parent = by_id[span_id].parent_span_id if span_id in by_id else ""
            while parent in by_id:
                stopped.discard(parent)
                parent = by_id[parent].parent_span_id
        return stopped

    def _met_limit(self, span_id: str) -> bool:
        signal = self._signals.get(span_id)
        return (
            signal is not None
            and LIMIT.search(f"{signal.error_type}: {signal.message}") is not None
        )

    @computed_once
    def leaf_error_of(self) -> dict[str, LeafError]:
        """Leaf errors by span id."""
        return {error.span.span_id: error for error in self.leaf_errors}

    @computed_once
    def _spans_by_subject(self) -> dict[Subject, list[Span]]:
        found: dict[Subject, list[Span]] = {}
        for span in self.spans:
            found.setdefault(self.subjects[span.span_id], []).append(span)
        return found

    @computed_once
    def span_subjects(self) -> frozenset[Subject]:
        """(agent, masked name) of every span."""
        return frozenset(self._spans_by_subject)

    @computed_once
    def requested_populations(self) -> frozenset[Population]:
        """(agent, tool) of every call that a model asked for."""
        asked = {
            (call.agent, requested.name)
            for call in self.model_calls
            for requested in call.requested
        }
        return frozenset(Population("requested", agent, mask_name(name)) for agent, name in asked)

    @computed_once
    def agent_populations(self) -> frozenset[Population]:
        """Every agent of the trace."""
        return frozenset(Population("agent", agent, "") for agent in self.agents)

    def model_subject_of(self, call: ModelCall) -> Subject:
        """Agent and model that a model call's findings are counted under."""
        return Subject(call.agent, call.model or mask_name(call.span.name))

    @computed_once
    def model_populations(self) -> frozenset[Population]:
        """Agent and model of every model call."""
        called = {
            (call.agent, call.model or mask_name(call.span.name)) for call in self.model_calls
        }
        return frozenset(Population("model", *subject) for subject in called)

    @computed_once
    def span_populations(self) -> frozenset[Population]:
        """Every span name of the trace, tools under their tool's name."""
        return frozenset(Population("span", *subject) for subject in self._spans_by_subject)

    def spans_of(self, subject: Subject) -> list[Span]:
        """Spans of one agent and masked name, in order of start."""
        return self._spans_by_subject.get(subject, [])

    @computed_once
    def framework_steps(self) -> tuple[Span, ...]:
        """Spans of other kinds that directly hold a model call, the root aside."""
        return tuple(
            span
            for span in self.trace.spans
            if span.span_id in self._model_calls_by_parent
            and span is not self.root
            and span.observation_kind not in STEP_KINDS
            and span.observation_kind != AGENT
        )

    @computed_once
    def _model_calls_by_parent(self) -> dict[str, list[ModelCall]]:
        found: dict[str, list[ModelCall]] = {}
        by_id, repeated = self.trace.by_id, self.repeated_calls
        for call in self.model_calls:
            parent = call.span.parent_span_id
            while parent in repeated:
                parent = by_id[parent].parent_span_id
            found.setdefault(parent, []).append(call)
        return found

    def model_calls_under(self, span: Span) -> list[ModelCall]:
        """Model calls right below *span*, but for spans that repeat them."""
        return self._model_calls_by_parent.get(span.span_id, [])

    @computed_once
    def outcome(self) -> Outcome:
        """What became of the run by what it says itself, without the project's own rules."""
        may_judge = any(shape.may_judge for shape in self.known_shapes)
        if may_judge or any(map(_EVENTS, self.trace.spans)):
            return outcome_of(self.trace, self.root)
        return status_outcome(self.root)

    @computed_once
    def task_input(self) -> Text:
        """What the trace was asked: the first input that is recorded."""
        for span in (self.root, *self.trace.spans[:50]):
            found = first_text(span, _INPUT_KEYS)
            if found.value:
                return found
        return NO_TEXT

    @computed_once
    def task(self) -> str:
        """Fingerprint of the masked input; equal ones are the same task, ``""`` when unknown."""
        masked = mask_volatile(" ".join(self.task_input.value[:_TASK_CHARS].split()))
        if not masked:
            return ""
        return blake2b(masked.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @computed_once
    def final_call(self) -> ModelCall | None:
        """The model call that ended last; None when there is none."""
        complete = [
            (call.span.end_unix_ns, call.span.span_id, place)
            for place, call in enumerate(self.model_calls)
            if call.span.end_unix_ns > 0
        ]
        return self.model_calls[max(complete)[2]] if complete else None

    def answered_after(self, span: Span) -> bool:
        """Whether the trace gave an answer that is not the words of *span* itself."""
        answer = self.final_answer
        return answer is not None and answer[0].span_id != span.span_id

    def message_text(self, error: LeafError) -> Text:
        """The recorded value that holds an error's message; empty when it stands nowhere."""
        path = error.signal.attribute
        value = value_at(error.span, path) if path else None
        return Text(path, value) if value else NO_TEXT

    @computed_once
    def given_texts(self) -> tuple[str, ...]:
        """Everything the agent was told: inputs, messages, results of tools."""
        answer = self.final_answer
        texts = [call.result.value for call in self.tool_calls]
        for span, shape in zip(self.trace.spans, self.shapes, strict=True):
            if answer is not None and span is answer[0]:
                continue
            values = (span.attributes[key] for key in shape.inputs)
            texts += [value for value in values if isinstance(value, str)]
            if span.observation_kind not in STEP_KINDS and span is not self.root:
                texts.append(span.text("output.value"))
        return tuple(filter(None, texts))

    @computed_once
    def final_answer(self) -> tuple[Span, Text] | None:
        """The span and the text that the trace ended with; None when it gave no answer."""
        output = self.root.text("output.value")
        if output.strip():
            return self.root, Text("output.value", output)
        call = self.final_call
        return (call.span, call.answer) if call and call.answer.value.strip() else None
