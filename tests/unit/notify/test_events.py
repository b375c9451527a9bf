from pathlib import Path

import orjson
import pytest
from hypothesis import example, given, strategies as st

from halo_daemon.analyzer.run import finish
from halo_daemon.findings import Finding, Report, Triage
from halo_daemon.findings.dataset import RunBlock, WindowBlock
from halo_daemon.findings.report import Summary
from halo_daemon.notify.events import (
    MAX_BODY_BYTES,
    FailedRun,
    partial_runs,
    printable,
    report_created,
    run_failed,
)
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import RUN, report_of

INSTANT = "2026-11-20T03:00:00.000000000Z"


def _report(titles: list[str], headline: str = "2 findings", report_id: str = "r_1.x") -> Report:
    return Report(
        report_id=report_id,
        project="support-bot",
        created_at=INSTANT,
        run=RunBlock(id="run_1", trigger="schedule", started_at=INSTANT),
        window=WindowBlock.model_validate({"from": INSTANT, "to": INSTANT}),
        summary=Summary(headline=headline),
        findings=tuple(
            Finding(
                finding_id=f"F-{number:012d}",
                title=title,
                category="other",
                source="rule:tool_error@1",
            )
            for number, title in enumerate(titles)
        ),
    )


def test_a_report_is_told_in_short():
    """The document names project, report, place and the first findings."""
    event = report_created(_report(["A", "B"]), Path("/data/runs/r_1"))

    document = orjson.loads(event.body)
    assert document["type"] == "report.created"
    assert document["timestamp"] == INSTANT
    assert document["data"]["project"] == "support-bot"
    assert document["data"]["path"] == "/data/runs/r_1"
    assert [finding["title"] for finding in document["data"]["findings"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("state", "told"),
    [("open", True), ("acknowledged", True), ("muted", False), ("false_positive", False)],
)
def test_what_people_silenced_is_counted_and_not_told(state, told):
    """A muted finding and one called false are in no message."""
    report = _report(["A"])
    (finding,) = report.findings
    silenced = finding.model_copy(update={"triage": Triage(state=state)})
    report = report.model_copy(update={"findings": (silenced,)})

    document = orjson.loads(report_created(report, Path("/d")).body)

    assert len(document["data"]["findings"]) == int(told)
    assert document["data"]["findings_total"] == 1


def test_an_empty_report_is_told_as_well():
    """No findings is news, too."""
    document = orjson.loads(report_created(_report([]), Path("/d")).body)

    assert (document["data"]["findings_total"], document["data"]["findings"]) == (0, [])


@example(titles=["😀" * 2_000] * 30, headline="😀" * 5_000)
@example(titles=['"\\' * 2_000] * 30, headline='"' * 5_000)
@given(titles=st.lists(st.text(max_size=2_000), max_size=30), headline=st.text(max_size=5_000))
def test_a_document_is_small_whatever_strangers_wrote(titles, headline):
    """Long and odd texts never make a body above the limit, or one that is not JSON."""
    event = report_created(_report(titles, headline), Path("/" + "😀" * 3_000))

    document = orjson.loads(event.body)
    assert len(event.body) <= MAX_BODY_BYTES
    assert document["data"]["findings_total"] == len(titles)


def test_ids_are_stable_and_differ_by_target_and_report():
    """A retry after a restart carries the same id; another target or report another one."""
    event = report_created(_report([]), Path("/d"))
    again = report_created(_report([]), Path("/elsewhere"))
    other = report_created(_report([], report_id="r_2"), Path("/d"))

    assert event.message_id("ops") == again.message_id("ops")
    assert len({event.message_id("ops"), event.message_id("b"), other.message_id("ops")}) == 3
    assert "." not in event.message_id("a.b")


def test_a_failed_run_is_told_with_its_reason():
    """Project, schedule, error and the next try are named; each failure has an id of its own."""
    run = FailedRun(
        project="bot",
        schedule="nightly",
        engine="llm",
        at=INSTANT,
        error="cannot\x1b finish: " + "x" * 5_000,
        hint="raise `analysis.budget.wall`",
        retry_after_s=60.0,
    )

    event, later = run_failed(run), run_failed(run._replace(at="2026-11-21T03:00:00Z"))

    document = orjson.loads(event.body)
    assert (event.kind, event.project, event.severity) == ("failed", "bot", None)
    assert document["type"] == "run.failed"
    assert document["data"]["schedule"] == "nightly"
    assert document["data"]["error"].startswith("cannot finish: xxx")
    assert document["data"]["retry_after_s"] == 60.0
    assert len(event.body) <= MAX_BODY_BYTES
    assert event.message_id("ops") != later.message_id("ops")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a[31mb"),
        ("a\n\tb", "a b"),
        ("safe\u202eevil", "safeevil"),
        ("zero\u200bwidth", "zerowidth"),
        ("\ud800x", "x"),
        ("x" * 50, "x" * 9 + "…"),
        ("café ☕", "café ☕"),
    ],
)
def test_text_of_strangers_is_made_harmless(text, shown):
    """Controls, overrides and invisible characters are dropped, long texts cut."""
    assert printable(text, 10) == shown


def test_three_partial_reports_in_a_row_are_a_failure_told_once():
    """The third of them tells; runs without a model between count neither way."""
    previous, told = None, []
    nights = ["partial", "partial", "none", "partial", "partial", "complete", "partial"]
    for night, status in enumerate(nights):
        report = report_of([TraceScript().model("x")], previous=previous)
        if status != "none":
            update = {"mode": "llm", "status": status, "reason": "provider"}
            report = report.model_copy(update={"engine": report.engine.model_copy(update=update)})
        previous = finish(report, RUN.started_unix_ns)
        told += [(night, event) for event in partial_runs(previous)]

    ((night, event),) = told
    assert night == 3
    assert event.kind == "failed"
    assert orjson.loads(event.body)["data"]["error"].endswith("partial report: provider")
    assert previous.engine.partial_in_a_row == 1
