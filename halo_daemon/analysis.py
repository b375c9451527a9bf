"""
One analysis from the data directory to the report on disk.

The part of `halo-daemon analyze` that the demo and the nightly child process
share: it builds the reader, runs the miner, renders, stores the files, and
queues what is to be told.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from halo_daemon.analyzer.contract import NO_CONTRACT, Contract
from halo_daemon.analyzer.contract_file import read_contract
from halo_daemon.analyzer.memory import Memory
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.report_before import report_before
from halo_daemon.analyzer.report_files import report_files
from halo_daemon.analyzer.rising import Occurrences
from halo_daemon.analyzer.run import RunInfo, analyze_window, finish
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.config import Config
from halo_daemon.deliveries import tell
from halo_daemon.errors import ConfigError, HaloError, StoreError
from halo_daemon.findings import (
    KnownOutcome,
    LedgerEntry,
    Report,
    from_json,
)
from halo_daemon.log import get_logger
from halo_daemon.notify.events import partial_runs, report_created
from halo_daemon.notify.finding_events import Known, finding_events
from halo_daemon.project_readers import queries_of, reader_of
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import StoredProject, find_project, list_projects
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.reports import ReportStore
from halo_daemon.store.scratch import is_read_only
from halo_daemon.store.temporary import private_directory
from halo_daemon.store.trace_loader import open_loader
from halo_daemon.store.trace_reader import Window, WindowBy

if TYPE_CHECKING:
    from halo_daemon.analyzer.agent.explain import DryRun

log = get_logger()

_RUN_ID_RANDOM_BYTES = 2
_NS_PER_S = 10**9
_JOURNAL_NAME = "journal.jsonl"
_MAX_PROCESSES = 8
# Starting a process costs about what mining so many spans takes.
_SPANS_PER_PROCESS = 50_000

Trigger = Literal["schedule", "manual", "api", "demo"]


class FinishedRun(NamedTuple):
    """A report and the directory that holds its renderings; None for one that was not kept."""

    report: Report
    directory: Path | None


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """What to analyse, and on whose behalf."""

    window: Window
    projects: tuple[str, ...] = ()
    """Slugs or names; empty means every project with spans in the window."""

    engine: str = "builtin"
    trigger: Trigger = "manual"
    schedule: str = ""
    """Name of the schedule entry; ``""`` for a run on demand."""

    notify: bool = True
    """Whether targets are told."""

    question: str = ""
    """What a person wants to know of the model; ``""`` for nothing."""

    max_traces: int | None = None
    """Traces of a project that are examined at most, a sample of them; None for all."""

    keep: bool = True
    """Whether the report is stored and the ledger goes on; a look at one finding keeps nothing."""


def analyze(
    config: Config,
    request: AnalysisRequest,
    *,
    now_unix_ns: Callable[[], int],
    on_failed: Callable[[str, HaloError], None] | None = None,
) -> list[FinishedRun]:
    """
    Analyse the window project by project and store the reports.

    Args:
        config: The effective configuration.

        request: What to analyse.

        now_unix_ns: The wall clock.

        on_failed: Told the slug of a project that could not be analysed, and why; the
            others go on. None raises at the first.

    Returns:
        One finished run per project, in order of slug; empty when no project
        was named and none has spans in the window.

    Raises:
        UnknownProjectError: A named project does not exist.
        StoreError: The data directory cannot be read, or a report not written.
    """
    runs = []
    for project in _chosen_projects(config.data.dir, request.projects):
        try:
            runs += _runs_of(config, request, project, now_unix_ns=now_unix_ns)
        except HaloError as exc:
            if on_failed is None:
                raise
            on_failed(project.slug, exc)
    return runs


def _runs_of(
    config: Config,
    request: AnalysisRequest,
    project: StoredProject,
    *,
    now_unix_ns: Callable[[], int],
) -> list[FinishedRun]:
    """One, or none where nobody asked for this project and nothing is there."""
    reader = reader_of(config, project.slug, now_unix_ns=now_unix_ns)
    try:
        if not request.projects and not reader.overview(request.window).traces:
            return []
        return [_analyze_project(config, request, project, reader, now_unix_ns=now_unix_ns)]
    finally:
        reader.close()


def plans(
    config: Config, request: AnalysisRequest, *, now_unix_ns: Callable[[], int]
) -> "list[tuple[str, DryRun]]":
    """Say what a run with a model would send, project by project; sends and stores nothing."""
    from halo_daemon.explanation import plan_of  # noqa: PLC0415 -- see `_explained`

    found = []
    rules_only = replace(request, engine="builtin", keep=False)
    for run in analyze(config, rules_only, now_unix_ns=now_unix_ns):
        reader = reader_of(config, run.report.project, now_unix_ns=now_unix_ns)
        queries = queries_of(config, run.report.project)
        try:
            plan = plan_of(config, run.report, reader, queries=queries, question=request.question)
            found.append((run.report.project, plan))
        finally:
            reader.close()
            queries.close()
    return found


def _chosen_projects(root: Path, names: Sequence[str]) -> list[StoredProject]:
    paths = DataPaths(root)
    if not names:
        return list_projects(paths)
    found = {project.slug: project for project in (find_project(paths, name) for name in names)}
    return [found[slug] for slug in sorted(found)]


def _analyze_project(
    config: Config,
    request: AnalysisRequest,
    project: StoredProject,
    reader: LocalTraceReader,
    *,
    now_unix_ns: Callable[[], int],
) -> FinishedRun:
    started_unix_ns = now_unix_ns()
    reports = ReportStore(config.data.dir, project.slug)
    past = ProjectMemory(config.data.dir, project.slug)
    memory = past.recall()
    contract = _contract(request, DataPaths(config.data.dir).project(project.slug).contract)
    run = _run_info(config, request, project.slug, started_unix_ns)
    outcomes: list[KnownOutcome] = []
    occurrences: dict[str, Occurrences] = {}
    report = _mined(
        config,
        request,
        project.slug,
        reader,
        run=run,
        memory=memory,
        contract=contract,
        on_outcomes=outcomes.extend,
        on_occurrences=occurrences.update,
    )
    if request.engine == "llm":
        report = _explained(config, request, report, reader)
    report = finish(report, now_unix_ns())
    if not request.keep:
        return FinishedRun(report, None)
    report, memory = past.with_decisions(report, memory, contract)
    directory = reports.write(run.run_id, report_files(report, reader.load_trace))
    told = partial(
        _tell, config, report, directory, project=project, memory=memory, now_unix_ns=now_unix_ns
    )
    past.remember(report, memory, occurrences, before_writing=told if request.notify else None)
    past.remember_outcomes(outcomes, memory)
    log.info(
        "report_written",
        project=project.slug,
        report_id=report.report_id,
        status=report.engine.status,
        traces=report.dataset.traces,
        spans=report.dataset.spans,
        findings=len(report.findings),
        duration_ms=(now_unix_ns() - started_unix_ns) // 1_000_000,
    )
    return FinishedRun(report, directory)


def _tell(
    config: Config,
    report: Report,
    directory: Path,
    changes: Sequence[LedgerEntry],
    *,
    project: StoredProject,
    memory: Memory,
    now_unix_ns: Callable[[], int],
) -> None:
    """
    Queue what there is to tell of a report, before the ledger knows of it.

    In this order a crash between the two repeats events and loses none: the run is made
    again, with the ledger as it was, and its events have the ids that they had.
    """
    if not config.notify.routes:
        return
    revision = f"{project.created_unix_ns}/{memory.last_report_id}"
    known = Known(memory.histories, memory.triage, revision)
    events = (
        report_created(report, directory),
        *finding_events(report, changes, known, directory),
        *partial_runs(report),
    )
    tell(config, events, now_unix_ns=now_unix_ns())


def _run_info(config: Config, request: AnalysisRequest, slug: str, started_unix_ns: int) -> RunInfo:
    identity = _run_id(started_unix_ns)
    return RunInfo(
        report_id=identity,
        run_id=identity,
        started_unix_ns=started_unix_ns,
        trigger=request.trigger,
        schedule=request.schedule,
        timezone=_local_zone(),
        command=_command_again(slug, request),
        config_hash=hashlib.sha256(config.analysis.model_dump_json().encode()).hexdigest()[:16],
    )


def _mined(
    config: Config,
    request: AnalysisRequest,
    slug: str,
    reader: LocalTraceReader,
    *,
    run: RunInfo,
    memory: Memory,
    contract: Contract,
    on_outcomes: Callable[[Iterable[KnownOutcome]], None],
    on_occurrences: Callable[[Mapping[str, Occurrences]], None],
) -> Report:
    root = config.data.dir
    spans = reader.overview(request.window).spans
    return analyze_window(
        reader,
        project=slug,
        window=request.window,
        run=run,
        previous=_previous(ReportStore(root, slug), request.window),
        memory=memory,
        settings=MinerSettings(contract=contract),
        open_reader=partial(
            open_loader,
            root,
            slug,
            settle_s=config.analysis.settle_s,
            max_answer_bytes=config.storage.max_answer_bytes,
        ),
        on_outcomes=on_outcomes,
        on_occurrences=on_occurrences,
        max_traces=request.max_traces,
        processes=min(os.cpu_count() or 1, _MAX_PROCESSES, 1 + spans // _SPANS_PER_PROCESS),
    )


def _contract(request: AnalysisRequest, path: Path) -> Contract:
    """Read the contract; on a schedule a wrong one costs the rules that need it, not the report."""
    try:
        return read_contract(path)
    except ConfigError as exc:
        if request.trigger != "schedule":
            raise
        log.error("contract_unreadable", error=str(exc), hint=exc.hint)  # noqa: TRY400 -- expected
        return NO_CONTRACT


def _explained(
    config: Config, request: AnalysisRequest, report: Report, reader: LocalTraceReader
) -> Report:
    """Ask the model; on a schedule a model that is not set up costs the model's part only."""
    # The model's client is heavy, and most runs have none.
    from halo_daemon.explanation import (  # noqa: PLC0415
        capabilities_of,
        explained,
        model_of,
        unexplained,
    )

    learnt = capabilities_of(config)
    try:
        model = model_of(config, learnt)
    except ConfigError as exc:
        if request.trigger != "schedule":
            raise
        log.error("model_not_configured", error=str(exc), hint=exc.hint)  # noqa: TRY400 -- expected
        return unexplained(report, str(exc))
    runs = ReportStore(config.data.dir, report.project)
    journal_path = runs.run_directory(report.run.id) / _JOURNAL_NAME
    if is_read_only(config.data.dir):
        journal_path = private_directory("run") / _JOURNAL_NAME
    queries = queries_of(config, report.project)
    try:
        return explained(
            config,
            report,
            reader,
            model=model,
            queries=queries,
            journal_path=journal_path,
            question=request.question,
        )
    finally:
        queries.close()
        learnt.save()


