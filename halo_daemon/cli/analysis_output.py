"""What `analyze` prints, and what its exit status says."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from halo_daemon.cli import exit_codes
from halo_daemon.cli.dry_runs import dry_run_lines
from halo_daemon.cli.output import printable
from halo_daemon.cli.report_forms import Form, written
from halo_daemon.errors import ConfigError

if TYPE_CHECKING:
    from halo_daemon.analysis import FinishedRun
    from halo_daemon.analyzer.agent.explain import DryRun
    from halo_daemon.analyzer.gate import Baseline
    from halo_daemon.findings import Finding, Report, Severity

_ONE_REPORT = frozenset({Form.HTML, Form.SARIF, Form.JUNIT})


def only_finding(report: "Report", finding_id: str) -> "Report":
    """
    *report* with the one finding that *finding_id* names, or with none; headline and count of
    quotes are those of what is left.

    Without it the headline says in how many traces it could have been seen, as far as known.

    A beginning of the id does, with or without ``F-``, in any case; so does the id of a
    finding that was merged into another.
    """
    from halo_daemon.analyzer.headline import headline_of_absent, summary_of

    upper = finding_id.upper()
    wanted = upper if upper.startswith("F-") else f"F-{upper}"

    def is_it(found: "Finding") -> bool:
        return any(each.startswith(wanted) for each in (found.finding_id, *found.merged_from))

    findings = tuple(filter(is_it, report.findings))
    weak_signals = tuple(filter(is_it, report.weak_signals))
    quotes = [
        row.quote_verified for finding in (*findings, *weak_signals) for row in finding.evidence
    ]
    counted = {"evidence_verified": (sum(quotes), len(quotes))}
    kept = report.model_copy(
        update={
            "findings": findings,
            "weak_signals": weak_signals,
            "resolved": tuple(row for row in report.resolved if row.finding_id.startswith(wanted)),
            "coverage": report.coverage.model_copy(update=counted),
        }
    )
    summary = summary_of(kept)
    if not (findings or weak_signals) and kept.coverage.examined_traces:
        headline = headline_of_absent(kept, wanted)
        summary = summary.model_copy(update={"headline": headline})
    return kept.model_copy(update={"summary": summary})


def render(runs: "Sequence[FinishedRun]", form: Form, *, fail_on: "Severity | None") -> bytes:
    """
    Render the reports: one JSON object for one project, a list of them otherwise.

    Raises:
        ConfigError: HTML, SARIF or JUnit of several projects.
    """
    if form in _ONE_REPORT and len(runs) != 1:
        raise ConfigError(
            f"cannot write {len(runs)} reports as one {form.value} document",
            hint="name one project with --project",
        )
    documents = [
        written(run.report, form, fail_on=fail_on, directory=run.directory) for run in runs
    ]
    if form is Form.JSON and len(documents) != 1:
        return b"[" + b",".join(document.strip() for document in documents) + b"]\n"
    if form is Form.TEXT:
        documents = [document + _where(run) for document, run in zip(documents, runs, strict=True)]
    return b"\n".join(documents)


def _where(run: "FinishedRun") -> bytes:
    return f"\nreport: {run.directory / 'report.html'}\n".encode() if run.directory else b"\n"


def render_plans(plans: "Sequence[tuple[str, DryRun]]") -> bytes:
    """Write what a run with a model would send, one block for each project."""
    return "\n".join(_plan(project, plan) for project, plan in plans).encode()


def _plan(project: str, plan: "DryRun") -> str:
    lines = "".join(f"  {line}\n" for line in dry_run_lines(plan))
    return f"{printable(project)}: nothing was sent\n{lines}"


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
        return exit_codes.INTERRUPTED
    if reasons & exit_codes.BUDGET_REASONS:
        return exit_codes.BUDGET
    if fail_on is not None and not all(
        judge(report, fail_on, baseline).passes for report in reports
    ):
        return exit_codes.FINDINGS
    return exit_codes.DONE


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
            ": ".join(
                filter(
                    None,
                    (
                        f"cannot read the baseline {path}",
                        ".".join(map(str, first["loc"])),
                        first["msg"],
                    ),
                )
            ),
            hint="write one with `halo-daemon report baseline`",
        ) from exc
