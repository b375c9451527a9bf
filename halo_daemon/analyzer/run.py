"""
One analysis: read the window, mine it, verify the evidence, write the record.

Nothing here looks at a clock or at a file; the caller says when it is, which
traces there are and where the report goes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from halo_daemon import __version__
from halo_daemon.analyzer.assemble import Assembled, Earlier, assemble
from halo_daemon.analyzer.changes import changes_since
from halo_daemon.analyzer.contract_drift import add_contract_drift
from halo_daemon.analyzer.empty_history import lookups_before, lookups_of, settle_empty_results
from halo_daemon.analyzer.grouping import covered, with_ignores
from halo_daemon.analyzer.headline import summary_of
from halo_daemon.analyzer.latency import with_critical_paths
from halo_daemon.analyzer.ledger import (
    absent_findings,
    aged,
    keys_known,
    links_of,
    open_ids,
    past_days,
    resolved_rows,
)
from halo_daemon.analyzer.memory import Memory, memory_of
from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.outcome import Outcome
from halo_daemon.analyzer.partial import Partial
from halo_daemon.analyzer.pool import OpenReader, mine_in_parts
from halo_daemon.analyzer.rising import Occurrences, occurrences_by_id, with_rise
from halo_daemon.analyzer.rules.feedback import NEGATIVE_FEEDBACK
from halo_daemon.analyzer.rules.registry import RULE_IDS
from halo_daemon.analyzer.sample import Sample, sample_of
from halo_daemon.analyzer.sections import coverage_of, data_quality_of, dataset_of, totals_of
from halo_daemon.analyzer.sessions import add_asked_again
from halo_daemon.analyzer.settings import RULES_VERSION, MinerSettings
from halo_daemon.analyzer.shared_cause import causes_known
from halo_daemon.analyzer.step_wall import add_step_walls
from halo_daemon.analyzer.trace_rows import risks_of, trace_rows
from halo_daemon.analyzer.verify import verify_findings, without_secrets
from halo_daemon.findings import (
    Engine,
    Finding,
    KnownOutcome,
    Privacy,
    Report,
    Repro,
    RunBlock,
    SampleOf,
    WatchedWindow,
    WindowBlock,
    fold_onto,
)
from halo_daemon.proto.times import format_unix_ns, parse_unix_ns
from halo_daemon.proto.trace import Trace
from halo_daemon.store.trace_reader import Share, TraceReader, Window, WindowBy


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What only the caller knows of a run."""

    report_id: str
    run_id: str
    started_unix_ns: int
    trigger: Literal["schedule", "manual", "api", "demo"] = "manual"
    schedule: str = ""
    timezone: str = "UTC"
    """For the reader; all times of the record are UTC."""
    command: str = ""
    """The command that makes this report again."""
    config_hash: str = ""


class Asked(NamedTuple):
    """Everything about a run but the traces."""

    project: str
    window: Window
    run: RunInfo
    previous: Report | None
    memory: Memory
    settings: MinerSettings
    on_outcomes: Callable[[Iterable[KnownOutcome]], None] | None = None
    """Told what became of the window's traces, for later reports to learn from."""
    on_occurrences: Callable[[Mapping[str, Occurrences]], None] | None = None
    """Told when the findings occurred, by id, for later reports to compare with."""
    sample: SampleOf | None = None
    """None where the whole window is examined."""


def analyze_window(
    reader: TraceReader,
    *,
    project: str,
    window: Window,
    run: RunInfo,
    previous: Report | None = None,
    memory: Memory | None = None,
    outcomes: Mapping[str, Outcome] | None = None,
    settings: MinerSettings | None = None,
    open_reader: OpenReader | None = None,
    processes: int = 1,
    max_traces: int | None = None,
    on_trace: Callable[[], None] | None = None,
    on_outcomes: Callable[[Iterable[KnownOutcome]], None] | None = None,
    on_occurrences: Callable[[Mapping[str, Occurrences]], None] | None = None,
) -> Report:
    """
    Mine every trace of *window*, or a sample of *max_traces*, and return the complete report.

    Open traces are examined as well and counted; rules that need an end leave them
    out. A window without traces gives a complete report that says so. States come
    from *memory*; without one, from *previous* alone. *outcomes* by trace id win over
    what the traces say of themselves. With *open_reader*, which opens the same traces in
    another process, the work is divided between *processes*; the report is the same.
    *on_trace* is called for every trace that this process begins, *on_outcomes* once
    with what became of the traces as far as it is known, *on_occurrences* once with the
    occurrences of every finding by half-hour.

    Raises:
        StoreError: The traces cannot be read.
    """
    chosen = settings or MinerSettings()
    sample = sample_of(reader, window, max_traces) if max_traces is not None else None
    among = sample.trace_ids if sample else None
    if open_reader is not None and processes > 1:
        known = mine_in_parts(open_reader, window, chosen, processes=processes, among=among)
    else:
        traces = reader.iter_traces(window, share=Share(0, 1, among))
        known = mine(_announced(traces, on_trace), chosen, load_trace=reader.load_trace)
    state_outcomes(known, outcomes or {})
    asked = Asked(
        project,
        window,
        run,
        previous,
        memory or memory_of(previous),
        chosen,
        on_outcomes,
        on_occurrences,
        _sample_block(sample, max_traces),
    )
    return report_of(known, reader, asked)


