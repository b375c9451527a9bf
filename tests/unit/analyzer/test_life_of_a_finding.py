"""What a finding is called and what state it is in, when its nights are not alike."""

import pytest

from halo_daemon.analyzer.headline import summary_of
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.render_html import render_html
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.render_sarif import render_sarif
from halo_daemon.analyzer.render_text import count_line, render_text
from halo_daemon.analyzer.run import RunInfo, analyze_window
from halo_daemon.analyzer.version_order import version_key
from halo_daemon.findings import LedgerEntry, Triage, fold
from halo_daemon.proto.times import format_unix_ns
from halo_daemon.store.ledger import LedgerStore
from halo_daemon.store.trace_reader import Window
from halo_daemon.store.triage import TriageFile
from halo_daemon.testing.spans import START_UNIX_NS
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import reader_of

HOUR_NS = 3_600 * 10**9
NIGHT_NS = 24 * HOUR_NS
BROKEN = "LedgerError: the shop's books are closed to every writer"


class Nights:
    """A project whose nights are analysed in any order; trace n starts n hours after the first."""

    def __init__(self, root):
        self.root = root
        self.past = ProjectMemory(root, "p")
        self.runs = 0

    def report(self, night, errors, *, fine=12, version=""):
        """The report of one night, whose first traces fail with *errors*; remembered."""
        first = night * 24 + 1
        scripts = [
            script(first + at, message, version)
            for at, message in enumerate([*errors, *[None] * fine])
        ]
        begin_ns = START_UNIX_NS + night * NIGHT_NS
        window = Window(begin_ns, begin_ns + NIGHT_NS)
        self.runs += 1
        run = RunInfo(f"r_{self.runs:02d}", f"r_{self.runs:02d}", self.at(90, self.runs))
        memory = self.past.recall()
        reader = reader_of(scripts, received_unix_ns=begin_ns + 1)
        report = analyze_window(reader, project="p", window=window, run=run, memory=memory)
        self.past.remember(report, memory)
        return report

    def say_resolved(self, finding, *, at_ns, version=""):
        """What `halo-daemon finding resolve` writes."""
        entry = LedgerEntry(
            at=format_unix_ns(at_ns),
            type="state",
            finding_id=finding.finding_id,
            to="resolved",
            by="ada",
            note=version,
        )
        LedgerStore(self.root, "p").append([entry])

    @staticmethod
    def at(night, hour):
        """An hour of a night."""
        return START_UNIX_NS + night * NIGHT_NS + hour * HOUR_NS


def script(number, message, version):
    """A run that refunds, or fails to."""
    made = TraceScript(number, version=version).model("I pay.", calls=[("refund", {"o": number})])
    if message is None:
        return made.tool("refund", {"o": number}, result="paid").answer("Paid.")
    return made.tool("refund", {"o": number}, error=message).answer("Sorry.")


@pytest.fixture
def nights(tmp_path):
    """A project without a past."""
    return Nights(tmp_path)


def named(*hosts):
    """One error, in words that name a host."""
    return [f"BooksError: the books at {host} are closed to every writer" for host in hosts]


def test_other_words_every_night_are_the_same_finding(nights):
    """What the masks do not know, such as names of hosts, makes no new finding of a known one."""
    plans = [("ada", "ada", "ada"), ("bea", "bea", "bea"), ("cid", "dan", "eve")]
    found = [nights.report(n, named(*plan)).findings for n, plan in enumerate(plans)]

    assert [[finding.state for finding in row] for row in found] == [
        ["new"],
        ["ongoing"],
        ["ongoing"],
    ]
    assert len({row[0].finding_id for row in found}) == 1


def test_other_words_reopen_a_resolved_finding(nights):
    """It was mended and is back, whichever host it names now."""
    (first,) = nights.report(0, named("ada", "ada", "ada"), fine=2).findings
    assert [row.state for row in nights.report(1, [], fine=24).resolved] == ["resolved"]

    (again,) = nights.report(2, named("bea", "bea", "bea")).findings

    assert (again.finding_id, again.state) == (first.finding_id, "reopened")


def test_words_of_another_mistake_are_a_new_finding(nights):
    """Fewer than seven words in ten alike is another finding, and the known one is not seen."""
    (known,) = nights.report(0, named("ada", "ada", "ada")).findings
    other = "BooksError: no account of that name is known to me"
    report = nights.report(1, [other] * 3, fine=1)

    (found,) = report.findings
    assert (found.state, found.finding_id != known.finding_id) == ("new", True)
    assert [row.finding_id for row in report.resolved] == [known.finding_id]


def test_a_title_names_no_host_that_is_one_of_several(nights):
    """The reader is not sent to the first host where three are hit, nor to last night's."""
    (several,) = nights.report(0, named("ada", "bea", "cid")).findings
    (other,) = nights.report(1, named("dan", "dan", "dan")).findings

    words = "the books at … are closed to every writer"
    assert words in several.title
    assert words in other.title


def test_a_night_analysed_again_brings_nothing_back(nights):
    """What was seen before it was resolved is no sign that it is back; what is newer is."""
    nights.report(0, [BROKEN] * 5)
    nights.report(1, [], fine=24)

    (again,) = nights.report(0, [BROKEN] * 5).findings
    (back,) = nights.report(2, [BROKEN] * 3).findings

    assert again.state == "resolved"
    assert back.state == "reopened"


