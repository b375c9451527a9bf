import pytest

from halo_daemon.analyzer.gate import Baseline, baseline_of, judge
from halo_daemon.analyzer.report_diff import diff_reports, render_diff
from halo_daemon.findings import Triage
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import window


@pytest.fixture(scope="module")
def report():
    """A report with one high finding."""
    return report_of(window())


@pytest.mark.parametrize(
    ("fail_on", "passes"), [("low", False), ("high", False), ("critical", True)]
)
def test_the_gate_looks_at_severity(report, fail_on, passes):
    """Findings at or above the chosen severity fail it."""
    assert judge(report, fail_on).passes is passes


def test_an_accepted_finding_passes(report):
    """What the baseline accepts does not fail the gate; anything else does."""
    baseline = baseline_of(report, reason="known outage")

    assert judge(report, "high", baseline).passes
    assert not judge(report, "high", Baseline()).passes


@pytest.mark.parametrize("state", ["muted", "false_positive"])
def test_a_silenced_finding_passes(report, state):
    """What people muted or called false is counted and fails nothing."""
    quiet = report.findings[0].model_copy(update={"triage": Triage(state=state)})

    assert judge(report.model_copy(update={"findings": (quiet,)}), "high").passes


def test_an_unverified_finding_passes(report):
    """A claim whose evidence was not found fails nothing."""
    claim = report.findings[0].model_copy(update={"verified": False})

    assert judge(report.model_copy(update={"findings": (claim,)}), "high").passes


def test_coverage_must_not_drop(report):
    """A rule that checks a smaller share than before fails the gate by itself."""
    baseline = Baseline(coverage={"premature_end@1": 1.0, "made_up_tool@1": 0.5})

    assert judge(report, "critical", baseline).dropped == ("made_up_tool@1",)


def test_two_reports_held_against_each_other():
    """New, gone and worse findings are told apart; small differences are the same."""
    few, many = report_of(window(failures=4, successes=96)), report_of(window(failures=60))
    none = report_of(window(failures=0))

    assert [row.change for row in diff_reports(few, many)] == ["worse"]
    assert [row.change for row in diff_reports(many, few)] == ["better"]
    assert [row.change for row in diff_reports(few, none)] == ["gone"]
    assert [row.change for row in diff_reports(none, few)] == ["new"]
    assert [row.change for row in diff_reports(few, few)] == ["same"]
    told = "4/100 (4 %) → 60/76 (79 %), +63.0 to +83.0 points"
    assert told in render_diff(diff_reports(few, many))
    assert render_diff([]) == "neither report has findings\n"
