"""
What is recorded of one trace: spans, the calls that only prompts tell of, who did what.

Everything here is a pure function of the trace; order is that of start times.
"""

from halo_daemon.analyzer.content import (
    NOTHING_USED,
    ModelCall,
    Used,
    read_model_call,
    used_by,
)
from halo_daemon.analyzer.masking import mask_name, template_of
from halo_daemon.analyzer.observation import Quote
from halo_daemon.analyzer.repeated_calls import repeated_calls
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.analyzer.signals import (
    ErrorSignal,
    error_signal,
    says_no_error,
    stated_failure,
)
from halo_daemon.analyzer.span_shape import SpanShape, shape_of
from halo_daemon.analyzer.step_order import StepOrder
from halo_daemon.analyzer.subjects import Subject, subjects_of
from halo_daemon.analyzer.told_calls import ToldCall, as_recorded, told_calls
from halo_daemon.analyzer.told_results import told_results, with_results
from halo_daemon.proto.computed_once import computed_once
from halo_daemon.proto.span import AGENT, LLM, TOOL, Span
from halo_daemon.proto.trace import Trace

STEP_KINDS = frozenset({LLM, TOOL})


class TraceSpans:
    """Spans of one trace with their subjects, their errors and their places."""

    def __init__(
        self,
        trace: Trace,
        settings: MinerSettings,
        *,
        is_part: bool = False,
        failed_above: frozenset[str] = frozenset(),
    ) -> None:
        self.recorded = trace
        """The trace as it is stored."""
        self._told_results = told_results(trace)
        trace = with_results(trace, self._told_results)
        self.trace = trace
        """The same, where spans of tools have the results that prompts tell."""
        self.settings = settings
        self.is_part = is_part
        """Whether there is more of the trace, before it or behind it."""
        self._failed_above = failed_above
        """Spans that only repeat a failure of an earlier part."""
        self.shapes: tuple[SpanShape, ...] = tuple(map(shape_of, trace.spans))
        """Of each span of the trace."""
        self.known_shapes = tuple(
            dict(zip(map(id, self.shapes), self.shapes, strict=True)).values()
        )
        """The different ones of them, of which there are few."""
        self._recorded_subjects = subjects_of(trace)

    @property
    def trace_id(self) -> str:
        """Id of the trace."""
        return self.trace.trace_id

    @property
    def is_open(self) -> bool:
        """
        Whether more spans are expected, or are there and not at hand.

        Rules that need an end leave such a trace out.
        """
        return self.trace.is_open or self.trace.cut is not None

    @computed_once
    def told(self) -> dict[str, ToldCall]:
        """Calls that no span stands for, by the id of what stands for them here."""
        return {call.span.span_id: call for call in told_calls(self.trace, self.model_calls)}

    @computed_once
    def is_fragment(self) -> bool:
        """Whether model calls of the run stand in other traces: their calls are answered here."""
        return any(call.is_from_before for call in self.told.values())

    @computed_once
    def spans(self) -> tuple[Span, ...]:
        """The spans of the trace and, among them by time, what stands for calls without one."""
        if not self.told:
            return self.trace.spans
        spans = [*self.trace.spans, *(call.span for call in self.told.values())]
        return tuple(sorted(spans, key=lambda span: (span.start_unix_ns, span.span_id)))

    @computed_once
    def shaped_spans(self) -> tuple[tuple[Span, SpanShape], ...]:
        """All of `spans`, those of the trace first, each with its shape."""
        recorded = zip(self.trace.spans, self.shapes, strict=True)
        return (*recorded, *((call.span, shape_of(call.span)) for call in self.told.values()))

    @property
    def has_told(self) -> bool:
        """Whether some texts of calls are told by prompts alone."""
        return bool(self._told_results or self.told)

    def as_recorded(self, cited: Quote) -> Quote:
        """*cited* by the span and the attribute that hold its words, wordless where none does."""
        result = self._told_results.get(cited.span_id)
        if result is not None and (source := result.sources.get(cited.attribute)) is not None:
            return source.cited(cited) or Quote(cited.span_id, cited.role, "", 0, 0, "")
        return as_recorded(cited, self.told)

    def recorded_id(self, span_id: str) -> str:
        """Id of the span itself, or of the model call whose prompt tells of it."""
        told = self.told.get(span_id)
        return told.holder.span_id if told else span_id

    @computed_once
    def subjects(self) -> dict[str, Subject]:
        """Agent and name of each span, by its id."""
        if not self.told:
            return self._recorded_subjects
        return self._recorded_subjects | {
            span_id: Subject(call.agent, mask_name(call.span.tool_name))
            for span_id, call in self.told.items()
        }

    @computed_once
    def steps(self) -> tuple[Span, ...]:
        """Model calls and tool calls; their number is the length of the trace."""
        repeated = self.repeated_calls
        return tuple(
            [
                span
                for span in self.spans
                if span.observation_kind in STEP_KINDS and span.span_id not in repeated
            ]
        )

    @computed_once
    def step_index(self) -> dict[str, int]:
        """Place of each step by span id."""
        return {span.span_id: place for place, span in enumerate(self.steps)}

    @computed_once
    def model_calls(self) -> tuple[ModelCall, ...]:
        """What the model said, asked for and was offered; each call once (`repeated_calls`)."""
        repeated = self.repeated_calls
        if not repeated:
            return self._calls_told
        return tuple(call for call in self._calls_told if call.span.span_id not in repeated)

    @computed_once
    def repeated_calls(self) -> frozenset[str]:
        """LLM spans that tell again of a call which another one stands for."""
        return repeated_calls(self._calls_told, self.trace.by_id)

    @computed_once
    def _calls_told(self) -> tuple[ModelCall, ...]:
        """Every LLM span."""
        return tuple(
            [
                read_model_call(span, shape, self._recorded_subjects[span.span_id].agent, used)
                for span, shape, used in zip(self.trace.spans, self.shapes, self.used, strict=True)
                if span.observation_kind == LLM
            ]
        )

    @computed_once
    def used(self) -> tuple[Used, ...]:
        """Tokens and cost of each span of the trace."""
        return tuple(
            [
                used_by(span) if shape.may_use else NOTHING_USED
                for span, shape in zip(self.trace.spans, self.shapes, strict=True)
            ]
        )

    def agent_of(self, span: Span) -> str:
        """The span's agent, else that of its parent, else the service; masked."""
        return self.subjects[span.span_id].agent

    def subject_of(self, span: Span) -> Subject:
        """The span's agent and the name of its tool, else its own name; masked."""
        return self.subjects[span.span_id]

    @computed_once
    def agents(self) -> frozenset[str]:
        """Agents of the steps; those of all spans where there are no steps."""
        subjects = self.subjects
        return frozenset({subjects[span.span_id].agent for span in self.steps or self.trace.spans})

    @computed_once
    def _signals(self) -> dict[str, ErrorSignal]:
        tools = self.settings.contract.tools
        found = {}
        for span, shape in self.shaped_spans:
            if not (tools or shape.may_fail) and says_no_error(span):
                continue
            signal = error_signal(span, may_state=shape.may_fail)
            if signal is None and tools:
                signal = stated_failure(span, tools)
            if signal is not None:
                found[span.span_id] = signal
        return found

    @computed_once
    def failed(self) -> tuple[Span, ...]:
        """Spans that carry an error signal of any kind."""
        if not self._signals:
            return ()
        return tuple([span for span in self.spans if span.span_id in self._signals])

    def has_error(self, span: Span) -> bool:
        """Whether the span carries an error signal of any kind."""
        return span.span_id in self._signals

    def template_of(self, span: Span) -> str:
        """Masked template of the span's error; ``""`` when it has none."""
        signal = self._signals.get(span.span_id)
        return template_of(signal.message) if signal else ""

    @computed_once
    def _order(self) -> StepOrder:
        return StepOrder(self.steps)

    def turn_at(self, unix_ns: int) -> int:
        """How many LLM spans had begun before that time."""
        return self._order.turn_at(unix_ns)

    def step_at(self, unix_ns: int) -> int:
        """How many steps had begun before that time: the place of a step that begins then."""
        return self._order.step_at(unix_ns)

    def decision_of(self, span: Span) -> Span | None:
        """
        The last LLM span that ended before *span* did (before it began, when it has no end).

        For a call that messages tell of, the one that asked for it, where it is in the trace.
        """
        told = self.told.get(span.span_id)
        if told is not None:
            return told.asked_by
        return self._order.decision_of(span)

    def following_call(self, span: Span) -> Span | None:
        """The first LLM span that began after *span* ended; None when there is none."""
        return self._order.following_call(span)

    @computed_once
    def root(self) -> Span:
        """The earliest root span, an AGENT where there is one; the first span in a cycle."""
        roots = self.trace.roots or self.trace.spans[:1]
        return next((span for span in roots if span.observation_kind == AGENT), roots[0])
