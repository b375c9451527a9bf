"""What a desk says of findings while the next report comes."""

from halo_daemon.analyzer.finding_desk import FindingDesk
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.findings import to_json
from halo_daemon.store.reports import ReportStore
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import failing, fine
from tests.unit.analyzer.test_shared_cause import DOWN, TOOLS, window_with

NOW = "2026-12-01"


def kept(root, run_id, scripts):
    """A report of the scripts' traces, stored and remembered."""
    past = ProjectMemory(root, "p")
    memory = past.recall()
    report = report_of(scripts, memory=memory).model_copy(update={"report_id": run_id})
    past.remember(report, memory)
    ReportStore(root, "p").write(run_id, {"report.json": to_json(report)})
    return report


def test_a_desk_speaks_of_one_report(tmp_path):
    """A report that is written meanwhile changes neither rows nor report; the next desk has it."""
    first = kept(tmp_path, "r_1", [failing(n) if n <= 10 else fine(n) for n in range(1, 41)])
    desk = FindingDesk(tmp_path, "p")
    before = desk.list(NOW)
    kept(tmp_path, "r_2", [fine(n) for n in range(1, 41)])

    assert before[0].finding is not None
    assert [row.finding for row in desk.list(NOW)] == [row.finding for row in before]
    assert desk.latest_report == first
    assert [row.finding for row in FindingDesk(tmp_path, "p").list(NOW)] == [None] * len(before)


def test_an_id_of_earlier_reports_names_the_finding_that_goes_on(tmp_path):
    """Whoever holds last night's message finds what became of it."""
    tool, *others = TOOLS
    (before,) = kept(tmp_path, "r_1", window_with({tool: DOWN})).findings
    (after,) = kept(tmp_path, "r_2", window_with(dict.fromkeys((tool, *others), DOWN))).findings
    assert before.finding_id != after.finding_id

    desk = FindingDesk(tmp_path, "p")
    found = [desk.find(name, NOW) for name in (before.finding_id, after.finding_id)]

    assert [row.finding_id for row in found] == [after.finding_id] * 2
