"""
The sample agents, and their runs as spans of the OpenTelemetry SDK.

Everything but the times is drawn from a seed: the same seed gives the same runs,
the same faults and the same ids. The runs lie in the hours before the time given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context

from halo_daemon.demo.coder import CODER
from halo_daemon.demo.dialects import (
    Described,
    Dialect,
    GenAI,
    Message,
    Mixed,
    ModelCall,
    OpenInference,
)
from halo_daemon.demo.faults import FaultPlan, Mode, inject
from halo_daemon.demo.research import RESEARCH
from halo_daemon.demo.script import SampleAgent, Script, ToolError, ToolSpec, ToolStep, Turn, hex_id
from halo_daemon.demo.support_bot import SUPPORT_BOT

AGENTS: tuple[SampleAgent, ...] = (SUPPORT_BOT, RESEARCH, CODER)

_DIALECTS: Mapping[str, Dialect] = {
    SUPPORT_BOT.name: OpenInference(),
    RESEARCH.name: GenAI(),
    CODER.name: Mixed(),
}
_SCOPES: Mapping[str, str] = {
    SUPPORT_BOT.name: "openinference.instrumentation.openai",
    RESEARCH.name: "opentelemetry.instrumentation.anthropic",
    CODER.name: "coder.tracing",
}

_MS = 1_000_000
_SPREAD_NS = 4 * 3_600 * 1_000 * _MS
# The last run has been over for so long that nobody waits for more of it.
_QUIET_NS = 5 * 60 * 1_000 * _MS
_UNLIMITED = 100_000


@dataclass(frozen=True, slots=True)
class Generated:
    """
    What one agent did.

    Attributes:
        spans: In the order in which they ended.

        faults: The fault that was put into a run, by the run's trace id in hex; clean runs
            are not in it.

        trace_ids: All runs, oldest first.
    """

    agent: SampleAgent
    spans: tuple[ReadableSpan, ...]
    faults: Mapping[str, Mode]
    trace_ids: tuple[str, ...]


class _SeededIds(IdGenerator):
    """Ids from a seed, so that two demos are alike."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def generate_span_id(self) -> int:
        return self._rng.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        return self._rng.getrandbits(128) or 1


@dataclass(slots=True)
class _Collector(SpanProcessor):
    """Keeps every ended span; nothing is sampled, batched or dropped."""

    spans: list[ReadableSpan] = field(default_factory=list)

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def demo_plan(agent: SampleAgent) -> FaultPlan:
    """The faults and rates that the demo puts into *agent*."""
    return FaultPlan({Mode(name): rate for name, rate in agent.fault_rates.items()})


def generate(
    agent: SampleAgent,
    *,
    now_unix_ns: int,
    plan: FaultPlan | None = None,
    seed: int = 1,
    traces: int | None = None,
) -> Generated:
    """
    Run *agent* and write its spans.

    Args:
        agent: One of `AGENTS`.

        now_unix_ns: The runs lie in the four hours before, the last one five minutes back.

        plan: What goes wrong and how often; the demo's own faults where None.

        seed: Fixes all but the times.

        traces: How many runs; the agent's own number where None.
    """
    rng = Random(f"{agent.name}/{seed}")  # noqa: S311 -- sample data, not secrets
    count = agent.traces if traces is None else traces
    scripts = [agent.write_script(rng, number) for number in range(count)]
    faults = (plan or demo_plan(agent)).assign(scripts, agent, rng)
    for number, mode in sorted(faults.items()):
        scripts[number] = inject(mode, scripts[number], agent, rng)
    spans, trace_ids = written(agent, scripts, rng, now_unix_ns=now_unix_ns)
    injected = {trace_ids[number]: mode for number, mode in faults.items()}
    return Generated(agent, spans, injected, trace_ids)


def written(
    agent: SampleAgent, scripts: Sequence[Script], rng: Random, *, now_unix_ns: int
) -> tuple[tuple[ReadableSpan, ...], tuple[str, ...]]:
    """The spans of *scripts*, evenly over the hours before *now_unix_ns*, and their trace ids."""
    writer = _Writer(agent, rng)
    trace_ids = []
    for number, script in enumerate(scripts):
        back_ns = _SPREAD_NS * (len(scripts) - number) // len(scripts)
        trace_ids.append(writer.write(script, now_unix_ns - _QUIET_NS - back_ns))
    return tuple(writer.collector.spans), tuple(trace_ids)


