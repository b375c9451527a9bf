"""``halo-daemon analyze``: one run now."""

import re
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from halo_daemon.cli import exit_codes
from halo_daemon.cli.analysis_output import (
    exit_status,
    only_finding,
    read_baseline,
    render,
    render_plans,
)
from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.opening import log_level, require_named_data
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    ProjectsOption,
    SinceOption,
    UntilOption,
    load_config,
)
from halo_daemon.cli.output import print_note, write_output
from halo_daemon.cli.report_forms import Form
from halo_daemon.errors import AnalysisError, ConfigError, HaloError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from halo_daemon.analysis import AnalysisRequest
    from halo_daemon.analyzer.gate import Baseline
    from halo_daemon.config import Config
    from halo_daemon.findings import Report, Severity
    from halo_daemon.store.trace_reader import Window


_WHOLE_ID = re.compile(r"F-[0-9A-HJKMNP-TV-Z]{12}")


class By(StrEnum):
    """Which time of a span puts its trace into the window."""

    RECEIVED = "received"
    START = "start"


class Engine(StrEnum):
    """What makes findings."""

    BUILTIN = "builtin"
    LLM = "llm"


_By = Annotated[By, typer.Option("--by", help="Time that counts: of receipt or of start.")]
_Engine = Annotated[Engine, typer.Option("--engine", help="What makes findings.")]
_Format = Annotated[Form, typer.Option("--format", help="What is printed.")]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Print to FILE.")
]
_FailOn = Annotated[
    Literal["low", "medium", "high", "critical"] | None,
    typer.Option("--fail-on", help="Exit 3 when a finding is at least that severe."),
]
_Baseline = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="Accepted findings.")
]
_Finding = Annotated[
    str | None,
    typer.Option(
        "--finding",
        metavar="ID",
        help="Look for this one; exit 3 when seen, 1 without traces. Stores nothing.",
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --engine llm: say what would be sent; send nothing.")
]
_Usd = Annotated[
    float | None, typer.Option("--budget-usd", metavar="USD", min=0, help="Dollars for the model.")
]
_Minutes = Annotated[
    int | None, typer.Option("--budget-minutes", metavar="MINUTES", min=1, help="Time for the run.")
]
_MaxTraces = Annotated[
    int | None,
    typer.Option(
        "--max-traces", metavar="N", min=1, help="Examine a sample of so many traces a project."
    ),
]
_Question = Annotated[
    str, typer.Option("--question", metavar="TEXT", help="With --engine llm: what to answer too.")
]
_NoNotify = Annotated[bool, typer.Option("--no-notify", help="Tell no target.")]
_Schedule = Annotated[
    str, typer.Option("--schedule", metavar="ENTRY", help="Run on behalf of a schedule entry.")
]


def analyze(
    ctx: typer.Context,
    *,
    since: SinceOption = "24h",
    until: UntilOption = "now",
    by: _By = By.RECEIVED,
    project: ProjectsOption = None,
    engine: _Engine = Engine.BUILTIN,
    output_format: _Format = Form.TEXT,
    output: _Output = None,
    fail_on: _FailOn = None,
    baseline: _Baseline = None,
    finding: _Finding = None,
    dry_run: _DryRun = False,
    budget_usd: _Usd = None,
    budget_minutes: _Minutes = None,
    max_traces: _MaxTraces = None,
    question: _Question = "",
    no_notify: _NoNotify = False,
    schedule: _Schedule = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Look for failure modes in the traces of a window and write the report.

    Works with and without a running daemon. Exits 3 when the gate of --fail-on is
    reached, 4 when a budget was and the report is partial.
    """
    import time

    settings = load_config(
        ctx, config=config, data=data, overrides=_budget(budget_usd, budget_minutes)
    )
    if question and engine is not Engine.LLM:
        raise ConfigError("cannot answer --question: rules answer none", hint="add --engine llm")
    require_named_data(ctx, data)
    if finding:
        _require_known(settings, finding, tuple(project or ()))
    shown = _Shown(
        window=f"{by.value} between {since} and {until}",
        form=output_format,
        output=output,
        fail_on=fail_on,
        accepted=read_baseline(baseline) if baseline else None,
        finding=finding,
    )
    request = _request(
        settings,
        window=_window(since, until, by, now_unix_ns=time.time_ns()),
        projects=tuple(project or ()),
        engine=engine.value,
        schedule=schedule,
        notify=not no_notify,
        is_kept=finding is None,
    )
    request = replace(request, question=question, max_traces=max_traces)
    if dry_run:
        _say_plans(settings, request, output)
    else:
        _run(settings, request, shown)


class _Shown(NamedTuple):
    """How the reports of a run are printed and judged."""

    window: str
    """The window in the words of the command line."""

    form: Form
    output: Path | None
    fail_on: "Severity | None"
    accepted: "Baseline | None"
    finding: str | None
    """The one finding that is wanted; None for all."""


def _request(
    settings: "Config",
    *,
    window: "Window",
    projects: tuple[str, ...],
    engine: str,
    schedule: str,
    notify: bool,
    is_kept: bool,
) -> "AnalysisRequest":
    """What is to be analysed; logs go to stderr from here on."""
    from halo_daemon import analysis, log
    from halo_daemon.store.scratch import is_read_only

    level = "info" if schedule else log_level()
    log.configure(level=level, log_format=settings.telemetry.log.format)
    root = settings.data.dir
    cannot_keep = not schedule and is_read_only(root)
    if cannot_keep:
        print_note(f"{root} cannot be written: the report is printed and not stored")
    return analysis.AnalysisRequest(
        window=window,
        projects=projects,
        engine=engine,
        trigger="schedule" if schedule else "manual",
        schedule=schedule,
        notify=notify,
        keep=is_kept and not cannot_keep,
    )


def _say_plans(settings: "Config", request: "AnalysisRequest", output: Path | None) -> None:
    import time

    from halo_daemon import analysis

    plans = analysis.plans(settings, request, now_unix_ns=time.time_ns)
    write_output(render_plans(plans), output)


def _run(settings: "Config", request: "AnalysisRequest", shown: _Shown) -> None:
    """Analyse, deliver, print; ends with the exit status of what was found."""
    import time

    from halo_daemon import analysis

    failed: dict[str, HaloError] = {}
    runs = analysis.analyze(
        settings, request, now_unix_ns=time.time_ns, on_failed=failed.__setitem__
    )
    if shown.finding:
        runs = [run._replace(report=only_finding(run.report, shown.finding)) for run in runs]
    if not runs and not failed:
        print_note(
            f"no spans in {settings.data.dir} {shown.window}",
            hint="point an exporter at `halo-daemon serve`, or widen --since",
        )
    _deliver(settings, request)
    if runs or not failed:
        write_output(render(runs, shown.form, fail_on=shown.fail_on), shown.output)
    # Said last, where the reports of the others do not push it off the screen.
    _raise_last(failed)
    reports = [run.report for run in runs]
    if shown.finding:
        _judge_one(reports, shown.finding)
    raise typer.Exit(exit_status(reports, fail_on=shown.fail_on, baseline=shown.accepted))


def _judge_one(reports: "Sequence[Report]", finding: str) -> None:
    """
    End with the status of findings where the one that was looked for is seen, however seldom.

    Raises:
        AnalysisError: No trace was examined, which says nothing of a fix.
    """
    if any(report.findings or report.weak_signals for report in reports):
        raise typer.Exit(exit_codes.FINDINGS)
    if not any(report.coverage.examined_traces for report in reports):
        raise AnalysisError(
            f"cannot tell whether `{finding[:80]}` is gone: there is no trace in the window",
            hint="run the agent first, or widen --since",
        )


def _raise_last(failed: dict[str, HaloError]) -> None:
    """Tell why projects could not be analysed: all in notes, the last as the command's error."""
    if not failed:
        return
    *others, (_, last) = failed.items()
    for slug, exc in others:
        if str(exc) != str(last):
            print_note(f"project {slug}: {exc}", hint=exc.hint)
    raise last


def _require_known(settings: "Config", finding: str, projects: tuple[str, ...]) -> None:
    """
    Refuse a finding that nobody ever saw: its absence would read as "fixed".

    A whole id is taken as it is, for machines that have traces and no ledger.

    Raises:
        UnknownNameError: No finding's id begins so.
    """
    from halo_daemon.store.ledger import LedgerStore
    from halo_daemon.store.paths import DataPaths
    from halo_daemon.store.projects import find_project

    wanted = f"F-{finding.upper().removeprefix('F-')}"
    if _WHOLE_ID.fullmatch(wanted):
        return
    root = settings.data.dir
    paths = DataPaths(root)
    slugs = [find_project(paths, name).slug for name in projects] or paths.slugs()
    known = (identity for slug in slugs for identity in LedgerStore(root, slug).histories())
    if not any(identity.startswith(wanted) for identity in known):
        raise UnknownNameError(
            f"cannot look for finding `{finding[:80]}`: no report ever showed it",
            hint="halo-daemon finding list --all",
        )


def _budget(usd: float | None, minutes: int | None) -> dict[str, str]:
    flags = {} if usd is None else {"analysis.budget.usd": str(float(usd))}
    return flags if minutes is None else flags | {"analysis.budget.wall": f"{minutes}m"}


def _deliver(settings: "Config", request: "AnalysisRequest") -> None:
    """Try what the outbox holds once; a running daemon goes on with what was not accepted."""
    if not (request.notify and request.keep and settings.notify.routes):
        return
    import asyncio

    from halo_daemon.deliveries import courier_of

    asyncio.run(courier_of(settings).deliver_due())


def _window(since: str, until: str, by: By, *, now_unix_ns: int) -> "Window":
    from halo_daemon.store.trace_reader import Window, WindowBy

    window = Window(
        from_unix_ns=parse_instant(since, now_unix_ns=now_unix_ns),
        to_unix_ns=parse_instant(until, now_unix_ns=now_unix_ns),
        by=WindowBy.RECEIVED if by is By.RECEIVED else WindowBy.START,
    )
    if window.from_unix_ns >= window.to_unix_ns:
        raise ConfigError(
            f"the window is empty: --since {since} is not before --until {until}",
            hint="swap them, or leave --until out",
        )
    return window
