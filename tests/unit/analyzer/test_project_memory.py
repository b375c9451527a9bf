import pytest

from halo_daemon.analyzer.contract import contract_of
from halo_daemon.analyzer.contract_file import read_contract
from halo_daemon.analyzer.memory import Memory
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.errors import ConfigError
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


def test_a_contract_file_is_read(tmp_path):
    """As YAML; without a file there is nothing to hold against."""
    path = tmp_path / "contract.yaml"
    path.write_text('version: 1\ntools:\n  refund:\n    idempotent: false\noff_limits: ["x.y"]\n')

    contract = read_contract(path)

    assert contract.tools["refund"].idempotent is False
    assert contract.off_limits == ("x.y",)
    assert read_contract(tmp_path / "none.yaml").tools == {}


@pytest.mark.parametrize("text", ["tools: [", "toools: {}", "version: 3"])
def test_a_wrong_contract_stops_the_run(tmp_path, text):
    """A rule must not go unchecked because of a typo."""
    path = tmp_path / "contract.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as error:
        read_contract(path)

    assert error.value.diagnostics
