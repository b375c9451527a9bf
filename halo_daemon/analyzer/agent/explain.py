"""
The model's part of an analysis: the rules' report in, the merged report out.

Whatever happens to the model, a complete report comes back; how the run ended
stands in its ``engine`` block.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_exc
from typing import Any

from halo_daemon.analyzer.agent.budget import CLOSING_OUTPUT_TOKENS, SizeEstimator
from halo_daemon.analyzer.agent.errors import Action, EngineError, ModelError
from halo_daemon.analyzer.agent.events import EventSink, discard_event
from halo_daemon.analyzer.agent.merge import engine_block, merge
from halo_daemon.analyzer.agent.messages import Message, Role, Usage
from halo_daemon.analyzer.agent.model import ChatModel, ModelReply, ModelRequest, TextSink
from halo_daemon.analyzer.agent.requester import request_size_bytes
from halo_daemon.analyzer.agent.session import RoleModel, Run, RunEnd, RunModels, RunSettings
from halo_daemon.analyzer.agent.toolbox import Tool
from halo_daemon.analyzer.agent.trace_source import TraceSource
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.findings import Report
from halo_daemon.log import get_logger
from halo_daemon.proto.times import parse_unix_ns
from halo_daemon.store.filters import TraceFilter
from halo_daemon.store.query import TraceQueries
from halo_daemon.store.trace_reader import TraceReader, Window, WindowBy, iter_parts

log = get_logger()

DEFAULT_QUESTION = (
    "Examine the traces of this window. Explain the causes of what the rules found, find the "
    "failure modes that leave no error, and say what to change. Record every finding with "
    "quoted evidence, then finish."
)
_CANCEL_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """How the model is asked."""

    model_name: str
    """For the report and the table of windows."""

    question: str = DEFAULT_QUESTION
    """What the model is told to do."""

    asked: str = ""
    """What a person wants to know besides; the answer stands in the report."""

    price: Price | None = None
    """None when it is unknown; then dollars do not bind."""

    window_tokens: int | None = None
    max_output_tokens: int | None = None
    run: RunSettings = field(default_factory=RunSettings)
    more_tools: tuple[Tool[Any], ...] = ()
    """Tools beside those over traces, such as those over a repository."""


async def explain(
    report: Report,
    reader: TraceReader,
    model: ChatModel,
    *,
    queries: TraceQueries,
    settings: ExplainSettings,
    journal_path: Path | None,
    stop: asyncio.Event | None = None,
    sink: EventSink = discard_event,
) -> Report:
    """
    Let the model explain and extend *report*.

    Args:
        report: What rules found; complete by itself.

        reader: The traces of the report's window.

        model: Who is asked; not closed here.

        queries: The same traces, by index.

        settings: Limits and habits.

        journal_path: Where each step is kept, and what is resumed when it exists.

        stop: When set, the run ends at once, as partial.

        sink: Receives events.

    Returns:
        The merged report; with status ``partial`` and a reason when the model did
        not come to its end. *report* itself, so marked, when nothing could be done.
    """
    source = TraceSource(reader, window_of(report), queries)
    run = _run_of(report, source, model, settings=settings, journal_path=journal_path, sink=sink)
    task = [Message(Role.USER, _task_of(settings))]
    try:
        end = await _unless_stopped(run, task, stop)
    except EngineError as exc:
        return _failed(report, run, "journal", str(exc))
    except Exception as exc:  # noqa: BLE001 -- the border of the model's part: rules must not pay
        # The text alone: a renderer of tracebacks could print locals, and they hold traces.
        log.warning("agent_failed", error=type(exc).__name__, trace=format_exc(limit=-8))
        return _failed(report, run, "failed", f"it failed with {type(exc).__name__}")
    return merge(report, end, asked=settings.asked)


def _task_of(settings: ExplainSettings) -> str:
    if not settings.asked:
        return settings.question
    return f"{settings.question}\n\nIn your final answer, answer this question: {settings.asked}"


def _run_of(
    report: Report,
    source: TraceSource,
    model: ChatModel,
    *,
    settings: ExplainSettings,
    journal_path: Path | None,
    sink: EventSink,
) -> Run:
    role = RoleModel(
        model,
        settings.model_name,
        settings.price,
        settings.max_output_tokens,
        settings.window_tokens,
    )
    return Run(
        report.run.id,
        RunModels.all_by(role),
        source,
        settings.run,
        rule_findings=report.findings,
        more_tools=settings.more_tools,
        journal_path=journal_path,
        sink=sink,
    )


async def _unless_stopped(run: Run, task: Sequence[Message], stop: asyncio.Event | None) -> RunEnd:
    if stop is None:
        return await run.go(task)
    going = asyncio.ensure_future(run.go(task))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({going, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not going.done():
            going.cancel()
            await asyncio.wait({going}, timeout=_CANCEL_GRACE_S)
        if going.cancelled() or not going.done():
            return run.cancelled_end()
        return going.result()
    finally:
        stopping.cancel()
        going.cancel()


def _failed(report: Report, run: Run, reason: str, what: str) -> Report:
    engine = engine_block(report.engine, run.cancelled_end())
    return report.model_copy(
        update={
            "engine": engine.model_copy(update={"status": "partial", "reason": reason}),
            "limits": (*report.limits, f"The model's part is missing: {what}."),
        }
    )


def window_of(report: Report) -> Window:
    """The window that a report is about."""
    return Window(
        parse_unix_ns(report.window.from_),
        parse_unix_ns(report.window.to),
        WindowBy(report.window.by),
    )


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would send and could cost, before anything is sent."""

    model: str
    traces: int
    readable_bytes: int
    """All that the tools could show, before masking."""

    attributes: tuple[str, ...]
    """Keys whose values could leave the machine, sorted."""

    first_request_bytes: int
    first_request_tokens: int
    most_tokens: int | None
    """The budget; None when tokens are not limited."""

    most_usd: float | None
    """The budget, or what the tokens of the budget cost at most; None when neither is known."""

    cost_note: str