def test_a_bad_night_analysed_again_makes_nothing_worse(nights):
    """Held against a better night that came later, an old one is no regression."""
    nights.report(0, [BROKEN] * 12, fine=2)
    nights.report(1, [BROKEN] * 3, fine=20)

    (again,) = nights.report(0, [BROKEN] * 12, fine=2).findings
    nights.report(2, [BROKEN] * 3, fine=20)
    (worse,) = nights.report(3, [BROKEN] * 12, fine=2).findings

    assert again.state == "ongoing"
    assert worse.state == "regressed"


def test_traces_from_before_a_person_spoke_bring_nothing_back(nights):
    """Resolved at noon, the next night's window holds the morning's failures as well."""
    (known,) = nights.report(0, [BROKEN] * 3).findings
    nights.say_resolved(known, at_ns=nights.at(1, 12))

    (morning,) = nights.report(1, [BROKEN] * 3).findings
    (after,) = nights.report(2, [BROKEN] * 3).findings

    assert morning.state == "resolved"
    assert after.state == "reopened"


def test_a_version_before_the_fix_never_brings_it_back(nights):
    """However many nights the old version goes on, and the release candidates of the fixed one."""
    (known,) = nights.report(0, [BROKEN] * 3, version="1.9").findings
    nights.say_resolved(known, at_ns=nights.at(0, 23), version="2.0.0")

    states = [
        nights.report(night, [BROKEN] * 3, version=version).findings[0].state
        for night, version in enumerate(("1.9", "1.9", "2.0.0-rc1", "1.10", "2.0"), start=1)
    ]

    assert states == ["resolved"] * 4 + ["reopened"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("1.9", "1.10"),
        ("2.0.0-rc1", "2.0.0"),
        ("2.0.0rc2", "2.0.0rc10"),
        ("v1.8.2", "1.8.2-17-gabc1234"),
        ("2026.11.30", "2026.12.1"),
    ],
)
def test_versions_are_in_order(earlier, later):
    """Numbers count as numbers, and what comes before a release comes before it."""
    assert version_key(earlier) < version_key(later)


@pytest.mark.parametrize("same", ["2.0.0", "v2.0", "2.0.0+build.7"])
def test_one_version_has_several_names(same):
    """Zeros at the end, a v and a build number make no other version."""
    assert version_key(same) == version_key("2.0.0")


@pytest.mark.parametrize("name", ["", "7f3a9c1", "3fe2b10c", "main", "release-7"])
def test_names_without_an_order_have_none(name):
    """Of hashes and branches nobody can say which comes later."""
    assert version_key(name) == ()


def test_a_resolved_finding_that_old_traces_show_says_so(nights):
    """It is counted as resolved, says why it is there, and is not absent."""
    (known,) = nights.report(0, [BROKEN] * 3).findings
    nights.say_resolved(known, at_ns=nights.at(1, 12))
    report = nights.report(1, [BROKEN] * 3)

    assert summary_of(report).counts.resolved == 1
    assert "| resolved since |" in render_markdown(report)
    assert b'"baselineState": "unchanged"' in render_sarif(report)


def test_a_version_stays_known_while_old_traces_show_it():
    """The ledger's line of such a report does not take away what a person said."""
    at = "2026-11-20T04:00:00.000000000Z"
    said = LedgerEntry(at=at, type="state", finding_id="F-1", to="resolved", by="ada", note="2.0.0")
    shown = LedgerEntry(
        at="2026-11-21T04:00:00.000000000Z", type="seen", finding_id="F-1", to="resolved"
    )

    assert fold([said, shown])["F-1"].resolved_in_version == "2.0.0"


@pytest.mark.parametrize(
    ("fine", "said"),
    [
        pytest.param(24, "1 earlier finding resolved", id="enough"),
        pytest.param(2, "1 earlier finding not seen, in too few traces", id="too few"),
    ],
)
def test_no_findings_says_what_became_of_earlier_ones(nights, fine, said):
    """A quiet night is no clean one: the first sentence and the count line tell."""
    nights.report(0, [BROKEN] * 5)
    report = nights.report(1, [], fine=fine)

    assert said in report.summary.headline
    state = "resolved" if fine > 2 else "not seen"
    assert f"1 {state}" in count_line(report)
    assert f"# p – 1 {state}" in render_markdown(report)


def test_what_people_silenced_is_not_read_first(nights):
    """The first sentence names what is left to look at, and every rendering who decided what."""
    other = "StockError: nobody counts these shelves any more"
    (worst, second) = nights.report(0, [BROKEN] * 8 + [other] * 3).findings
    triage = TriageFile(nights.root, "p")
    triage.decide(worst.finding_id, Triage(state="false_positive", note="by design", by="ada"))
    triage.decide(second.finding_id, Triage(state="acknowledged", by="bea"))

    report = nights.report(1, [BROKEN] * 8 + [other] * 3)

    assert second.title in report.summary.headline
    assert worst.finding_id not in report.summary.top_changes
    text, page = " ".join(render_text(report).split()), render_markdown(report)
    assert "false positive" in text
    assert "acknowledged by bea" in text
    assert "| ongoing, false positive |" in page
    assert "**Note** `by design` (`ada`)" in page
    triage.decide(second.finding_id, Triage(state="muted", until="2099-01-01"))
    silenced = nights.report(2, [BROKEN] * 8 + [other] * 3)
    assert silenced.summary.headline.endswith(", all muted or called false.")
    assert ", muted until 2099-01-01 00:00" in render_html(silenced)


def test_a_chance_that_rounds_to_nothing_is_no_zero(nights):
    """No reader is told that something is impossible."""
    nights.report(0, [BROKEN] * 20, fine=2)
    page = render_markdown(nights.report(1, [], fine=24))

    assert "below 0.1 %" in page
    assert "unchanged: 0 %" not in page
