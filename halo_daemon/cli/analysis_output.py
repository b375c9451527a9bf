"""What `analyze` prints, and what its exit status says."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from halo_daemon.cli.output import printable
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.analysis import FinishedRun
    from halo_daemon.analyzer.agent.explain import DryRun
    from halo_daemon.analyzer.gate import Baseline
    from halo_daemon.findings import Report, Severity

EXIT_FINDINGS = 3
EXIT_BUDGET = 4
EXIT_INTERRUPTED = 130

_BUDGET_REASONS = frozenset({"turns", "tokens", "usd", "seconds", "requests"})


class Format(StrEnum):
    """How reports are printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "md"
    SARIF = "sarif"
    JUNIT = "junit"


def only_finding(report: "Report", finding_id: str) -> "Report":
    """*report* with the one finding that *finding_id*, or a beginning of it, names; or with none."""
    wanted = finding_id.upper()
    kept = tuple(each for each in report.findings if each.finding_id.startswith(wanted))
    weak = tuple(each for each in report.weak_signals if each.finding_id.startswith(wanted))
    return report.model_copy(update={"findings": kept, "weak_signals": weak})


def render(
    runs: "Sequence[FinishedRun]", output_format: Format, *, fail_on: "Severity | None"
) -> bytes:
    """
    Render the reports: one JSON object for one project, a list of them otherwise.

    Raises:
        ConfigError: SARIF or JUnit of several projects.
    """
    from halo_daemon.analyzer.render_junit import render_junit
    from halo_daemon.analyzer.render_markdown import render_markdown
    from halo_daemon.analyzer.render_sarif import render_sarif
    from halo_daemon.findings import to_json

    reports = [run.report for run in runs]
    match output_format:
        case Format.JSON:
            documents = [to_json(report).strip() for report in reports]
            one = documents[0] if len(documents) == 1 else b"[" + b",".join(documents) + b"]"
            return one + b"\n"
        case Format.MARKDOWN:
            return "\n".join(render_markdown(report) for report in reports).encode()
        case Format.SARIF:
            return render_sarif(_only(reports, output_format))
        case Format.JUNIT:
            return render_junit(_only(reports, output_format), fail_on=fail_on or "high")
        case Format.TEXT:
            return "\n".join(_text(run) for run in runs).encode()


def _only(reports: "Sequence[Report]", output_format: Format) -> "Report":
    if len(reports) != 1:
        raise ConfigError(
            f"cannot write {len(reports)} reports as one {output_format.value} document",
            hint="name one project with --project",
        )
    return reports[0]


def _text(run: "FinishedRun") -> str:
    from halo_daemon.analyzer.render_text import render_text

    where = f"\nreport: {run.directory / 'report.html'}\n" if run.directory else "\n"
    return printable(render_text(run.report)) + where


def render_plans(plans: "Sequence[tuple[str, DryRun]]") -> bytes:
    """Write what a run with a model would send, one block for each project."""
    return "\n".join(printable(_plan(project, plan)) for project, plan in plans).encode()


def _plan(project: str, plan: "DryRun") -> str:
    rows = (
        ("model", plan.model),
        ("traces", f"{plan.traces}, {plan.readable_bytes} bytes that tools could read"),
        (
            "first request",
            f"{plan.first_request_bytes} bytes, about {plan.first_request_tokens} tokens",
        ),
        ("budget", f"{plan.most_tokens or 'unlimited'} tokens, {plan.most_usd or 'unlimited'} USD"),
        ("cost", plan.cost_note or "priced"),
        ("attributes", ", ".join(plan.attributes)),
    )
    return f"{project}: nothing was sent\n" + "".join(
        f"  {name:14} {value}\n" for name, value in rows
    )


def exit_status(
    reports: "Sequence[Report]", *, fail_on: "Severity | None", baseline: "Baseline | None"
) -> int:
    """
    Say how the runs went: 130 interrupted, 4 a budget was reached, 3 the gate, else 0.

    A partial analysis is not read as a verdict on findings, so it goes first.
    """
    from halo_daemon.analyzer.gate import judge

    reasons = {report.engine.reason for report in reports if report.engine.status == "partial"}
    if "cancelled" in reasons:
        return EXIT_INTERRUPTED
    if reasons & _BUDGET_REASONS:
        return EXIT_BUDGET
    if fail_on is not None and not all(
        judge(report, fail_on, baseline).passes for report in reports
    ):
        return EXIT_FINDINGS
    return 0


def read_baseline(path: Path) -> "Baseline":
    """
    Read the file of accepted findings.

    Raises:
        ConfigError: It is missing or not a baseline.
    """
    from pydantic import ValidationError

    from halo_daemon.analyzer.gate import Baseline

    try:
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as exc:
        raise ConfigError(
            f"cannot read the baseline {path}: {exc.strerror}",
            hint="write one with `halo-daemon report baseline`",
        ) from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ConfigError(
            f"cannot read the baseline {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from exc
