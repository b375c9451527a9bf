"""The whole report, its bytes and its schema."""

from collections.abc import Iterator
from typing import Final, Literal

import orjson
from pydantic import Field

from halo_daemon.findings.dataset import (
    Coverage,
    DataQuality,
    Dataset,
    Engine,
    RunBlock,
    Totals,
    WindowBlock,
)
from halo_daemon.findings.finding import Finding, FindingState, Role
from halo_daemon.findings.outcomes import RiskCalibration
from halo_daemon.findings.record import Count, Instant, Interval, Record, Share
from halo_daemon.proto.json_value import JsonObject

SCHEMA_VERSION: Final = "halo.report/1"
TRACES_FILE: Final = "traces.jsonl"
"""Beside ``report.json``."""
MAX_ROWS_INSIDE = 10_000
"""Rows of traces in ``report.json`` itself."""


class SummaryCounts(Record):
    """Findings by state; a muted one is counted in its state as well."""

    new: Count = 0
    ongoing: Count = 0
    regressed: Count = 0
    resolved: Count = 0
    reopened: Count = 0
    not_seen: Count = 0
    muted: Count = 0


class Summary(Record):
    """The report in one breath."""

    headline: str = ""
    top_changes: tuple[str, ...] = Field(default=(), max_length=3)
    """Ids of the findings to read first."""
    counts: SummaryCounts = SummaryCounts()


class TraceEvidence(Record):
    """A span of a trace that a finding names."""

    span_id: str
    role: Role
    finding_id: str


class TraceRow(Record):
    """What the report says of one examined trace."""

    trace_id: str
    risk: Share
    """Orders traces by how likely they failed; a probability where `Report.risk` says
    ``calibrated``."""
    outcome: Literal["failed", "ok", "unknown"] = "unknown"
    findings: tuple[str, ...] = ()
    """In the order of the report."""
    decisive_span_id: str | None = None
    """Where the trace most likely went wrong; None when nothing speaks against it."""
    evidence: tuple[TraceEvidence, ...] = ()


class ReleaseDiff(Record):
    """A rate that differs between two releases."""

    dimension: str
    from_: str = Field(alias="from")
    to: str
    metric: str
    diff: float
    ci95: Interval
    q: Share


class WhatChanged(Record):
    """Something that this window uses and the one before did not, or the other way round."""

    change: Literal["new", "gone"]
    kind: str
    agent: str = ""
    name: str
    traces: Count
    """Traces that use it, of this window when it is new, of the one before when it is gone."""
    first_seen: Instant | None = None
    """When it began in this window; None when it is gone."""


class ResolvedFinding(Record):
    """A finding that was not seen in this window, and how much that says."""

    finding_id: str
    title: str = ""
    state: FindingState = "resolved"
    """``resolved``, or ``not_seen`` when the exposure is too small to tell."""
    exposure: Count
    """Eligible traces since it was last seen."""
    p_zero_if_unchanged: Share
    """Chance of seeing none of it, had nothing changed."""


class Privacy(Record):
    """What was masked, and what left the machine."""

    values_redacted: Count = 0
    bytes_sent_to_model: Count = 0
    quotes: Literal["full", "short", "none"] = "full"


MAX_ANSWER_CHARS: Final = 20_000


class Answered(Record):
    """What a person asked of the model, and its answer: its words, not checked as findings are."""

    question: str
    text: str = Field(max_length=MAX_ANSWER_CHARS)


class Repro(Record):
    """How to make this report again."""

    command: str = ""
    config_hash: str = ""
    seed: int = 1


class Report(Record):
    """
    One analysis of one project over one window.

    Findings stand in the order of their rank, ties by id; trace rows by trace id.
    """

    schema_version: Literal["halo.report/1"] = SCHEMA_VERSION
    report_id: str
    project: str
    created_at: Instant
    previous_report_id: str | None = None
    run: RunBlock
    window: WindowBlock
    engine: Engine = Engine()
    dataset: Dataset = Dataset()
    totals: Totals = Totals()
    data_quality: tuple[DataQuality, ...] = ()
    coverage: Coverage = Coverage()
    summary: Summary = Summary()
    findings: tuple[Finding, ...] = ()
    traces: tuple[TraceRow, ...] = ()
    traces_file: str | None = None
    """Where the rows of `traces` stand instead, one a line, when they are more than 10,000."""
    risk: RiskCalibration = RiskCalibration()
    """What the risk of `traces` rests on."""
    weak_signals: tuple[Finding, ...] = ()
    """Below minimum support; never alerted."""
    unverified_claims: tuple[Finding, ...] = ()
    """Claims whose quote or count did not hold; never alerted."""
    release_diff: tuple[ReleaseDiff, ...] = ()
    what_changed: tuple[WhatChanged, ...] = ()
    """Against the previous report; empty when there is none."""
    resolved: tuple[ResolvedFinding, ...] = ()
    privacy: Privacy = Privacy()
    repro: Repro = Repro()
    questions: tuple[str, ...] = ()
    answer: Answered | None = None
    """None where nothing was asked or no answer came."""
    limits: tuple[str, ...] = ()


def split_rows(report: Report) -> tuple[Report, Iterator[bytes]]:
    """
    The report without its rows of traces, which come line by line; for large reports.

    A report with at most 10,000 rows stays as it is, and no lines come.
    """
    if len(report.traces) <= MAX_ROWS_INSIDE:
        return report, iter(())
    without = report.model_copy(update={"traces": (), "traces_file": TRACES_FILE})
    return without, (
        orjson.dumps(row.model_dump(mode="json", by_alias=True)) + b"\n" for row in report.traces
    )


def to_json(report: Report) -> bytes:
    """
    Write *report* as one indented JSON document that ends with a newline.

    The same report gives the same bytes: fields in the order of the schema,
    absent values ``null``, empty lists ``[]``.
    """
    return orjson.dumps(
        report.model_dump(mode="json", by_alias=True),
        option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def from_json(document: bytes) -> Report:
    """
    Read what `to_json` wrote, of this version or a later one.

    Raises:
        ValueError: *document* is not a report.
    """
    return Report.model_validate_json(document)


def report_schema() -> JsonObject:
    """Return the JSON Schema of a written report."""
    return Report.model_json_schema(by_alias=True, mode="serialization")