def _sample_block(sample: Sample | None, max_traces: int | None) -> SampleOf | None:
    if sample is None or max_traces is None:
        return None
    return SampleOf(traces=len(sample.trace_ids), of=sample.of, max_traces=max_traces)


def _announced(traces: Iterator[Trace], on_trace: Callable[[], None] | None) -> Iterator[Trace]:
    for trace in traces:
        if on_trace is not None:
            on_trace()
        yield trace


def state_outcomes(known: Partial, outcomes: Mapping[str, Outcome]) -> None:
    """Put outcomes that someone else knows in the place of those in the traces."""
    for trace_id, outcome in outcomes.items():
        if trace_id in known.traces:
            known.traces[trace_id] = known.traces[trace_id]._replace(outcome=outcome)


def report_of(known: Partial, reader: TraceReader, asked: Asked) -> Report:
    """Test, rank and verify what the miner knows; *reader* is asked for cited traces only."""
    window = _window_block(asked.window, asked.run)
    _add_what_windows_show(known, asked, window)
    assembled, asked = _assembled(known, asked, window)
    occurrences = occurrences_by_id(known, assembled.groups)
    if asked.on_occurrences is not None and asked.sample is None:
        asked.on_occurrences(occurrences)
    checked = _checked(known, reader, asked, assembled, occurrences=occurrences)
    risks = risks_of(known, asked.memory.outcomes)
    if asked.on_outcomes is not None:
        asked.on_outcomes(risks.outcomes)
    seen = frozenset(finding.finding_id for finding in checked.findings)
    absent = absent_findings(asked.memory.histories, seen, known, window.from_)
    previous, run = asked.previous, asked.run
    lookups = lookups_of(known, previous, window)
    dataset = dataset_of(known).model_copy(update={"lookups": lookups})
    cited = [*checked.findings, *checked.weak]
    coverage = coverage_of(
        known, reader.overview(asked.window), cited, assembled, fdr_q=asked.settings.fdr_q
    )
    report = Report(
        report_id=run.report_id,
        project=asked.project,
        created_at=format_unix_ns(run.started_unix_ns),
        previous_report_id=previous.report_id if previous else None,
        run=_run_block(run),
        window=window,
        engine=_engine_block(previous),
        dataset=dataset,
        # Sums of a sample are no measure against those of a whole window.
        totals=totals_of(known, previous if asked.sample is None else None),
        data_quality=data_quality_of(known),
        coverage=coverage.model_copy(update={"sample": asked.sample}),
        findings=tuple(finding for finding in checked.findings if finding.verified),
        unverified_claims=tuple(found for found in checked.findings if not found.verified),
        weak_signals=tuple(finding for finding in checked.weak if finding.verified),
        traces=trace_rows(known, assembled, risks.by_trace),
        risk=risks.stated,
        release_diff=assembled.release_diff,
        what_changed=changes_since(previous, dataset.inventory, dataset.traces),
        resolved=resolved_rows(absent),
        privacy=Privacy(values_redacted=checked.masked),
        repro=Repro(command=run.command, config_hash=run.config_hash),
        limits=_limits(known, assembled, asked),
    )
    return report.model_copy(update={"summary": summary_of(report)})


def _add_what_windows_show(known: Partial, asked: Asked, window: WindowBlock) -> None:
    """What no trace shows by itself: walls of steps, questions again, drift, empty look-ups."""
    add_step_walls(known)
    add_asked_again(known, RULE_IDS[NEGATIVE_FEEDBACK])
    earlier = lookups_before(asked.previous, window)
    settle_empty_results(known, earlier, open_ids(asked.memory.histories))
    before = asked.previous.dataset.inventory if asked.previous else ()
    add_contract_drift(known, asked.settings.contract, before)


def _assembled(known: Partial, asked: Asked, window: WindowBlock) -> tuple[Assembled, Asked]:
    """The findings, and *asked* with the histories that they go on from."""
    histories = asked.memory.histories
    earlier = Earlier(
        open_ids=open_ids(histories),
        keys=keys_known(histories),
        days=past_days(histories, window.from_),
        causes=causes_known(histories),
        covered=tuple(covered(histories.values(), asked.settings.contract)),
    )
    assembled = assemble(known, asked.settings, earlier)
    now = format_unix_ns(asked.run.started_unix_ns)
    links = links_of(assembled.findings, histories, now, asked.run.report_id)
    memory = replace(asked.memory, histories=fold_onto(histories, links))
    return assembled, asked._replace(memory=memory)


class _Checked(NamedTuple):
    """Findings whose quotes were looked up, without the secrets in them."""

    findings: list[Finding]
    weak: list[Finding]
    masked: int
    """Values that were masked."""