def _previous(reports: ReportStore, window: Window) -> Report | None:
    """Read the report before; one that cannot be read is as good as none, and is logged."""
    try:
        return report_before(map(from_json, reports.earlier_reports()), window)
    except (OSError, StoreError, ValueError) as exc:
        log.warning("previous_report_unreadable", error=str(exc)[:200])
        return None


def _run_id(started_unix_ns: int) -> str:
    moment = datetime.fromtimestamp(started_unix_ns // _NS_PER_S, UTC)
    millis = started_unix_ns % _NS_PER_S // 1_000_000
    # Milliseconds keep the ids of one second in order of time.
    return f"r_{moment:%Y%m%dT%H%M%S}{millis:03d}Z_{secrets.token_hex(_RUN_ID_RANDOM_BYTES)}"


def _command_again(slug: str, request: AnalysisRequest) -> str:
    window = request.window
    most = f" --max-traces {request.max_traces}" if request.max_traces is not None else ""
    by = " --by start" if window.by is WindowBy.START else ""
    return (
        f"halo-daemon analyze --project {slug} --since {format_unix_ns(window.from_unix_ns)}"
        f" --until {format_unix_ns(window.to_unix_ns)}{by}{most}"
    )


def _local_zone() -> str:
    return os.environ.get("TZ") or datetime.now(UTC).astimezone().tzname() or "UTC"
