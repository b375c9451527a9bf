import json
import random

import jsonschema
import pytest

from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.render_text import render_text
from halo_daemon.analyzer.run import analyze_window, finish
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import report_schema, to_json
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.memory_reader import MemoryReader
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import RUN, WINDOW, reader_of, report_of


def failing(number, message="Error: index 7 is broken"):
    """A trace whose search fails for good."""
    return (
        TraceScript(number)
        .model("I search.", calls=[("search", {"q": "x"})])
        .tool("search", {"q": "x"}, error=message)
        .model("Sorry.")
        .answer("Sorry.")
    )


def fine(number):
    """A trace whose search works."""
    return (
        TraceScript(number)
        .model("I search.", calls=[("search", {"q": "x"})])
        .tool("search", {"q": "x"}, result="found it")
        .model("Here it is.")
        .answer("Here it is.")
    )


def window(failures=4, successes=16, *, first=1):
    """A window in which some traces fail; numbered from *first*, an hour apart."""
    fine_from = first + failures
    return [failing(n) for n in range(first, fine_from)] + [
        fine(n) for n in range(fine_from, fine_from + successes)
    ]


def test_a_finding_is_counted_over_the_traces_that_could_show_it():
    """Denominators are eligible traces, with the Wilson interval of the rate."""
    (finding,) = report_of(window()).findings

    assert finding.counts.affected_traces == 4
    assert finding.counts.eligible_traces == 20
    assert finding.counts.ci95 == (0.080658, 0.416017)
    assert finding.severity == "high"
    assert finding.source == "rule:tool_error@3"


def test_evidence_names_symptom_decision_and_counterexample():
    """Every role that exists is shown, and every quote was found in its span."""
    (finding,) = report_of(window()).findings

    assert {row.role for row in finding.evidence} == {"symptom", "decision", "counterexample"}
    assert all(row.quote_verified for row in finding.evidence)
    assert finding.verified


def test_every_trace_has_its_row():
    """Traces with the finding carry more risk, and say where they went wrong."""
    report = report_of(window())

    assert len(report.traces) == 20
    bad = [row for row in report.traces if row.findings]
    good = [row for row in report.traces if not row.findings]
    assert min(row.risk for row in bad) > max(row.risk for row in good)
    assert all(row.decisive_span_id for row in bad)
    assert not any(row.decisive_span_id for row in good)