def dry_run(
    report: Report, reader: TraceReader, settings: ExplainSettings, *, queries: TraceQueries
) -> DryRun:
    """Say what `explain` would do; reads the window once and sends nothing."""
    source = TraceSource(reader, window_of(report), queries)
    first_bytes = asyncio.run(_first_request_bytes(report, source, settings))
    keys: set[str] = set()
    totals = source.totals(TraceFilter())
    for trace in iter_parts(reader, source.window):
        for span in trace.spans:
            keys.update(span.attributes)
    budget, price = settings.run.budget, settings.price
    most_usd = budget.usd
    if most_usd is None and price is not None and budget.tokens is not None:
        most_usd = price.cost_usd(Usage(budget.tokens, CLOSING_OUTPUT_TOKENS))
    return DryRun(
        model=settings.model_name,
        traces=totals.traces,
        readable_bytes=totals.line_bytes,
        attributes=tuple(sorted(keys)),
        first_request_bytes=first_bytes,
        first_request_tokens=SizeEstimator().tokens(first_bytes),
        most_tokens=budget.tokens,
        most_usd=most_usd,
        cost_note="" if price is not None else _without_price(budget.tokens),
    )


def _without_price(budget_tokens: int | None) -> str:
    binds = "the token budget binds" if budget_tokens is not None else "no budget limits the cost"
    return f"price unknown: {binds}"


class _Measuring:
    """A model that takes the first request and ends the run."""

    label = "none"
    parameters_dropped = ()

    def __init__(self) -> None:
        self.request_bytes = 0

    async def complete(self, request: ModelRequest, *, on_text: TextSink) -> ModelReply:
        del on_text
        self.request_bytes = request_size_bytes(request)
        raise ModelError("measured", action=Action.STOP)

    async def aclose(self) -> None:
        return


async def _first_request_bytes(
    report: Report, source: TraceSource, settings: ExplainSettings
) -> int:
    """The size of what a run would send first; 0 when its budget allows no request."""
    model = _Measuring()
    run = _run_of(report, source, model, settings=settings, journal_path=None, sink=discard_event)
    await run.go([Message(Role.USER, _task_of(settings))])
    return model.request_bytes