def _checked(
    known: Partial,
    reader: TraceReader,
    asked: Asked,
    assembled: Assembled,
    *,
    occurrences: Mapping[str, Occurrences],
) -> _Checked:
    first_start = min((facts.start_unix_ns for facts in known.traces.values()), default=0)
    placed = with_critical_paths(assembled.findings, assembled.named, reader.load_trace)
    lived = (_lived(found, asked, occurrences, first_start) for found in placed)
    findings, masked = without_secrets(verify_findings(lived, reader.load_trace))
    weak, more = without_secrets(verify_findings(assembled.weak_signals, reader.load_trace))
    return _Checked(findings, weak, masked + more)


def _engine_block(previous: Report | None) -> Engine:
    return Engine(
        version=__version__,
        rules_version=RULES_VERSION,
        partial_in_a_row=previous.engine.partial_in_a_row if previous else 0,
    )


def _lived(
    found: Finding,
    asked: Asked,
    occurrences: Mapping[str, Occurrences],
    first_start_unix_ns: int,
) -> Finding:
    """*found* with all that depends on earlier windows and on people."""
    now_unix_ns = asked.run.started_unix_ns
    now, memory = format_unix_ns(now_unix_ns), asked.memory
    history = memory.histories.get(found.finding_id)
    begin = asked.window.from_unix_ns
    if history is None or not history.windows:
        # A first window may reach back to before the project was there.
        begin = max(begin, first_start_unix_ns)
    window = WatchedWindow(begin, asked.window.to_unix_ns, occurrences.get(found.finding_id, ()))
    finding = aged(
        found,
        memory.histories,
        memory.triage,
        now,
        window_from=format_unix_ns(asked.window.from_unix_ns),
    )
    if asked.sample is None:
        finding = with_rise(finding, history, window, now_unix_ns)
    elif history is not None:
        # Occurrences in a sample say nothing of a rise: it is what it was.
        finding = finding.model_copy(update={"escalating": history.is_escalating})
    return with_ignores(finding, asked.settings.contract, now)


def finish(report: Report, ended_unix_ns: int) -> Report:
    """Stamp the end of the run into *report*, and how often in a row it was partial."""
    run = report.run.model_copy(update={"ended_at": format_unix_ns(ended_unix_ns)})
    started_ns = parse_unix_ns(report.run.started_at)
    wall_ms = max(0, ended_unix_ns - started_ns) // 1_000_000
    update = {"wall_ms": wall_ms, "partial_in_a_row": _partial_in_a_row(report.engine)}
    engine = report.engine.model_copy(update=update)
    return report.model_copy(update={"run": run, "engine": engine})


def _partial_in_a_row(engine: Engine) -> int:
    """Runs without a model say nothing of how the model gets on."""
    if engine.mode != "llm":
        return engine.partial_in_a_row
    return engine.partial_in_a_row + 1 if engine.status == "partial" else 0


def _run_block(run: RunInfo) -> RunBlock:
    return RunBlock(
        id=run.run_id,
        trigger=run.trigger,
        schedule=run.schedule,
        started_at=format_unix_ns(run.started_unix_ns),
    )


def _window_block(window: Window, run: RunInfo) -> WindowBlock:
    return WindowBlock(
        from_=format_unix_ns(window.from_unix_ns),
        to=format_unix_ns(window.to_unix_ns),
        by=window.by.value,
        timezone=run.timezone,
    )


def _examined_before(known: Partial, asked: Asked) -> int:
    """How many traces the report before examined too, though its window ended before this one."""
    previous, window = asked.previous, asked.window
    if previous is None or window.by is not WindowBy.RECEIVED:
        return 0
    if parse_unix_ns(previous.window.to) > window.from_unix_ns:
        return 0
    return sum(row.trace_id in known.traces for row in previous.traces)


def _limits(known: Partial, assembled: Assembled, asked: Asked) -> tuple[str, ...]:
    sample = asked.sample
    limits = [
        f"A decision of people was not followed, because it cannot be read: {mistake}."
        for mistake in asked.memory.unread
    ]
    if sample is not None:
        limits.append(
            f"A sample of {sample.traces:,} of the window's {sample.of:,} traces was examined"
            f" (--max-traces {sample.max_traces}): counts are those of the sample, and what few"
            " traces show can be missing."
        )
    again = _examined_before(known, asked)
    if again:
        limits.append(
            f"{again:,} of the {len(known.traces):,} traces were examined for the report before"
            " as well: spans of theirs, such as scores, came since. They count in both."
        )
    if not any(row.outcome.verdict == "failed" for row in known.traces.values()):
        limits.append(
            "No trace is known to have failed, so nothing was tested against the outcome."
            " Record feedback, an evaluator's score or the status of the root span."
        )
    large = known.large
    if large["traces"]:
        limits.append(
            f"Too large for one answer (`storage.max_answer`) and examined in {large['parts']:,}"
            f" parts: {large['traces']:,} traces. Rules that need a whole run were not asked of"
            f" them; {large['spans']:,} of their spans ({large['bytes']:,} bytes) were not examined."
        )
    if assembled.left_out:
        limits.append(f"{assembled.left_out} findings of lower rank are not listed.")
    return tuple(limits)
