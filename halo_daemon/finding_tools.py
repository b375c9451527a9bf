"""
What a coding agent can ask of the findings of a project, and decide on them.

What it reads is what the command line shows; what it decides is written as people's
decisions are, in its user's name.
"""

import time
from typing import Annotated, Any

from pydantic import Field

from halo_daemon.analysis import AnalysisRequest, analyze
from halo_daemon.analyzer.agent.arguments import ToolArguments
from halo_daemon.analyzer.agent.toolbox import Tool, in_thread
from halo_daemon.analyzer.brief import render_brief
from halo_daemon.analyzer.finding_desk import FindingDesk, KnownFinding, own_name
from halo_daemon.config import Config
from halo_daemon.findings import Finding, Report, Triage
from halo_daemon.proto.json_value import JsonObject, JsonValue
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.trace_reader import Window

DECIDING = frozenset({"acknowledge_finding", "resolve_finding"})
"""Tools that write."""
_CHECK_TIMEOUT_S = 600.0
_CHECKED_TRACES = 2_000
_NS_PER_S = 10**9


class ListFindingsArguments(ToolArguments):
    """List the failure modes of a project, the worst of the latest report first."""

    include_resolved: bool = False
    """Also those that are resolved."""


class GetFindingArguments(ToolArguments):
    """Read the brief of one finding: what fails, how often, evidence with quotes, cause, fix."""

    finding_id: str
    """Its id, or the beginning of it."""


class CheckFindingArguments(ToolArguments):
    """
    Look for one finding in the newest traces, as after a fix was deployed.

    Nothing is stored. Not being seen means something only where enough traces could have
    shown it: eligible_traces says how many did.
    """

    finding_id: str
    """Its id, or the beginning of it."""

    since_minutes: Annotated[int, Field(ge=1, le=60 * 24 * 30)] = 120
    """How far back to look."""


class AcknowledgeArguments(ToolArguments):
    """Say that someone looks after a finding."""

    finding_id: str
    """Its id, or the beginning of it."""

    note: Annotated[str, Field(max_length=1_000)] = ""
    """What is being done."""


class ResolveArguments(ToolArguments):
    """Say that a finding is fixed; it is reopened by itself when it is seen again."""

    finding_id: str
    """Its id, or the beginning of it."""

    in_version: Annotated[str, Field(max_length=200)] = ""
    """The first service version with the fix; then older ones do not reopen it."""


class FindingTools:
    """
    The tools over the findings of one project.

    Args:
        config: Where the data is.

        project: The slug; ``""`` where the tools are described and not called.
    """

    def __init__(self, config: Config, project: str) -> None:
        self._config = config
        self._project = project

    def _desk(self) -> FindingDesk:
        """A desk for one call, which sees the latest report as it is now."""
        return FindingDesk(self._config.data.dir, self._project)

    def reading(self) -> list[Tool[Any]]:
        """Those that leave everything as it is."""
        return [
            Tool("list_findings", ListFindingsArguments, in_thread(self.list_findings)),
            Tool("get_finding", GetFindingArguments, in_thread(self.get_finding)),
            Tool(
                "check_finding",
                CheckFindingArguments,
                in_thread(self.check_finding),
                timeout_s=_CHECK_TIMEOUT_S,
            ),
        ]

    def deciding(self) -> list[Tool[Any]]:
        """Those that write what was decided."""
        return [
            Tool("acknowledge_finding", AcknowledgeArguments, in_thread(self.acknowledge)),
            Tool("resolve_finding", ResolveArguments, in_thread(self.resolve)),
        ]

    def list_findings(self, arguments: ListFindingsArguments) -> JsonObject:
        """A row for each; says how old the report is that they are of."""
        desk = self._desk()
        report = desk.latest_report
        rows: list[JsonValue] = [
            _row(known)
            for known in desk.list(_now())
            if arguments.include_resolved or known.state != "resolved"
        ]
        return {
            "findings": rows,
            "report_of": report.created_at if report else None,
            "headline": report.summary.headline if report else "there is no report yet",
        }

    def get_finding(self, arguments: GetFindingArguments) -> JsonObject:
        """The brief and the cited spans; the row alone where the latest report has it not."""
        desk = self._desk()
        known, report = desk.find(arguments.finding_id, _now()), desk.latest_report
        if known.finding is None or report is None:
            note = "the latest report does not show it"
            return {**_row(known), "brief": None, "note": note}
        evidence: list[JsonValue] = [
            {
                "trace_id": row.trace_id,
                "span_id": row.span_id,
                "role": row.role,
                "attribute": row.attribute,
                "quote": row.quote,
            }
            for row in known.finding.evidence
        ]
        return {**_row(known), "brief": render_brief(report, known.finding), "evidence": evidence}

    def check_finding(self, arguments: CheckFindingArguments) -> JsonObject:
        """Analyse the newest traces, keep nothing, and say whether the finding is among it."""
        known = self._desk().find(arguments.finding_id, _now())
        now_unix_ns = time.time_ns()
        begin_unix_ns = now_unix_ns - arguments.since_minutes * 60 * _NS_PER_S
        request = AnalysisRequest(
            Window(begin_unix_ns, now_unix_ns),
            projects=(self._project,),
            notify=False,
            keep=False,
            max_traces=_CHECKED_TRACES,
        )
        (run,) = analyze(self._config, request, now_unix_ns=time.time_ns)
        report = run.report
        seen = _seen_in(report, known.finding_id)
        exposed = {row.finding_id: row for row in report.resolved}.get(known.finding_id)
        return {
            "finding_id": known.finding_id,
            "is_seen": seen is not None,
            "affected_traces": seen.counts.affected_traces if seen else 0,
            "eligible_traces": seen.counts.eligible_traces if seen else None,
            "p_zero_if_unchanged": exposed.p_zero_if_unchanged if exposed else None,
            "examined_traces": report.coverage.examined_traces,
            "since": report.window.from_,
        }

    def acknowledge(self, arguments: AcknowledgeArguments) -> JsonObject:
        """Write it into the triage file."""
        desk = self._desk()
        known = desk.find(arguments.finding_id, _now())
        triage = Triage(state="acknowledged", note=arguments.note, by=_by())
        desk.decide(known, triage, now=_now())
        return _row(desk.find(known.finding_id, _now()))

    def resolve(self, arguments: ResolveArguments) -> JsonObject:
        """Write it into the ledger."""
        desk = self._desk()
        known = desk.find(arguments.finding_id, _now())
        said = Triage(note=arguments.in_version, by=_by())
        desk.set_state(known, "resolved", said, now=_now())
        return _row(desk.find(known.finding_id, _now()))


def _seen_in(report: Report, finding_id: str) -> Finding | None:
    """The finding, or the one that it is a part of by now; None where the report has neither."""
    for finding in (*report.findings, *report.weak_signals):
        if finding_id in {finding.finding_id, *finding.merged_from}:
            return finding
    return None


def _row(known: KnownFinding) -> JsonObject:
    row: JsonObject = {
        "finding_id": known.finding_id,
        "title": known.title,
        "state": known.state,
        "triage": known.triage.state,
        "severity": known.history.severity,
        "first_seen": known.history.first_seen,
        "last_seen": known.history.last_seen,
    }
    if known.finding is not None:
        counts = known.finding.counts
        row |= {
            "severity": known.finding.severity,
            "affected_traces": counts.affected_traces,
            "eligible_traces": counts.eligible_traces,
        }
    return row


def _now() -> str:
    return format_unix_ns(time.time_ns())


def _by() -> str:
    return f"{own_name()}, by a coding agent"
