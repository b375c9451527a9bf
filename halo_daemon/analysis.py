"""
One analysis from the data directory to the report on disk.

The part of `halo-daemon analyze` that the demo and the nightly child process
share: it builds the reader, runs the miner, renders, stores the files, and
queues what is to be told.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import structlog

from halo_daemon.analyzer.brief import render_brief
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.run import RunInfo, analyze_window, finish
from halo_daemon.config import Config
from halo_daemon.deliveries import outbox_of
from halo_daemon.errors import StoreError
from halo_daemon.findings import Report, from_json, to_json
from halo_daemon.notify.courier import queue_event
from halo_daemon.notify.events import report_created
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.projects import StoredProject, find_project, list_projects
from halo_daemon.store.reader import LocalTraceReader
from halo_daemon.store.reports import ReportStore
from halo_daemon.store.trace_reader import Window, WindowBy

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

_RUN_ID_RANDOM_BYTES = 2
_NS_PER_S = 10**9

Trigger = Literal["schedule", "manual", "api", "demo"]


class FinishedRun(NamedTuple):
    """A report and the directory that holds its renderings."""

    report: Report
    directory: Path


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


def analyze(
    config: Config, request: AnalysisRequest, *, now_unix_ns: Callable[[], int]
) -> list[FinishedRun]:
    """
    Analyse the window project by project and store the reports.

    Returns:
        One finished run per project, in order of slug; empty when no project
        was named and none has spans in the window.

    Raises:
        UnknownProjectError: A named project does not exist.
        StoreError: The data directory cannot be read, or a report not written.
    """
    root = config.data.dir
    chosen = _chosen_projects(root, request.projects)
    runs = []
    for project in chosen:
        reader = LocalTraceReader(
            root, project.slug, settle_s=config.analysis.settle_s, now_unix_ns=now_unix_ns
        )
        try:
            if not request.projects and not reader.overview(request.window).traces:
                continue
            runs.append(_analyze_project(config, request, project, reader, now_unix_ns=now_unix_ns))
        finally:
            reader.close()
    return runs


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
    identity = _run_id(started_unix_ns)
    run = RunInfo(
        report_id=identity,
        run_id=identity,
        started_unix_ns=started_unix_ns,
        trigger=request.trigger,
        schedule=request.schedule,
        timezone=_local_zone(),
        command=_command_again(project.slug, request.window),
        config_hash=hashlib.sha256(config.analysis.model_dump_json().encode()).hexdigest()[:16],
    )
    past = ProjectMemory(config.data.dir, project.slug)
    memory = past.recall()
    report = analyze_window(
        reader,
        project=project.slug,
        window=request.window,
        run=run,
        previous=_previous(reports),
        memory=memory,
    )
    report = finish(report, now_unix_ns())
    directory = reports.write(identity, rendered(report))
    past.remember(report, memory)
    if request.notify and config.notify.routes:
        queue_event(
            report_created(report, directory),
            config.notify,
            outbox_of(config),
            now_unix_ns=now_unix_ns(),
        )
    log.info(
        "report_written",
        project=project.slug,
        report_id=identity,
        traces=report.dataset.traces,
        spans=report.dataset.spans,
        findings=len(report.findings),
        duration_ms=(now_unix_ns() - started_unix_ns) // 1_000_000,
    )
    return FinishedRun(report, directory)


def rendered(report: Report) -> dict[str, bytes]:
    """Every file of one report, by name."""
    return {
        "report.json": to_json(report),
        "report.md": render_markdown(report).encode(),
        "report.html": render_html(report).encode(),
        **{
            f"findings/{finding.finding_id}.md": render_brief(report, finding).encode()
            for finding in report.findings
        },
    }


def _previous(reports: ReportStore) -> Report | None:
    """Read the report before; one that cannot be read is as good as none, and is logged."""
    try:
        document = reports.previous_report()
        return from_json(document) if document is not None else None
    except (OSError, StoreError, ValueError) as exc:
        log.warning("previous_report_unreadable", error=str(exc)[:200])
        return None


def _run_id(started_unix_ns: int) -> str:
    moment = datetime.fromtimestamp(started_unix_ns // _NS_PER_S, UTC)
    millis = started_unix_ns % _NS_PER_S // 1_000_000
    # Milliseconds keep the ids of one second in order of time.
    return f"r_{moment:%Y%m%dT%H%M%S}{millis:03d}Z_{secrets.token_hex(_RUN_ID_RANDOM_BYTES)}"


def _command_again(slug: str, window: Window) -> str:
    by = " --by start" if window.by is WindowBy.START else ""
    return (
        f"halo-daemon analyze --project {slug} --since {format_unix_ns(window.from_unix_ns)}"
        f" --until {format_unix_ns(window.to_unix_ns)}{by}"
    )


def _local_zone() -> str:
    return os.environ.get("TZ") or datetime.now(UTC).astimezone().tzname() or "UTC"
