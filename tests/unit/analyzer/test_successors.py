"""Findings that go under another id than the night before: rules put together and taken away."""

import pytest

from halo_daemon.analyzer.contract_file import contract_of
from halo_daemon.analyzer.finding_desk import FindingDesk
from halo_daemon.analyzer.fingerprint import FindingKey, finding_id
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.findings import Triage
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.triage import TriageFile
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import failing, fine

WORDS = ("disk is gone", "the printer burns")
RULE = {"when": {"rule": "tool_error", "tool": "search"}, "merge_as": "search-errors"}
MERGED = MinerSettings(contract=contract_of({"grouping": [RULE]}))
DAY_NS = 24 * 3_600 * 10**9
LATER = "2030-01-01"


class Nights:
    """A project night by night, each report remembered."""

    def __init__(self, root):
        self.root = root
        self.past = ProjectMemory(root, "p")
        self.night = 0

    def report(self, settings=None, *, words=WORDS):
        """The next night: forty traces, ten of them with each of the *words*."""
        first = self.night * 40 + 1
        errors = [word for word in words for _ in range(10)]
        scripts = [failing(first + n, word) for n, word in enumerate(errors)]
        scripts += [fine(first + n) for n in range(len(errors), 40)]
        begin = self.night * DAY_NS
        memory = self.past.recall()
        report = report_of(
            scripts, window=Window(begin, begin + DAY_NS), memory=memory, settings=settings
        )
        self.past.remember(report.model_copy(update={"report_id": f"r_{self.night}"}), memory)
        self.night += 1
        return report

    def mute(self, *findings):
        """Mute them for years."""
        for finding in findings:
            muted = Triage(state="muted", until=LATER)
            TriageFile(self.root, "p").decide(finding.finding_id, muted)


@pytest.fixture
def nights(tmp_path):
    """A project without a past."""
    return Nights(tmp_path)


def test_what_a_rule_puts_together_goes_on_as_one_finding(nights):
    """It is not new, begins with the first of its parts, and no part is called resolved."""
    parts = nights.report().findings
    (whole,) = nights.report(MERGED).findings

    assert whole.state == "ongoing"
    assert set(whole.supersedes) == {part.finding_id for part in parts}
    assert whole.first_seen == min(part.first_seen for part in parts)


def test_the_parts_of_a_merged_finding_are_never_resolved(nights):
    """They are there under another id, however many traces go by."""
    nights.report()
    reports = [nights.report(MERGED) for _ in range(6)]

    assert [report.resolved for report in reports] == [()] * 6
    assert [report.findings[0].state for report in reports] == ["ongoing"] * 6


@pytest.mark.parametrize(("muted", "state"), [(2, "muted"), (1, "open")])
def test_a_mute_follows_when_it_holds_for_every_part(nights, muted, state):
    """Silence about one part alone does not hide the other."""
    parts = nights.report().findings
    nights.mute(*parts[:muted])

    reports = [nights.report(MERGED) for _ in range(3)]

    assert [report.findings[0].triage.state for report in reports] == [state] * 3


def test_what_a_rule_no_longer_puts_together_goes_on_in_its_parts(nights):
    """They are not new, the mute of the whole is theirs, and the whole is not resolved."""
    (whole,) = nights.report(MERGED).findings
    nights.mute(whole)

    reports = [nights.report() for _ in range(3)]

    for report in reports:
        assert [finding.state for finding in report.findings] == ["ongoing"] * 2
        assert [finding.triage.state for finding in report.findings] == ["muted"] * 2
        assert report.resolved == ()


def test_together_and_apart_again_keeps_the_first_day(nights):
    """A rule that was tried for a night costs nothing."""
    before = {f.finding_id: f.first_seen for f in nights.report().findings}
    nights.report(MERGED)
    after = nights.report().findings

    assert {f.finding_id: f.first_seen for f in after} == before
    assert {f.state for f in after} == {"ongoing"}


def test_a_merged_finding_that_is_gone_is_resolved_once(nights):
    """Under its present id alone."""
    nights.report()
    (whole,) = nights.report(MERGED).findings
    gone = [nights.report(MERGED, words=()) for _ in range(2)]

    assert [row.finding_id for row in gone[0].resolved] == [whole.finding_id]
    assert gone[0].resolved[0].state == "resolved"
    assert gone[1].resolved == ()


def test_people_see_and_decide_on_the_present_id(nights):
    """Earlier ids are not listed; opening the present one undoes what was said of them."""
    parts = nights.report().findings
    nights.mute(*parts)
    (whole,) = nights.report(MERGED).findings
    desk = FindingDesk(nights.root, "p")

    (row,) = desk.list("2026-12-01")
    desk.decide(row, Triage(by="ann"), now="2026-12-01")
    (opened,) = desk.list("2026-12-01")

    assert (row.finding_id, row.triage.state) == (whole.finding_id, "muted")
    assert opened.triage.state == "open"


MIGRATING = MinerSettings(earlier_algorithms=("v0",))


def as_of_an_older_version(nights):
    """The first night's ledger as a version with the algorithm ``v0`` would have left it."""
    found = nights.report().findings
    older = {
        f.finding_id: finding_id(FindingKey(*f.fingerprint.parts), algorithm="v0") for f in found
    }
    (path,) = nights.root.rglob("findings.jsonl")
    text = path.read_text()
    for new, old in older.items():
        text = text.replace(new, old)
    path.write_text(text)
    return {old: new for new, old in older.items()}, {f.finding_id: f for f in found}


def test_a_new_algorithm_links_the_ids_of_the_old_one(nights):
    """For one report both are computed; from then on the ledger knows the link."""
    ids, before = as_of_an_older_version(nights)

    reports = [nights.report(MIGRATING), nights.report(), nights.report()]

    for report in reports:
        assert {f.finding_id for f in report.findings} == set(ids.values())
        assert {f.state for f in report.findings} == {"ongoing"}
        assert report.resolved == ()
        for finding in report.findings:
            assert [ids[old] for old in finding.supersedes] == [finding.finding_id]
            assert finding.first_seen == before[finding.finding_id].first_seen


def test_decisions_on_old_ids_hold_for_the_new_ones(nights):
    """A mute under the old algorithm is a mute under the new one, and no other is muted."""
    ids, _ = as_of_an_older_version(nights)
    muted, other = ids
    TriageFile(nights.root, "p").decide(muted, Triage(state="muted", until=LATER))

    reports = [nights.report(MIGRATING), nights.report()]

    for report in reports:
        said = {f.finding_id: f.triage.state for f in report.findings}
        assert said == {ids[muted]: "muted", ids[other]: "open"}


def test_without_the_old_algorithm_old_ids_are_strangers(nights):
    """The link is what makes them the same: nothing guesses it."""
    as_of_an_older_version(nights)

    report = nights.report()

    assert {f.state for f in report.findings} == {"new"}
