import pytest

from halo_daemon.analyzer.contract_file import contract_of, read_contract
from halo_daemon.analyzer.memory import Memory
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.errors import ConfigError
from halo_daemon.store.paths import DataPaths
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import failing, fine, window


def test_a_report_is_remembered_once(tmp_path):
    """Writing the same report again adds nothing to the ledger."""
    past = ProjectMemory(tmp_path, "p")
    report = report_of(window())

    past.remember(report, Memory())
    past.remember(report, Memory())

    (history,) = past.recall().histories.values()
    assert history.reports_seen == 1


def test_the_next_run_knows_the_one_before(tmp_path):
    """The finding is ongoing, and keeps its first day."""
    past = ProjectMemory(tmp_path, "p")
    first = report_of(window())
    past.remember(first, Memory())

    (finding,) = report_of(window(), memory=past.recall()).findings

    assert finding.state == "ongoing"
    assert finding.trend.series == (0.2, 0.2)


def test_a_contract_groups_findings_under_one_name():
    """Errors that a rule takes together are one finding, with all their traces."""
    words = ["disk is gone", "the printer burns", "no such customer here today"]
    scripts = [failing(n, words[n % 3]) for n in range(1, 13)] + [fine(n) for n in range(13, 30)]
    rule = {"when": {"rule": "tool_error", "tool": "search"}, "merge_as": "search-errors"}
    settings = MinerSettings(contract=contract_of({"grouping": [rule]}))

    apart = report_of(scripts)
    together = report_of(scripts, settings=settings)

    assert len(apart.findings) == 3
    (finding,) = together.findings
    assert finding.counts.affected_traces == 12
    assert len(finding.merged_from) == 3


def test_a_contract_ignores_a_finding_until_a_day():
    """It is muted with the reason, and no longer than that."""
    name = report_of(window()).findings[0].finding_id
    rows = [{"finding": name, "until": "2030-01-01", "reason": "known"}]
    over = [{"finding": name, "until": "2020-01-01", "reason": "known"}]

    (muted,) = report_of(
        window(), settings=MinerSettings(contract=contract_of({"ignore": rows}))
    ).findings
    (loud,) = report_of(
        window(), settings=MinerSettings(contract=contract_of({"ignore": over}))
    ).findings

    assert (muted.triage.state, muted.triage.note) == ("muted", "known")
    assert loud.triage.state == "open"


def test_a_report_says_which_decision_was_not_followed(tmp_path):
    """A typo in the triage file is told to those who read the report; the rest of it holds."""
    name = report_of(window()).findings[0].finding_id
    path = DataPaths(tmp_path).project("p").triage
    path.parent.mkdir(parents=True)
    path.write_text(f"findings:\n  {name}:\n    state: muted\n  F-7Q2K:\n    state: muted\n")

    report = report_of(window(), memory=ProjectMemory(tmp_path, "p").recall())

    assert report.findings[0].triage.state == "muted"
    assert "triage.yaml:4:3" in report.limits[0]
    assert "`F-7Q2K` is not the id of a finding" in render_markdown(report)


def test_a_contract_file_is_read(tmp_path):
    """As YAML; without a file there is nothing to hold against."""
    path = tmp_path / "contract.yaml"
    path.write_text('version: 1\ntools:\n  refund:\n    idempotent: false\noff_limits: ["x.y"]\n')

    contract = read_contract(path)

    assert contract.tools["refund"].idempotent is False
    assert contract.off_limits == ("x.y",)
    assert read_contract(tmp_path / "none.yaml").tools == {}


@pytest.mark.parametrize(
    "text",
    [
        "tools: [",
        "toools: {}",
        "version: 3",
        "ignore: [{finding: F-7Q2K9M3XH4TA, until: 31.12.2026}]",
        "ignore: [{finding: F-7Q2K9M3XH4TA, until: regressed}]",
    ],
)
def test_a_wrong_contract_stops_the_run(tmp_path, text):
    """A rule must not go unchecked because of a typo."""
    path = tmp_path / "contract.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as error:
        read_contract(path)

    assert error.value.diagnostics


@pytest.mark.parametrize(
    ("rule", "value", "verdict"),
    [
        pytest.param({"failed_below": 0.5}, 0.4, "failed", id="below"),
        pytest.param({"failed_below": 0.5}, 0.5, "ok", id="not-below"),
        pytest.param({"failed_below": 0.5}, "high", "unknown", id="no-number"),
        pytest.param({"failed_when": ["gave_up"]}, "gave_up", "failed", id="a-failing-word"),
        pytest.param({"failed_when": ["gave_up"]}, "done", "ok", id="another-word"),
        pytest.param({"failed_when": [1]}, True, "ok", id="true-is-not-one"),
        pytest.param({}, "failed", "failed", id="common-words"),
    ],
)
def test_a_contract_says_what_counts_as_failed(rule, value, verdict):
    """Its attribute decides, above every other source."""
    script = TraceScript(1).step("AGENT", "review", **{"crm.result": value}).outcome("ok")
    contract = contract_of({"outcome": [{"attribute": "crm.result", **rule}]})

    (row,) = report_of([script], settings=MinerSettings(contract=contract)).traces

    assert row.outcome == (verdict if verdict != "unknown" else "ok")


def judged(first, number):
    """Traces of which every second looped and failed, as an evaluator says."""
    scripts = []
    for place in range(first, first + number):
        script = TraceScript(place, task=f"question {'abcdefghij'[place % 10] * (place % 50 + 3)}")
        for _ in range(4 if place % 2 else 1):
            script.tool("search", {"q": "shoes"}, result="none")
        failed = place % 2 if place % 10 else 1 - place % 2
        scripts.append(script.answer("done").outcome("failed" if failed else "ok"))
    return scripts


def test_what_became_of_earlier_traces_calibrates_the_risk_of_later_ones(tmp_path):
    """The second report's risks are probabilities, and it says what they rest on."""
    past = ProjectMemory(tmp_path, "p")
    learnt = []
    first = report_of(judged(1, 300), on_outcomes=learnt.extend)
    past.remember_outcomes(learnt, past.recall())

    second = report_of(judged(1_001, 100), memory=past.recall())

    assert first.risk.state == "too_few"
    assert second.risk.state == "calibrated"
    assert (second.risk.outcomes, second.risk.source) == (300, "label")
    assert "calibrated on 300 earlier outcomes" in second.risk.text
    by_risk = sorted(second.traces, key=lambda row: -row.risk)
    assert sum(row.outcome == "failed" for row in by_risk[:50]) >= 40
    assert by_risk[0].risk > 0.7
    assert by_risk[-1].risk < 0.35


def test_a_second_report_of_the_same_window_learns_nothing_from_it(tmp_path):
    """Analysing a window again gives it the same risks: its own outcomes do not count."""
    past = ProjectMemory(tmp_path, "p")
    learnt = []
    first = report_of(judged(1, 300), on_outcomes=learnt.extend)
    past.remember_outcomes(learnt, past.recall())

    second = report_of(judged(1, 300), memory=past.recall())

    assert [row.risk for row in second.traces] == [row.risk for row in first.traces]


def test_damaged_lines_cost_their_own_outcomes(tmp_path):
    """Half a line and a foreign one are left out; the others count."""
    past = ProjectMemory(tmp_path, "p")
    learnt = []
    report_of(judged(1, 10), on_outcomes=learnt.extend)
    past.remember_outcomes(learnt, past.recall())
    (path,) = tmp_path.rglob("outcomes.jsonl")
    path.write_bytes(b'{"other": 1}\n' + path.read_bytes()[:-20])

    assert len(past.recall().outcomes) == 9