class _Writer:
    """Writes scripts as spans."""

    def __init__(self, agent: SampleAgent, rng: Random) -> None:
        self.collector = _Collector()
        self._agent = agent
        self._rng = rng
        self._ids = _SeededIds(rng)
        self._tracers: dict[str, Tracer] = {}

    def write(self, script: Script, start_unix_ns: int) -> str:
        """Write one run that begins then; returns its trace id in hex."""
        tracer = self._tracer(script.version)
        return _Run(self._agent, script, tracer, self._rng, start_unix_ns).write()

    def _tracer(self, version: str) -> Tracer:
        if version not in self._tracers:
            provider = TracerProvider(
                sampler=ALWAYS_ON,
                resource=Resource({"service.name": self._agent.name, "service.version": version}),
                shutdown_on_exit=False,
                id_generator=self._ids,
                # The SDK's own limit of 128 attributes would cut long conversations.
                span_limits=SpanLimits(
                    max_span_attributes=_UNLIMITED, max_attribute_length=SpanLimits.UNSET
                ),
            )
            provider.add_span_processor(self.collector)
            self._tracers[version] = provider.get_tracer(_SCOPES[self._agent.name], "1.0.0")
        return self._tracers[version]


@dataclass(slots=True)
class _Run:
    """One run while it is written: its conversation so far, and the time inside it."""

    agent: SampleAgent
    script: Script
    tracer: Tracer
    rng: Random
    now_unix_ns: int
    history: list[Message] = field(default_factory=list)

    def write(self) -> str:
        """Write every span; returns the trace id in hex."""
        root = self._start(self._dialect.agent(self.agent, self.script), Context())
        inside = set_span_in_context(root, Context())
        self.history += [
            Message("system", self.agent.system_prompt),
            Message("user", self.script.question),
        ]
        for turn in self.script.turns:
            self._write_turn(turn, inside)
        if self.script.failure:
            root.set_status(Status(StatusCode.ERROR, self.script.failure))
        elif self.script.answer:
            root.set_status(Status(StatusCode.OK))
        root.end(self._pass_ms(2))
        return f"{root.get_span_context().trace_id:032x}"

    @property
    def _dialect(self) -> Dialect:
        return _DIALECTS[self.agent.name]

    def _write_turn(self, turn: Turn, inside: Context) -> None:
        if turn.user:
            self.history.append(Message("user", turn.user))
        calls = tuple((f"call_{hex_id(self.rng)}", step) for step in turn.calls)
        output = Message("assistant", turn.text, calls)
        call = ModelCall(tuple(self.history), output, turn)
        self._pass_ms(self.rng.randint(2, 20))
        described = self._dialect.model(self.agent, self.script, call)
        span = self._start(described, inside, kind=SpanKind.CLIENT)
        span.end(self._pass_ms(self.rng.randint(400, 2_400)))
        self.history.append(output)
        for call_id, step in calls if turn.calls_ran else ():
            self._write_tool(step, call_id, inside)
            text = f"{step.error.type_name}: {step.error.message}" if step.error else step.result
            self.history.append(Message("tool", text, call_id=call_id))

    def _write_tool(self, step: ToolStep, call_id: str, inside: Context) -> None:
        is_made_up = step.tool == self.agent.made_up_tool
        spec = ToolSpec(step.tool, "", {}) if is_made_up else self.agent.tool(step.tool)
        self._pass_ms(1)
        span = self._start(self._dialect.tool(spec, step, call_id), inside)
        within = set_span_in_context(span, Context())
        share_ms = step.duration_ms // (len(spec.parts) + 1)
        for name, kind in spec.parts:
            self._pass_ms(1)
            part = self._start(self._dialect.part(name, kind), within)
            part.end(self._pass_ms(share_ms))
        self._pass_ms(share_ms)
        if step.error is not None:
            self._mark_failed(span, step.error)
        span.end(self.now_unix_ns)

    def _mark_failed(self, span: otel.Span, error: ToolError) -> None:
        span.set_attribute("error.type", error.type_name)
        exception = {"exception.type": error.type_name, "exception.message": error.message}
        span.add_event("exception", exception, timestamp=self.now_unix_ns)
        span.set_status(Status(StatusCode.ERROR, error.message))

    def _start(
        self, described: Described, inside: Context, *, kind: SpanKind = SpanKind.INTERNAL
    ) -> otel.Span:
        return self.tracer.start_span(
            described.name,
            context=inside,
            kind=kind,
            attributes=described.attributes,
            start_time=self.now_unix_ns,
        )

    def _pass_ms(self, duration_ms: int) -> int:
        """Let time pass; returns the time after."""
        self.now_unix_ns += duration_ms * _MS
        return self.now_unix_ns