def test_traces_that_count_in_two_windows_are_told_of():
    """Scores that come a night later bring their traces into a second window; a reader knows."""
    day_ns = 24 * 3_600 * 10**9
    before = report_of(window(), window=Window(0, day_ns))
    more = [fine(n) for n in range(101, 111)]
    late = report_of([*window(), *more], window=Window(day_ns, 2 * day_ns), previous=before)
    overlapping = report_of(window(), window=Window(day_ns // 2, 2 * day_ns), previous=before)

    assert any(limit.startswith("20 of the 30 traces were examined") for limit in late.limits)
    assert not any("examined for the report before" in limit for limit in overlapping.limits)


def test_few_cases_are_weak_signals():
    """Below three traces nothing is claimed."""
    report = report_of(window(failures=2))

    assert report.findings == ()
    assert len(report.weak_signals) == 1
    assert "1 weak signal" in report.summary.headline


def test_no_traces_is_loud():
    """An empty window cannot be mistaken for one without failures, and is a whole report."""
    report = report_of([])

    assert report.summary.headline.startswith("NOTHING WAS ANALYSED")
    jsonschema.validate(json.loads(to_json(report)), report_schema())
    assert "NOTHING WAS ANALYSED" in render_text(report)
    assert "NOTHING WAS ANALYSED" in render_html(report)
    assert "NOTHING WAS ANALYSED" in render_markdown(report)


def test_no_findings_says_what_was_read():
    """A clean window says how many traces were examined and what each rule checked."""
    report = report_of([fine(n) for n in range(1, 6)])

    assert report.summary.headline == "No findings: 5 traces examined."
    assert all(row.of >= row.checked for row in report.coverage.rules)
    assert {row.rule for row in report.coverage.rules} >= {"tool_error@3", "made_up_tool@1"}


def test_a_finding_known_from_the_last_report_is_ongoing():
    """It keeps its id and its first day, and counts the reports."""
    before = report_of(window())

    (finding,) = report_of(window(), previous=before).findings

    assert finding.state == "ongoing"
    assert finding.reports_seen == 2
    assert finding.first_seen == before.findings[0].first_seen


def test_oversized_traces_are_skipped_and_counted():
    """A trace beyond the limit costs itself, not the report."""
    report = report_of(window(), settings=MinerSettings(max_trace_spans=2))

    assert report.coverage.examined_traces == 0
    assert report.coverage.skipped[0].count == 20
    assert "all skipped" in report.summary.headline


def test_two_runs_write_the_same_bytes():
    """The same traces give the same report."""
    assert to_json(report_of(window())) == to_json(report_of(window()))


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_arrival_changes_no_byte(seed):
    """Spans in any order give the same report."""
    spans = [span for script in window() for span in script.spans()]
    random.Random(seed).shuffle(spans)
    reader = MemoryReader()
    for span in spans:
        reader.add(span, received_unix_ns=1)

    shuffled = analyze_window(reader, project="support", window=WINDOW, run=RUN)

    assert to_json(shuffled) == to_json(report_of(window()))


def test_a_duplicate_delivery_changes_no_finding():
    """A span that arrives twice counts once; only the count of duplicates differs."""
    reader = reader_of([*window(), *window()])

    twice = analyze_window(reader, project="support", window=WINDOW, run=RUN)

    assert twice.findings == report_of(window()).findings
    assert twice.dataset.duplicate_spans > 0


def test_open_traces_are_examined_and_counted():
    """An error in a trace that goes on is reported; its missing end is not."""
    reader = MemoryReader(settle_s=10**9, now_unix_ns=lambda: 2)
    for number in range(1, 5):
        for span in failing(number).spans()[1:]:
            reader.add(span, received_unix_ns=1)

    report = analyze_window(reader, project="support", window=WINDOW, run=RUN)

    assert report.dataset.open_traces == 4
    assert [f.source for f in report.findings] == ["rule:tool_error@3"]
    (row,) = [row for row in report.coverage.rules if row.rule == "premature_end@2"]
    assert (row.checked, row.of) == (0, 4)


def test_finish_stamps_the_end_and_nothing_else():
    """Only the run's end and the engine's time change."""
    report = report_of(window())

    done = finish(report, RUN.started_unix_ns + 5_000_000)

    assert done.engine.wall_ms == 5
    assert done.run.ended_at is not None
    assert done.findings == report.findings


def test_a_step_is_charged_to_one_finding():
    """Two findings over the same steps do not waste them twice."""
    scripts = []
    for number in range(1, 6):
        script = TraceScript(number)
        for _ in range(2):
            script.model("x", calls=[("book", {"n": 1})], tokens=(1_000, 0))
            script.tool("book", {"n": 1}, error="no seats left")
        scripts.append(script.model("Sorry.", tokens=(1_000, 0)).answer("Sorry."))

    report = report_of(scripts)

    assert {f.source for f in report.findings} == {"rule:tool_error@3", "rule:blind_retry@2"}
    assert sum(f.cost.wasted_tokens for f in report.findings) == 10_000


def test_progress_is_told():
    """Every trace is announced once."""
    begun = []

    report_of(window(), on_trace=lambda: begun.append(1))

    assert len(begun) == 20


@pytest.mark.parametrize(
    ("result", "said"),
    [
        pytest.param("Exit code: 1\nno such file", True, id="exit-code"),
        pytest.param("Error: index 7 is broken", False, id="told-in-words"),
    ],
)
def test_a_report_says_where_it_counts_more_than_a_list_of_traces(result, said):
    """Failures that no span records are counted apart, and only where there are any."""
    flagged = {} if said else {"halo.derived.error": True}
    scripts = [
        TraceScript(n).model("I run.").tool("bash", {"cmd": "x"}, result=result, **flagged)
        for n in range(1, 5)
    ]

    report = report_of([*scripts, *(fine(n) for n in range(5, 9))])

    assert report.totals.error_rate.value == 0.5
    assert ("0 % in lists of traces" in render_markdown(report)) == said
    assert ("0 % in lists of traces" in render_html(report)) == said
