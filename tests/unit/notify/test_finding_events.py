"""What is told of findings, read from what a report changes in the ledger."""

from pathlib import Path

import orjson
import pytest

from halo_daemon.analyzer.ledger_entries import entries_of
from halo_daemon.analyzer.memory import Memory
from halo_daemon.findings import Triage, fold_onto
from halo_daemon.notify.events import MAX_BODY_BYTES
from halo_daemon.notify.finding_events import Known, finding_events
from halo_daemon.store.trace_reader import Window
from tests.unit.analyzer.analysis import report_of
from tests.unit.analyzer.test_run import window

DAY_NS = 86_400 * 10**9
DIRECTORY = Path("/data/runs/r_1")


class Project:
    """A project's ledger in memory, one report a day."""

    def __init__(self):
        self.memory = Memory()
        self.day = 0

    def made(self, failures, successes=16, **changes):
        """The report of the next day, and the lines that it adds."""
        begin = self.day * DAY_NS
        asked = Window(begin, begin + DAY_NS)
        traces = window(failures, successes, first=1 + 1_000 * self.day)
        report = report_of(traces, window=asked, memory=self.memory)
        findings = tuple(finding.model_copy(update=changes) for finding in report.findings)
        report = report.model_copy(update={"report_id": f"r_{self.day}", "findings": findings})
        return report, entries_of(report, self.memory.histories, self.memory.triage)

    def told(self, report, lines, revision="1"):
        """The events of one report."""
        known = Known(self.memory.histories, self.memory.triage, revision)
        return list(finding_events(report, lines, known, DIRECTORY))

    def night(self, failures, successes=16, triage=None, **changes):
        """The events of the next day; the ledger then knows of it."""
        report, lines = self.made(failures, successes, **changes)
        events = self.told(report, lines, revision=str(self.day))
        self.day += 1
        self.memory = Memory(fold_onto(self.memory.histories, lines), triage or {})
        return events


def kinds(events):
    """The kinds alone."""
    return [event.kind for event in events]


def test_a_new_finding_is_told_with_its_counts():
    """The document names the finding, how bad it is, how often it came, and where to read on."""
    (event,) = Project().night(4)

    told = orjson.loads(event.body)
    finding = told["data"]["finding"]
    assert told["type"] == "finding.new"
    assert told["data"]["project"] == "support"
    assert told["data"]["path"] == f"{DIRECTORY}/findings/{finding['id']}.md"
    assert (finding["state"], finding["affected_traces"], finding["eligible_traces"]) == (
        "new",
        4,
        20,
    )
    assert event.severity == finding["severity"]
    assert event.subject == f"support/{finding['id']}"


def test_the_life_of_a_finding_is_told_change_by_change():
    """New, nothing while it goes on, regressed, resolved, reopened: each is told once."""
    project = Project()

    assert kinds(project.night(4)) == ["new"]
    assert kinds(project.night(4)) == []
    assert kinds(project.night(18, 2)) == ["regressed"]
    resolved = project.night(0, 200)
    assert kinds(resolved) == ["resolved"]
    assert kinds(project.night(0, 200)) == []
    assert kinds(project.night(4)) == ["reopened"]
    assert resolved[0].severity is not None
    assert orjson.loads(resolved[0].body)["data"]["finding"]["state"] == "resolved"


def test_a_finding_that_begins_to_rise_is_told_once_an_episode():
    """Escalating is told when it begins, not while it lasts, and not beside `new`."""
    project = Project()

    assert kinds(project.night(4, escalating=True)) == ["new"]
    assert kinds(project.night(4, escalating=True)) == []
    assert kinds(project.night(4, escalating=False)) == []
    assert kinds(project.night(4, escalating=True)) == ["escalating"]


@pytest.mark.parametrize("state", ["muted", "false_positive"])
def test_what_people_silenced_is_told_to_nobody(state):
    """Neither a change for the worse nor the end of a silenced finding is told."""
    project = Project()
    (event,) = project.night(4)
    silenced = {event.subject.partition("/")[2]: Triage(state=state)}
    project.night(4, triage=silenced)

    assert project.night(18, 2, triage=silenced) == []
    assert project.night(0, 200, triage=silenced) == []


def test_information_alerts_nobody():
    """A finding of the severity `info` is in the report alone."""
    project = Project()

    assert project.night(4, severity="info") == []
    assert project.night(0, 200) == []


def test_a_run_that_is_made_again_tells_under_the_same_ids():
    """Ids depend on what the ledger knew before, not on the report; the next change has another."""
    project = Project()
    report, lines = project.made(4)
    again = report.model_copy(update={"report_id": "r_again"})

    (first,) = project.told(report, lines)
    (second,) = project.told(again, entries_of(again, {}))
    (later,) = project.told(report, lines, revision="r_0")

    assert first.message_id("ops") == second.message_id("ops")
    assert later.message_id("ops") != first.message_id("ops")


def test_a_document_is_small_whatever_strangers_wrote():
    """A long title of four-byte characters is cut."""
    (event,) = Project().night(4, title="😀" * 5_000)

    assert len(event.body) <= MAX_BODY_BYTES
